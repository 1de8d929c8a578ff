"""Runs `archivmail`: within the test for speed, or as a process of its own where pipes and signals are the point."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from archivmail.cli import outcomes
from archivmail.cli.main import cli

TIMEOUT_S = 60
COMMAND = (sys.executable, "-m", "archivmail")


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


def archivmail(*arguments: str | Path, stdin: bytes = b"", **env: str) -> Ended:
    """`archivmail ARGUMENTS` in this process: everything but the start of an interpreter."""
    wanted = environment(**env)
    absent = dict.fromkeys(os.environ.keys() - wanted.keys())
    with CliRunner().isolation(stdin, env={**wanted, **absent}) as (out, err, _):
        code = outcomes.run(lambda: cli.main([*map(str, arguments)], prog_name="archivmail", standalone_mode=False))
        return Ended(code, out.getvalue(), err.getvalue().decode("utf-8"))


def process(*arguments: str | Path, cwd: Path | None = None, stdin: bytes = b"", **env: str) -> Ended:
    """`archivmail ARGUMENTS` as a process, ended."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT_S,
        cwd=cwd,
        env=environment(**env),
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr.decode("utf-8"))


def process_nobody_reads(*arguments: str | Path) -> Ended:
    """The same with a standard output that is closed already: `archivmail ARGUMENTS | true`."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_S,
            env=environment(),
            check=False,
        )
    finally:
        os.close(writing)
    return Ended(done.returncode, b"", done.stderr.decode("utf-8"))
