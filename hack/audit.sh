#!/usr/bin/env bash
# Compares every locked package with the advisories of OSV (https://osv.dev), which needs the internet: `make audit`.
# Ends with 1 when one of them is known to be vulnerable, and names it with the version that is not.
set -euo pipefail
source "$(dirname "$0")/cache.sh"
cd "$CHECKOUT"

AUDIT="$CACHE/audit"
WANTED="$(sha256sum <requirements/audit.lock)"
lock audit
if ! is_current audit "$WANTED"; then
  say "installing what requirements/audit.lock names"
  rm -rf "$AUDIT"
  "$("$CHECKOUT/hack/venv.sh")/bin/python" -m venv "$AUDIT"
  "$AUDIT/bin/python" -m pip --disable-pip-version-check --quiet install --require-hashes --no-deps -r requirements/audit.lock
  stamp audit "$WANTED"
fi

"$AUDIT/bin/python" -c 'import requests; requests.get("https://api.osv.dev/", timeout=20)' 2>/dev/null ||
  fail "the advisories at https://api.osv.dev cannot be reached: run make audit on a machine with access to them"
found=0
for name in runtime image dev; do
  say "comparing requirements/$name.lock with the advisories"
  "$AUDIT/bin/pip-audit" --disable-pip --require-hashes --vulnerability-service osv --progress-spinner off \
    --requirement "requirements/$name.lock" "$@" || found=1
done
exit "$found"
