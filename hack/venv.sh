#!/usr/bin/env bash
# Makes the virtual environment of the tests from requirements/dev.lock, every package checked by its hash.
#
#   hack/venv.sh                 CACHE/venv, with the first of python3.11, python3.12, python3.13, python3 that will do
#   hack/venv.sh python3.12      CACHE/venv-3.12
# Prints the folder on standard output.
set -euo pipefail
source "$(dirname "$0")/cache.sh"

LOCK="$CHECKOUT/requirements/dev.lock"
will_do() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if [[ $# -gt 0 ]]; then
  PYTHON="$1"
  will_do "$PYTHON" || fail "$PYTHON does not run or is older than Python 3.11; name another interpreter"
  VENV="$CACHE/venv-$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
else
  PYTHON=
  for candidate in python3.11 python3.12 python3.13 python3; do
    if will_do "$candidate"; then
      PYTHON="$candidate"
      break
    fi
  done
  [[ -n $PYTHON ]] || fail "Python 3.11 or later is missing: install it (Debian: apt-get install python3 python3-venv)"
  VENV="$CACHE/venv"
fi
[[ -f $LOCK ]] || fail "requirements/dev.lock is missing: run make lock"

NAME="$(basename "$VENV")"
# The checkout belongs to the stamp, because the editable installation points at it.
WANTED="$(
  cat "$LOCK" "$CHECKOUT/pyproject.toml" | sha256sum | cut -d' ' -f1
) $("$PYTHON" -c 'import sys; print(sys.version.split()[0], sys.base_prefix)') $CHECKOUT"

lock "$NAME"
if is_current "$NAME" "$WANTED" && [[ -x "$VENV/bin/python" ]]; then
  say "$VENV is up to date"
  echo "$VENV"
  exit 0
fi

# Kept where only packages change: pip brings the old ones to the locked versions.
if ! "$VENV/bin/python" -c 'import pip' 2>/dev/null || [[ "$("$VENV/bin/python" -c 'import sys; print(sys.version.split()[0])')" != "$("$PYTHON" -c 'import sys; print(sys.version.split()[0])')" ]]; then
  rm -rf "$VENV"
  say "making $VENV"
  "$PYTHON" -m venv "$VENV" || fail "python3 -m venv does not work: install it (Debian: apt-get install python3-venv), then run make tools"
fi
say "installing what requirements/dev.lock names"
PIP=("$VENV/bin/python" -m pip --disable-pip-version-check --quiet)
# uv, itself from the lock and checked by its hash, is several times faster; where it cannot reach the index, pip can.
awk '/^uv==/ {on = 1} on {print} on && !/\\$/ {exit}' "$LOCK" >"$VENV/uv.lock"
"${PIP[@]}" install --require-hashes --no-deps -r "$VENV/uv.lock" >&2
if ! "$VENV/bin/uv" pip install --quiet --compile-bytecode --python "$VENV/bin/python" --require-hashes --no-deps -r "$LOCK" >&2; then
  "${PIP[@]}" install --require-hashes --no-deps -r "$LOCK" >&2
fi
# The build backend is in the lock too, so nothing is fetched without a hash.
"${PIP[@]}" install --no-deps --no-build-isolation -e "$CHECKOUT" >&2
stamp "$NAME" "$WANTED"
echo "$VENV"
