#!/usr/bin/env bash
# Installs the Debian packages that the tests and the bench run. Starts none of their services.
set -euo pipefail
source "$(dirname "$0")/cache.sh"

# Package and a file (or pattern) that tells that it is there (also where it was installed by other means).
PACKAGES=(
  "etcd-server /usr/bin/etcd"              # beneath the API server of the tests
  "dovecot-imapd /usr/lib/dovecot/imap"    # the IMAP server of the tests
  "postgresql /usr/lib/postgresql/*/bin/postgres" # the tests run clusters of their own
  "isync /usr/bin/mbsync"                  # the bench's peer
  "buildah /usr/bin/buildah"               # builds the image in the tests
  "debootstrap /usr/sbin/debootstrap"      # its base image
  "zstd /usr/bin/zstd"                     # opens packs as a stranger would
  "tar /usr/bin/tar"
  "procps /usr/bin/ps"
  "openssl /usr/bin/openssl"
  "ca-certificates /usr/sbin/update-ca-certificates"
  "curl /usr/bin/curl"
  "shellcheck /usr/bin/shellcheck"         # lints these scripts
)
# Unpacked: its package would start a service, and brings more than these programs.
UNPACKED_PACKAGE=prometheus
UNPACKED=(promtool prometheus)

missing=()
for entry in "${PACKAGES[@]}"; do
  read -r package file <<<"$entry"
  read -r found < <(compgen -G "$file") || true
  [[ -x "$found" ]] || missing+=("$package")
done
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
unpack=()
for program in "${UNPACKED[@]}"; do
  [[ -x "$BIN/$program" ]] || command -v "$program" >/dev/null || unpack+=("$program")
done

if [[ ${#missing[@]} -eq 0 && ${#unpack[@]} -eq 0 ]]; then
  say "all packages are there"
  exit 0
fi
command -v apt-get >/dev/null ||
  fail "this is not Debian: install ${missing[*]} ${unpack[*]} by your system's own means, then run make tools"
if [[ $EUID -ne 0 ]]; then
  [[ ${#missing[@]} -eq 0 ]] ||
    fail "packages are missing: run 'sudo apt-get install --no-install-recommends ${missing[*]}', then make tools"
else
  lock debian
  apt-get update -qq || fail "apt-get update failed: see to the package sources of this machine, then run make tools"
fi

if [[ ${#missing[@]} -gt 0 ]]; then
  say "installing ${missing[*]}"
  # Debian starts a service as soon as its package is installed, unless this script forbids it.
  POLICY=/usr/sbin/policy-rc.d
  if [[ ! -e $POLICY ]]; then
    trap 'rm -f "$POLICY"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "${missing[@]}" >"$CACHE/apt.log" 2>&1 || {
    tail -20 "$CACHE/apt.log" >&2
    fail "apt-get install failed: see the lines above and $CACHE/apt.log, then run make tools"
  }
  # Nor shall they start with the machine; what was installed before this script came is left as it was.
  if command -v systemctl >/dev/null; then
    for entry in "etcd-server etcd.service" "dovecot-imapd dovecot.service" "dovecot-imapd dovecot.socket" "postgresql postgresql.service"; do
      read -r package unit <<<"$entry"
      [[ " ${missing[*]} " != *" $package "* ]] || systemctl disable --quiet "$unit" 2>/dev/null || true
    done
  fi
fi

if [[ ${#unpack[@]} -gt 0 ]]; then
  say "unpacking ${unpack[*]}"
  scratch="$(mktemp -d "$CACHE/unpack.XXXXXX")"
  (cd "$scratch" && apt-get download -qq -o APT::Sandbox::User=root "$UNPACKED_PACKAGE" >/dev/null)
  dpkg-deb --fsys-tarfile "$scratch"/*.deb | tar -xf - -C "$scratch" "${unpack[@]/#/./usr/bin/}"
  mv "${unpack[@]/#/$scratch/usr/bin/}" "$BIN/"
  rm -rf "$scratch"
fi
say "packages are installed"
