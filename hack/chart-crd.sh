#!/usr/bin/env bash
# Copies the CRD from deploy/crds into the chart, which cannot read outside its own folder. A test holds both equal.
set -euo pipefail

cd "$(dirname "$0")/.."
CRD=archivmail.io_imapaccounts.yaml
cp "deploy/crds/$CRD" "deploy/helm/archivmail/files/$CRD"
