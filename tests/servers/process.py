"""Start a server as a process that can be waited for, paused, killed, and that never outlives the test run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

SUPERVISOR = Path(__file__).with_name("supervisor.py")
PROBE_PAUSE_S = 0.02
PAUSED_S = 5.0
LOG_EXCERPT_LINES = 30
NOBODY = 65534


class ServerFailedError(RuntimeError):
    """A server ended, or did not become ready in time; the text carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Identity:
    """User and group that a server runs as; None leaves them as they are."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def unprivileged(cls) -> Self:
        """The current user, or nobody where that is root."""
        return cls(NOBODY, NOBODY) if os.geteuid() == 0 else cls()

    @property
    def effective_uid(self) -> int:
        return os.geteuid() if self.uid is None else self.uid

    @property
    def extra_groups(self) -> list[int] | None:
        return None if self.gid is None else []

    @property
    def effective_gid(self) -> int:
        return os.getegid() if self.gid is None else self.gid


class ServerProcess:
    """One program in a session of its own, with its output in a log file. Ends with the test run at the latest."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        identity: Identity | None = None,
        remove_if_orphaned: Sequence[Path] = (),
    ) -> None:
        """Start it. `env` is added to the environment; `remove_if_orphaned` are folders removed if pytest dies."""
        self.name = Path(argv[0]).name
        self.log = log
        identity = identity or Identity()
        options = {
            "argv": [str(part) for part in argv],
            "uid": identity.uid,
            "gid": identity.gid,
            "remove_if_orphaned": [str(folder) for folder in remove_if_orphaned],
        }
        with log.open("ab") as output:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", str(SUPERVISOR), json.dumps(options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        assert self._supervisor.stdout is not None
        first = self._supervisor.stdout.readline()
        if not first.startswith(b"pid "):
            self._release()
            raise ServerFailedError(f"{self.name} could not be supervised; see its log:\n{self.log_excerpt()}")
        self.pid = int(first[4:])
        self._returncode: int | None = None

    @property
    def is_running(self) -> bool:
        return self._returncode is None and self._supervisor.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        if self._returncode is None and self._supervisor.poll() is not None:
            self._release()
        return self._returncode

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_excerpt(self) -> str:
        return "\n".join(self.log_text().splitlines()[-LOG_EXCERPT_LINES:])

    def wait_until(self, is_ready: Callable[[], bool], *, deadline_s: float = 30) -> None:
        """Return when `is_ready()` is true. Raises ServerFailedError when the server ends first, or at the deadline."""
        end = time.monotonic() + deadline_s
        while not is_ready():
            if not self.is_running:
                raise ServerFailedError(
                    f"{self.name} ended with {self.returncode}; its log ends:\n{self.log_excerpt()}"
                )
            if time.monotonic() > end:
                raise ServerFailedError(
                    f"{self.name} was not ready after {deadline_s:g} s; its log ends:\n{self.log_excerpt()}"
                )
            time.sleep(PROBE_PAUSE_S)

    def wait(self, timeout_s: float) -> int:
        """Wait until it ends by itself; its exit code. Raises ServerFailedError when it runs on after `timeout_s`."""
        try:
            self._supervisor.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise ServerFailedError(f"{self.name} still runs after {timeout_s:g} s") from None
        code = self.returncode
        assert code is not None
        return code

    def signal(self, signum: signal.Signals) -> None:
        """Signal the program alone; nothing happens when it has ended."""
        if self.is_running:
            os.kill(self.pid, signum)

    def kill(self) -> int:
        """End it by SIGKILL as a crash would; what it started is killed, too."""
        self.signal(signal.SIGKILL)
        return self.wait(10)

    def pause(self) -> None:
        """Stop it and its process group in its tracks: connections stay open and nothing answers."""
        os.killpg(self.pid, signal.SIGSTOP)
        # The signal is on its way when kill(2) returns; a thread on another core may still answer.
        deadline = time.monotonic() + PAUSED_S
        while not all(state in "TZ" for state in _states_of_group(self.pid)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"process group {self.pid} did not stop in {PAUSED_S:g} s")
            time.sleep(PROBE_PAUSE_S)

    def resume(self) -> None:
        os.killpg(self.pid, signal.SIGCONT)

    def stop(self, *, grace_s: float = 10) -> int:
        """End it: SIGTERM, after `grace_s` SIGKILL; then whatever it started. Its exit code. May be called twice."""
        if self.is_running:
            assert self._supervisor.stdin is not None
            try:
                self._supervisor.stdin.write(f"stop {grace_s}\n".encode())
                self._supervisor.stdin.flush()
            except BrokenPipeError:
                pass  # it ended in this moment
        return self.wait(grace_s + 10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _release(self) -> None:
        """Read the exit code that the supervisor left, and close the pipes."""
        stdin, stdout = self._supervisor.stdin, self._supervisor.stdout
        assert stdin is not None
        assert stdout is not None
        self._supervisor.wait()
        rest = stdout.read()
        stdout.close()
        with contextlib.suppress(BrokenPipeError):
            stdin.close()
        # Without a report the supervisor itself was killed, and the kernel killed the program with it.
        self._returncode = int(rest.split()[1]) if rest.startswith(b"exit ") else -signal.SIGKILL


def _states_of_group(group: int) -> Iterator[str]:
    """The state of each process of a group, as proc(5) tells it."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == group:
                    yield fields[0]
