#!/usr/bin/env bash
# Runs a command inside the built image as a kubelet would run the chart's pod: UID 65532, no capabilities, read-only
# root, an empty /tmp, the image's environment and nothing of this machine's but its network. Needs root, no container
# engine. The program replaces this script, so signals sent to its process arrive.
#
#   hack/image-run.sh [-e NAME=VALUE]... [-v FOLDER:INSIDE[:ro]]... [COMMAND...]     such as: archivmail --help
# ARCHIVMAIL_ROOTFS is a folder that `hack/image.sh rootfs` printed, to run what was built then; without it the image is
# brought up to date first.
set -euo pipefail
source "$(dirname "$0")/cache.sh"

BUILDAH=(buildah --root "$CACHE/containers" --runroot "$CACHE/containers-run")
environment=()
volumes=()
while getopts "e:v:" option; do
  case "$option" in
    e) environment+=("$OPTARG") ;;
    v) volumes+=("$OPTARG") ;;
    *) fail "usage: see the head of this script" ;;
  esac
done
shift $((OPTIND - 1))

[[ $EUID -eq 0 ]] || fail "mounting needs root: run it with sudo -E"
ROOT="${ARCHIVMAIL_ROOTFS:-$("$CHECKOUT/hack/image.sh" rootfs)}"
mapfile -t of_the_image < <("${BUILDAH[@]}" inspect --type image --format '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' localhost/archivmail:test | grep .)
[[ $# -gt 0 ]] || set -- archivmail operator

# Mount points cannot be made on a read-only root. Links in the image, such as /var/run, must not lead out of it, so the
# image's own Python follows them.
mounts=()
for volume in "${volumes[@]}"; do
  IFS=: read -r _ target _ <<<"$volume"
  mounts+=("$volume" "$(chroot "$ROOT" /opt/archivmail/bin/python -I -c \
    'import os, sys; path = os.path.realpath(sys.argv[1]); os.makedirs(path, exist_ok=True); print(path)' "$target")")
done
export ROOT
# shellcheck disable=SC2016 # expanded inside
exec unshare --mount --propagation private /bin/bash -c '
  set -euo pipefail
  count=$1; shift
  mount --bind "$ROOT" "$ROOT"
  mount -o remount,bind,ro,nosuid "$ROOT"
  mount --bind /proc "$ROOT/proc"
  mount --rbind /dev "$ROOT/dev"
  mount -t tmpfs -o mode=1777,nosuid,nodev,size=1g tmpfs "$ROOT/tmp"
  for name in hosts resolv.conf; do
    if [[ -e /etc/$name && -e $ROOT/etc/$name ]]; then mount --bind "/etc/$name" "$ROOT/etc/$name"; fi
  done
  for ((i = 0; i < count; i++)); do
    IFS=: read -r source _ mode <<<"$1"
    mount --bind "$source" "$ROOT$2"
    if [[ $mode == ro ]]; then mount -o remount,bind,ro "$ROOT$2"; fi
    shift 2
  done
  exec env -i "$@"' run "${#volumes[@]}" \
  "${mounts[@]}" "${of_the_image[@]}" "${environment[@]}" \
  /usr/bin/setpriv --no-new-privs /usr/sbin/chroot --userspec=65532:65532 --groups= "$ROOT" "$@"
