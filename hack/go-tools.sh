#!/usr/bin/env bash
# Builds the Go programs that the tests run, at pinned versions, into the cache.
set -euo pipefail
source "$(dirname "$0")/cache.sh"

# name, package, version: one line for each.
TOOLS=(
  "helm helm.sh/helm/v4/cmd/helm v4.3.1"
  "helm-docs github.com/norwoodj/helm-docs/cmd/helm-docs v1.14.2" # the chart's README
  "kubeconform github.com/yannh/kubeconform/cmd/kubeconform v0.8.0"
  "toxiproxy-server github.com/Shopify/toxiproxy/v2/cmd/server v2.5.0" # slow lines for the benchmark
  "versitygw github.com/versity/versitygw/cmd/versitygw v1.8.0" # S3 over a directory
)

need_go
lock go-tools
for entry in "${TOOLS[@]}"; do
  read -r name package version <<<"$entry"
  if is_current "$name" "$version" && [[ -x "$BIN/$name" ]]; then
    say "$name $version is there"
    continue
  fi
  say "building $name $version"
  # Elsewhere first: a program has the name of its package, which need not be the one that it is known by.
  built="$(mktemp -d "$BIN/.building-XXXXXX")"
  GOBIN="$built" CGO_ENABLED=0 nice -n 10 go install -trimpath -buildvcs=false -ldflags "-s -w" "$package@$version"
  mv "$built/$(basename "$package")" "$BIN/$name"
  rmdir "$built"
  stamp "$name" "$version"
done

# Its go.mod replaces a module, which `go install` refuses: built from a module of our own with the same replacement.
UNITTEST=github.com/helm-unittest/helm-unittest
cd "$CHECKOUT/tools/helm-unittest"
version="$(awk -v module="$UNITTEST" '$2 == module {print $3}' go.mod)"
if is_current helm-unittest "$version" && [[ -x "$BIN/helm-unittest" ]]; then
  say "helm-unittest $version is there"
  exit 0
fi
say "building helm-unittest $version"
CGO_ENABLED=0 nice -n 10 go build -mod=readonly -trimpath -buildvcs=false -ldflags "-s -w" -o "$BIN/.helm-unittest.$$" \
  "$UNITTEST/cmd/helm-unittest"
mv "$BIN/.helm-unittest.$$" "$BIN/helm-unittest"
stamp helm-unittest "$version"
