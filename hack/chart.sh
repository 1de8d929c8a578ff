#!/usr/bin/env bash
# Writes anew what is made from the chart: its README, and the overlay for kustomize. Tests hold both equal to it.
set -euo pipefail
source "$(dirname "$0")/cache.sh"
cd "$CHECKOUT"

CHART=deploy/helm/archivmail
OVERLAY=deploy/kustomize/default/archivmail.yaml
HEAD="# Made from the chart by \`make chart\`; change values there, or patch it in an overlay of your own."

"$BIN/helm-docs" --chart-search-root deploy/helm --template-files README.md.gotmpl --sort-values-order file \
  --log-level warning

# The CRD stands in deploy/crds. What tells helm of its objects means nothing to kustomize.
rendered="$("$BIN/helm" template archivmail "$CHART" --namespace archivmail --set crds.install=false)"
{
  echo "$HEAD"
  sed -e '/^ *helm\.sh\/chart: /d' -e 's/managed-by: Helm$/managed-by: kustomize/' \
    -e '/^  annotations:$/{N;/helm\.sh\/resource-policy: keep$/d}' -e '/^# Source: /d' <<<"$rendered"
} >"$OVERLAY"
