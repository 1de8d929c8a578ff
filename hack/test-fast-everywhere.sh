#!/usr/bin/env bash
# Run the tests that need no servers on every CPython from 3.11 to 3.13 that is installed. With "--others": all but the
# one that has just run everything; and 3.12, which has one on each side, runs only what leans most on the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${ARCHIVMAIL_CACHE:-$HOME/.cache/archivmail}
done_already=
between=
if [[ "${1:-}" == --others ]]; then
  done_already=$("$cache/venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  between=3.12
  # The properties have just been searched; what is asked here is whether this interpreter does the same.
  export PROPERTY_EXAMPLES=15
fi
LEANING=(tests/model tests/decide tests/mime tests/sync tests/archive/packs tests/kube/resource tests/imap)
for version in 3.11 3.12 3.13; do
  [[ $version != "$done_already" ]] || continue
  python=$(bash hack/find-python.sh "$version") || { echo "== CPython $version is not installed here"; continue; }
  hack/venv.sh "$python"
  echo "== CPython $version: tests without servers"
  tests=()
  [[ $version != "$between" ]] || tests=("${LEANING[@]}")
  "$cache/venv-$version/bin/python" -m pytest -q -m "not servers and not slow" -n "${WORKERS:-3}" "${tests[@]}"
done
