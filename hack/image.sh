#!/usr/bin/env bash
# Builds the image with buildah, without a container engine or a registry: wheels are downloaded here, with this
# machine's pip settings, and the build itself needs no network. Does nothing when the sources have not changed.
#
#   hack/image.sh           builds, and prints the image's name on standard output
#   hack/image.sh rootfs    the same, then prints a folder with the image's files (made anew when the image changed)
# BASE_IMAGE names another base; without it hack/base-image.sh makes one.
set -euo pipefail
source "$(dirname "$0")/cache.sh"

NAME=localhost/archivmail:test
MOST_MB=6000
LABELS=org.opencontainers.image
WHEELS="$CACHE/wheels"
BUILDAH=(buildah --root "$CACHE/containers" --runroot "$CACHE/containers-run")
cd "$CHECKOUT"

download_wheels() {
  local wanted python lock
  wanted="$(cat requirements/runtime.lock requirements/image.lock | sha256sum)"
  if is_current wheels "$wanted"; then return; fi
  say "downloading wheels"
  python="$CACHE/venv/bin/python"
  [[ -x $python ]] || python="$("$CHECKOUT/hack/venv.sh")/bin/python"
  rm -rf "$WHEELS"
  mkdir -p "$WHEELS"
  # For the interpreter of the base image, which need not be the one that runs pip here.
  for lock in requirements/runtime.lock requirements/image.lock; do
    "$python" -m pip --disable-pip-version-check --quiet download --require-hashes --no-deps \
      --only-binary :all: --implementation cp --python-version 3.11 --dest "$WHEELS" -r "$lock" >&2
  done
  stamp wheels "$wanted"
}

build() {
  local base revision
  base="${BASE_IMAGE:-}"
  if [[ -z $base ]]; then
    base="$("$CHECKOUT/hack/base-image.sh")"
    # By digest, as a released image is.
    base="${base%:*}@$("${BUILDAH[@]}" inspect --type image --format '{{.FromImageDigest}}' "$base")"
  fi
  download_wheels
  revision="$(git rev-parse HEAD 2>/dev/null || echo unknown)"
  say "building $NAME"
  # Isolation by chroot: buildah then needs neither a container runtime nor namespaces. Labels once more by name, for
  # older buildahs take a cached LABEL though its arguments have changed.
  nice -n 10 "${BUILDAH[@]}" build --quiet --isolation chroot --layers=true --pull=never --format docker \
    --build-arg "BASE_IMAGE=$base" --build-arg "REVISION=$revision" \
    --label "$LABELS.base.name=$base" --label "$LABELS.revision=$revision" \
    --build-arg PIP_INDEX_URL= --build-arg PIP_NO_INDEX=1 --build-arg PIP_FIND_LINKS=/wheels --volume "$WHEELS:/wheels:ro" \
    --ignorefile .dockerignore --tag "$NAME" --file Dockerfile . >/dev/null
}

WANTED="$(
  find Dockerfile .dockerignore pyproject.toml README.md LICENSE requirements/{runtime,image}.lock operator deploy/image \
    hack/*image.sh -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
) ${BASE_IMAGE:-}"

lock image
if is_current image "$WANTED" && "${BUILDAH[@]}" inspect --type image "$NAME" >/dev/null 2>&1; then
  say "$NAME is up to date"
else
  build
  stamp image "$WANTED"
  # The layers of the build are what makes the next one quick; they are given up when they have grown too many.
  if [[ $(du -sm "$CACHE/containers" | cut -f1) -gt $MOST_MB ]]; then
    "${BUILDAH[@]}" images --filter dangling=true --quiet | xargs -r "${BUILDAH[@]}" rmi >/dev/null 2>&1 || true
  fi
  say "$NAME is built"
fi

case "${1:-}" in
  "") echo "$NAME" ;;
  rootfs)
    id="$("${BUILDAH[@]}" inspect --type image --format '{{.FromImageID}}' "$NAME")"
    container="archivmail-rootfs-${id:0:12}"
    for old in $("${BUILDAH[@]}" containers --format '{{.ContainerName}}' | grep '^archivmail-rootfs-' || true); do
      [[ $old == "$container" ]] || "${BUILDAH[@]}" rm "$old" >/dev/null || true
    done
    "${BUILDAH[@]}" inspect --type container "$container" >/dev/null 2>&1 ||
      "${BUILDAH[@]}" from --pull=never --name "$container" "$NAME" >/dev/null
    "${BUILDAH[@]}" mount "$container"
    ;;
  *) fail "unknown word $1: say nothing, or rootfs" ;;
esac
