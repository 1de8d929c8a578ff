"""Runs the real `archivmail` as a process of its own: the streams and the exit code are the interface."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left: its exit code and its two streams."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode("utf-8")


def environment(**more: str) -> dict[str, str]:
    """Ours, without settings of the machine that would change what a command does."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("ARCHIVMAIL_", "KUBE"))}
    return {**kept, "NO_COLOR": "1", "TZ": "UTC", **more}


def archivmail(*arguments: str | Path, cwd: Path | None = None, stdin: bytes = b"", **env: str) -> Ended:
    """`archivmail ARGUMENTS`, ended."""
    done = subprocess.run(
        [sys.executable, "-m", "archivmail", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT_S,
        cwd=cwd,
        env=environment(**env),
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr.decode("utf-8"))
