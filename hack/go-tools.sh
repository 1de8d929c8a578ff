#!/usr/bin/env bash
# Builds the Go programs that the tests run, at pinned versions, into the cache.
set -euo pipefail
source "$(dirname "$0")/cache.sh"

# name, package, version: one line for each.
TOOLS=(
  "helm helm.sh/helm/v4/cmd/helm v4.3.1"
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
