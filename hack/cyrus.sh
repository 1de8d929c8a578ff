#!/usr/bin/env bash
# Unpacks Cyrus IMAP, the tests' second IMAP server, into the cache. It cannot be installed: Debian's package conflicts
# with dovecot-imapd. Its libraries are unpacked beside it where they are not installed. Needs no privileges.
set -euo pipefail
source "$(dirname "$0")/cache.sh"

TREE="$CACHE/cyrus"
PACKAGES=(cyrus-common cyrus-imapd libeatmydata1) # the last one spares fsync, which Cyrus does for every message
PROGRAMS=(master imapd ctl_cyrusdb reconstruct)
# Libraries of programs that the tests do not run: a virus scanner and a messenger.
UNUSED='^lib(clamav|zephyr)'

# works TREE: true when every program is there and finds every library.
works() {
  local program libraries
  [[ -d "$1" && -n "$(find "$1" -name libeatmydata.so)" ]] || return 1
  libraries="$(find "$1" -type d -path '*/lib/*-linux-*' 2>/dev/null | paste -sd:)"
  for program in "${PROGRAMS[@]}"; do
    [[ -x "$1/usr/lib/cyrus/bin/$program" ]] || return 1
    ! LD_LIBRARY_PATH="$libraries" ldd "$1/usr/lib/cyrus/bin/$program" | grep -q 'not found' || return 1
  done
}

# download PACKAGE...: into the present folder, the version that the package sources serve.
download() { apt-get download -qq -o APT::Sandbox::User=root "$@" >/dev/null; }

# absent_libraries DEB...: what these packages need and the machine has not got, all the way down.
absent_libraries() {
  local deb names=()
  for deb in "$@"; do
    mapfile -t -O "${#names[@]}" names < <(dpkg-deb -f "$deb" Depends | tr ',' '\n' | awk '/^ *lib/ {print $1}')
  done
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    "${names[@]}" | grep -E '^lib' | grep -vE "$UNUSED" | sort -u |
    while read -r name; do
      [[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" == installed ]] || echo "$name"
    done
}

lock cyrus
if works "$TREE"; then
  say "Cyrus $(<"$STAMPS/cyrus") is there"
  exit 0
fi
command -v apt-get >/dev/null || fail "this is not Debian: the tests with Cyrus need Debian's packages ${PACKAGES[*]}"

scratch="$(mktemp -d "$CACHE/unpack.XXXXXX")"
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
say "unpacking Cyrus"
if ! download "${PACKAGES[@]}" 2>/dev/null; then
  [[ $EUID -eq 0 ]] || fail "apt-get download failed: run 'sudo apt-get update', then make tools"
  apt-get update -qq || true # the download tells whether it matters
  download "${PACKAGES[@]}" || fail "apt-get download failed: see to this machine's package sources, then run make tools"
fi
version="$(dpkg-deb -f cyrus-imapd_*.deb Version)"
mapfile -t libraries < <(absent_libraries ./*.deb)
if [[ ${#libraries[@]} -gt 0 ]]; then
  mkdir libraries
  (cd libraries && download "${libraries[@]}")
fi
for deb in ./*.deb libraries/*.deb; do
  [[ -f "$deb" ]] && dpkg-deb -x "$deb" whole
done
# Programs and libraries only: the tests copy this folder for every server.
mkdir -p tree/usr/lib/cyrus/bin
for program in "${PROGRAMS[@]}"; do
  cp "whole/usr/lib/cyrus/bin/$program" tree/usr/lib/cyrus/bin/
done
(cd whole && find . -path '*/lib/*-linux-*' -name '*.so*' -print0 | tar --null -T - -cf -) | tar -xf - -C tree
works "$PWD/tree" || fail "Cyrus $version lacks a library that Debian's dependencies do not name: look at $(basename "$0")"
stamp cyrus "$version"
rm -rf "$TREE"
mv tree "$TREE"
say "Cyrus $version is unpacked"
