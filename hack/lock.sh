#!/usr/bin/env bash
# Write the requirements locks anew from pyproject.toml: pinned by hash, naming no index.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    --no-annotate pyproject.toml "$@"
}
compile --extra postgresql --extra documents --extra demo --group dev --output-file requirements/dev.lock
compile --extra postgresql --extra documents --constraint requirements/dev.lock --output-file requirements/runtime.lock
echo awscli | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
  --no-annotate - --output-file requirements/awscli.lock
