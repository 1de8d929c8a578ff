#!/usr/bin/env bash
# Builds the kube-apiserver that the tests run, from the Go modules pinned in tools/controlplane. About 4 minutes on
# 2 cores the first time, nothing after that. Binaries named by KUBEBUILDER_ASSETS (as envtest has it) are used instead.
#
#   hack/controlplane.sh             build it
#   hack/controlplane.sh --update    write go.sum anew after a change of tools/controlplane/go.mod
set -euo pipefail
source "$(dirname "$0")/cache.sh"

MODULE="$CHECKOUT/tools/controlplane"
PACKAGE=k8s.io/kubernetes/cmd/kube-apiserver

if [[ -x "${KUBEBUILDER_ASSETS:-/nowhere}/kube-apiserver" ]]; then
  say "kube-apiserver of KUBEBUILDER_ASSETS is used"
  exit 0
fi
need_go
cd "$MODULE"

if [[ "${1:-}" == --update ]]; then
  # "go mod tidy" fails here: it wants imports of tests that no module serves.
  GOFLAGS=-mod=mod go list -deps "$PACKAGE" >/dev/null
  say "go.sum is up to date"
  exit 0
fi

VERSION="$(awk '$1 == "k8s.io/kubernetes" {print $2}' go.mod)"
IFS=. read -r MAJOR MINOR _ <<<"${VERSION#v}"
WANTED="$VERSION $(cat go.mod go.sum | sha256sum | cut -d' ' -f1)"

lock kube-apiserver
if is_current kube-apiserver "$WANTED" && [[ -x "$BIN/kube-apiserver" ]]; then
  say "kube-apiserver $VERSION is there"
  exit 0
fi

say "building kube-apiserver $VERSION (about 4 minutes, once)"
# Without the version flags clients would see v0.0.0.
CGO_ENABLED=0 nice -n 10 go build -mod=readonly -trimpath -buildvcs=false -o "$BIN/.kube-apiserver.$$" \
  -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$VERSION -X k8s.io/component-base/version.gitMajor=$MAJOR -X k8s.io/component-base/version.gitMinor=$MINOR" \
  "$PACKAGE"
mv "$BIN/.kube-apiserver.$$" "$BIN/kube-apiserver"
stamp kube-apiserver "$WANTED"
say "kube-apiserver $VERSION is built"
