#!/usr/bin/env bash
# Builds tools/kstatus, the judge of conditions that Flux uses, from the Go modules pinned there. Tests run it on objects.
#
#   hack/kstatus.sh             build it
#   hack/kstatus.sh --update    write go.mod and go.sum anew after a change of tools/kstatus/go.mod
set -euo pipefail
source "$(dirname "$0")/cache.sh"

need_go
cd "$CHECKOUT/tools/kstatus"

if [[ "${1:-}" == --update ]]; then
  go mod tidy
  say "go.mod and go.sum are up to date"
  exit 0
fi

WANTED="$(cat go.mod go.sum main.go | sha256sum | cut -d' ' -f1)"

lock kstatus
if is_current kstatus "$WANTED" && [[ -x "$BIN/kstatus" ]]; then
  say "kstatus is there"
  exit 0
fi

say "building kstatus"
CGO_ENABLED=0 nice -n 10 go build -mod=readonly -trimpath -buildvcs=false -ldflags "-s -w" -o "$BIN/.kstatus.$$" .
mv "$BIN/.kstatus.$$" "$BIN/kstatus"
stamp kstatus "$WANTED"
say "kstatus is built"
