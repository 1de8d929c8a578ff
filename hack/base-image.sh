#!/usr/bin/env bash
# Makes the base image of the tests' image from Debian packages, for machines that reach no container registry.
# About 90 seconds once; kept in the cache. Everybody else builds on the BASE_IMAGE that the Dockerfile names.
#
#   hack/base-image.sh      prints the image's name on standard output
# ARCHIVMAIL_DEBIAN_MIRROR names the mirror; without it the one that this machine's apt uses is taken.
set -euo pipefail
source "$(dirname "$0")/cache.sh"

SUITE=bookworm # its python3 is 3.11, the oldest that archivmail supports
NAME="localhost/archivmail-base:$SUITE"
PACKAGES=python3,python3-venv,ca-certificates
BUILDAH=(buildah --root "$CACHE/containers" --runroot "$CACHE/containers-run")

[[ $EUID -eq 0 ]] || fail "debootstrap needs root: run 'sudo -E hack/base-image.sh', or name a base by BASE_IMAGE=... hack/image.sh"
for program in buildah debootstrap; do
  command -v "$program" >/dev/null || fail "$program is missing: run hack/debian.sh"
done

WANTED="$(sha256sum <"$0")"
lock base-image
if is_current base-image "$WANTED" && "${BUILDAH[@]}" inspect --type image "$NAME" >/dev/null 2>&1; then
  say "$NAME is there"
  echo "$NAME"
  exit 0
fi

MIRROR="${ARCHIVMAIL_DEBIAN_MIRROR:-}"
if [[ -z $MIRROR ]] && command -v apt-get >/dev/null; then
  # shellcheck disable=SC2016 # the names are apt's
  MIRROR="$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
    awk -v suite="$SUITE" '!found && $2 == "Debian" && $3 == suite && $4 == "main" && $1 ~ /^http/ {print $1; found = 1}')"
fi
[[ -n $MIRROR ]] || fail "apt names no mirror of Debian $SUITE; name one by ARCHIVMAIL_DEBIAN_MIRROR"

say "making $NAME (about 90 seconds, once)"
container="$("${BUILDAH[@]}" from scratch)"
trap '"${BUILDAH[@]}" rm "$container" >/dev/null' EXIT
root="$("${BUILDAH[@]}" mount "$container")"
log="$CACHE/base-image.log"
nice -n 10 debootstrap --variant=minbase "--include=$PACKAGES" "$SUITE" "$root" "$MIRROR" >"$log" 2>&1 ||
  fail "debootstrap failed: see $log, or name another mirror by ARCHIVMAIL_DEBIAN_MIRROR"

# What a slim image leaves out; device nodes are the container engine's business.
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/debootstrap \
  "$root"/usr/share/{man,info,locale,lintian,linda} "${root:?}"/dev/* "$root"/etc/apt/sources.list
find "$root/usr/share/doc" -type f ! -name copyright -delete
find "$root/usr/share/doc" -type d -empty -delete
# Nothing of this machine belongs into an image.
rm -f "$root"/etc/{hostname,resolv.conf,machine-id}

"${BUILDAH[@]}" config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd python3 "$container"
"${BUILDAH[@]}" umount "$container" >/dev/null
"${BUILDAH[@]}" commit --quiet "$container" "$NAME" >/dev/null
stamp base-image "$WANTED"
say "$NAME is made"
echo "$NAME"
