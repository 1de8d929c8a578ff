#!/usr/bin/env bash
# Print the interpreter of a CPython version ("3.12"), from the PATH or from pyenv; exit 1 when there is none.
set -euo pipefail
version=$1
works() { "$1" -c 'import sys; assert sys.implementation.name == "cpython"' 2>/dev/null; }
for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python "/usr/bin/python$version"; do
  if works "$candidate"; then
    echo "$candidate"
    exit 0
  fi
done
exit 1
