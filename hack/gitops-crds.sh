#!/usr/bin/env bash
# Fetches the definitions of Flux, External Secrets and Sealed Secrets, against which the tests check deploy/gitops.
set -euo pipefail
source "$(dirname "$0")/cache.sh"

# module, version, files: one line for each. Nothing is built.
MODULES=(
  "github.com/fluxcd/source-controller v1.8.5 config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml config/crd/bases/source.toolkit.fluxcd.io_ocirepositories.yaml"
  "github.com/fluxcd/kustomize-controller v1.7.3 config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml"
  "github.com/external-secrets/external-secrets v1.3.2 config/crds/bases/external-secrets.io_externalsecrets.yaml"
  "github.com/bitnami-labs/sealed-secrets v0.40.0 helm/sealed-secrets/crds/bitnami.com_sealedsecrets.yaml"
)

need_go
lock gitops-crds
mkdir -p "$CACHE/crds/gitops"
WANTED="$(printf '%s\n' "${MODULES[@]}" | sha256sum | cut -d' ' -f1)"
if is_current gitops-crds "$WANTED"; then
  say "all are there"
  exit 0
fi
cd "$CACHE" # outside of any module
for entry in "${MODULES[@]}"; do
  read -r module version files <<<"$entry"
  folder="$(GOFLAGS=-mod=mod go mod download -json "$module@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')"
  [[ -d $folder ]] || fail "go mod download gave no folder for $module@$version: run it by hand to see why"
  for file in $files; do
    install -m 644 "$folder/$file" "$CACHE/crds/gitops/"
  done
done
stamp gitops-crds "$WANTED"
say "all are there"
