#!/usr/bin/env bash
# Installs the AWS command line that a guide's commands use, in an environment of its own: its pins would hold back what
# archivmail itself depends on. From requirements/awscli.lock, every package checked by its hash.
set -euo pipefail
source "$(dirname "$0")/cache.sh"

LOCK="$CHECKOUT/requirements/awscli.lock"
WANTED="$(sha256sum <"$LOCK" | cut -d' ' -f1)"

lock awscli
if is_current awscli "$WANTED" && [[ -x "$BIN/aws" ]]; then
  say "aws is there"
  exit 0
fi
VENV="$("$CHECKOUT/hack/venv.sh")"
say "installing the AWS command line"
rm -rf "$CACHE/awscli"
"$VENV/bin/python" -m venv --without-pip "$CACHE/awscli"
"$VENV/bin/uv" pip install --quiet --python "$CACHE/awscli/bin/python" --require-hashes --no-deps -r "$LOCK" >&2 ||
  "$VENV/bin/python" -m pip --disable-pip-version-check --quiet --python "$CACHE/awscli/bin/python" install \
    --require-hashes --no-deps -r "$LOCK" >&2
ln -sf "$CACHE/awscli/bin/aws" "$BIN/aws"
stamp awscli "$WANTED"
