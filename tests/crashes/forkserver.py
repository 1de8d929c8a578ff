"""Starts runs quickly: a process that has loaded everything and opened nothing forks a child for each.

`ForkServer` is the test's side. Run as a module it is the other: reads one JSON object a line and answers with one. A
child is killed after `kill_after_s`, if that is given, and in any case after some minutes.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 240.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its result and the points it passed, or the signal that ended it."""

    result: str
    points: int
    signal: int
    took_s: float

    @property
    def was_killed(self) -> bool:
        return self.signal == signal.SIGKILL


class ForkServer:
    """A context manager. Children inherit `environment`."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        paths = [str(ROOT), str(ROOT / "operator")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crashes.forkserver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, **(environment or {}), "PYTHONPATH": os.pathsep.join(paths)},
        )

    def start(self, task: dict[str, object], *, kill_after_s: float | None = None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"task": task, "kill_after_s": kill_after_s}).encode() + b"\n")
        self._process.stdin.flush()

    def wait(self) -> Ended:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the fork server ended"
        return Ended(**json.loads(line))

    def run(self, task: dict[str, object], *, kill_after_s: float | None = None) -> Ended:
        self.start(task, kill_after_s=kill_after_s)
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(LIMIT_S)
        self._process.stdout.close()


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    from tests.crashes.runs import Task, perform  # noqa: PLC0415 - the test's side needs none of it

    perform_in_no_archive()
    for line in requests:
        request = json.loads(line)
        task = Task.from_wire(request["task"])
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ours)
            code = 1
            try:
                os.write(theirs, json.dumps(perform(task)).encode())
                code = 0
            except BaseException as error:
                os.write(theirs, json.dumps([f"{type(error).__name__}: {error}", 0]).encode())
            finally:
                os._exit(code)
        os.close(theirs)
        began = time.monotonic()
        status = _waited(pid, request["kill_after_s"])
        took_s = time.monotonic() - began
        with os.fdopen(ours, "rb") as pipe:
            told = pipe.read()
        result, points = json.loads(told) if told else ("", 0)
        ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        answers.write(json.dumps({"result": result, "points": points, "signal": ended, "took_s": took_s}).encode())
        answers.write(b"\n")
        answers.flush()


def perform_in_no_archive() -> None:
    """Load now what is loaded late, so that no child has to."""
    import alembic.command  # noqa: F401, PLC0415
    import obstore  # noqa: F401, PLC0415
    import psycopg  # noqa: F401, PLC0415
    import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401, PLC0415


def _waited(pid: int, kill_after_s: float | None) -> int:
    pidfd = os.pidfd_open(pid)
    try:
        readable, _, _ = select.select([pidfd], [], [], LIMIT_S if kill_after_s is None else kill_after_s)
        if not readable:
            os.kill(pid, signal.SIGKILL)
        return os.waitpid(pid, 0)[1]
    finally:
        os.close(pidfd)


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
