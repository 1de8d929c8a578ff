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
# The files behind the hashes of the image's lock, for the test that there are wheels for every platform.
listing="$(mktemp -d)"
trap 'rm -rf "$listing"' EXIT
compile --extra postgresql --extra documents --constraint requirements/dev.lock --format pylock.toml \
  --output-file "$listing/pylock.toml"
python3 hack/wheels.py <"$listing/pylock.toml" >requirements/wheels.txt
uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
  --no-annotate --group image --constraint requirements/dev.lock --output-file requirements/image.lock
echo 'pip-audit>=2.10,<3' | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-header --no-annotate - --output-file requirements/audit.lock
echo awscli | uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
  --no-annotate - --output-file requirements/awscli.lock
