"""Find the programs that the tests run: KUBEBUILDER_ASSETS, the cache of `make tools`, beside the interpreter, PATH."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/lib/dovecot")  # not on every user's PATH


class MissingProgramError(RuntimeError):
    """A program is not installed; the text is the command that installs it."""


def cache_folder() -> Path:
    """Where hack/*.sh put what they build."""
    return Path(os.environ.get("ARCHIVMAIL_CACHE") or Path.home() / ".cache" / "archivmail")


def find_program(name: str) -> Path:
    """The program of that name. Raises MissingProgramError."""
    for folder in _folders():
        candidate = folder / name
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    raise MissingProgramError(f"{name} is missing: run `make tools` in the checkout, which installs it")


def _folders() -> list[Path]:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    folders = [assets, cache_folder() / "bin", Path(sys.executable).parent, *path, *SYSTEM_FOLDERS]
    return [Path(folder) for folder in folders if folder]
