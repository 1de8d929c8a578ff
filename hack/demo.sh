#!/usr/bin/env bash
# The body of make demo: hack/demo.sh [PYTHON], an interpreter that has archivmail and pymap.
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${1:-python3}" hack/demo.py
