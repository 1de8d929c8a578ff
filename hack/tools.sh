#!/usr/bin/env bash
# Installs everything that the tests need, in two lanes: what compiles, and what only downloads. Prints the time of each.
# About 10 minutes on 2 cores on a fresh machine, a second or two when all is there.
set -euo pipefail
source "$(dirname "$0")/cache.sh"

HACK="$CHECKOUT/hack"

# timed SCRIPT: run it and say how long it took.
timed() {
  local began=$SECONDS
  "$HACK/$1.sh" >/dev/null || {
    say "$1 failed"
    return 1
  }
  say "$1 took $((SECONDS - began)) s"
}

# Each step runs even if the one before it failed, so that one run shows all that is wrong.
lane() {
  local step failed=0
  for step in "$@"; do
    timed "$step" || failed=1
  done
  return "$failed"
}

set -m # a process group of its own, so that an interrupted run takes its compilers with it
lane controlplane go-tools kstatus &
compiling=$!
set +m
trap 'kill -- "-$compiling" 2>/dev/null || true' EXIT
failed=0
lane debian cyrus corpus venv awscli || failed=1
wait "$compiling" || failed=1
[[ $failed -eq 0 ]] || fail "something is missing: see the lines above"
say "all is there, in $SECONDS s; programs in $BIN"
