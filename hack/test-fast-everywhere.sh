#!/usr/bin/env bash
# Run the tests that need no servers on every CPython from 3.11 to 3.13 that is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${ARCHIVMAIL_CACHE:-$HOME/.cache/archivmail}
for version in 3.11 3.12 3.13; do
  python=$(bash hack/find-python.sh "$version") || { echo "== CPython $version is not installed here"; continue; }
  hack/venv.sh "$python"
  echo "== CPython $version: tests without servers"
  "$cache/venv-$version/bin/python" -m pytest -q -m "not servers and not slow" -n 2
done
