# shellcheck shell=bash
# Where the test tools live, and how a script knows that its part is there already. Sourced by the scripts beside it.

set -euo pipefail

CHECKOUT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
CACHE="${ARCHIVMAIL_CACHE:-$HOME/.cache/archivmail}"
BIN="$CACHE/bin"
STAMPS="$CACHE/stamps"
mkdir -p "$BIN" "$STAMPS"
export CHECKOUT CACHE BIN STAMPS

# say WORDS: one line of progress, with the name of the script that speaks.
say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }

# fail WORDS: the reason, and what to do about it, in one sentence.
fail() {
  say "$@"
  exit 1
}

# is_current NAME VERSION: true when NAME was installed at exactly this VERSION.
is_current() { [[ -f "$STAMPS/$1" && "$(<"$STAMPS/$1")" == "$2" ]]; }

# stamp NAME VERSION: remember it; written last and renamed into place, so that an interrupted installation is repeated.
stamp() {
  printf '%s' "$2" >"$STAMPS/$1.$$"
  mv "$STAMPS/$1.$$" "$STAMPS/$1"
}

# lock NAME: waits until no other script installs NAME; held until this one ends.
lock() {
  exec 9>"$STAMPS/$1.lock"
  flock -w 1800 9 || fail "another installation of $1 has not ended for 30 minutes; end it, then run make tools"
}

# need_go: the one thing that cannot be fetched from here.
need_go() {
  command -v go >/dev/null || fail "Go is missing: install Go 1.26 or later (https://go.dev/dl), then run make tools"
}
