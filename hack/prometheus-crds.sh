#!/usr/bin/env bash
# Fetches the CRDs of the Prometheus operator, against which the tests check PodMonitor and PrometheusRule.
set -euo pipefail
source "$(dirname "$0")/cache.sh"

MODULE=github.com/prometheus-operator/prometheus-operator
VERSION=v0.85.0
CRDS=(podmonitors prometheusrules)

need_go
lock prometheus-crds
if is_current prometheus-crds "$VERSION"; then
  say "$VERSION is there"
  exit 0
fi
folder="$(GOFLAGS=-mod=mod go mod download -json "$MODULE@$VERSION" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')"
[[ -d $folder ]] || fail "go mod download gave no folder for $MODULE@$VERSION: run it by hand to see why"
mkdir -p "$CACHE/crds"
for name in "${CRDS[@]}"; do
  install -m 644 "$folder/example/prometheus-operator-crd/monitoring.coreos.com_$name.yaml" "$CACHE/crds/"
done
stamp prometheus-crds "$VERSION"
say "$VERSION is there"
