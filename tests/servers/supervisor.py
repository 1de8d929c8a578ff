"""Run one program, and end it with everything it started as soon as the test run ends, however that ends.

A script of its own (standard library only, started with `python -I -S`), because a SIGKILL leaves pytest no moment to
clean up. It holds the read end of a pipe whose write end only the test run has: end of file means the test run is gone.
Being the subreaper (prctl(2)) of all that the program starts, it finds daemons that left their session, too.

Argument: one JSON object: `argv`, `uid` and `gid` (null: unchanged), `remove_if_orphaned` (folders).
Standard output: `pid N`, later `exit CODE`. Standard error: the log of the program. Standard input: `stop SECONDS`,
where SECONDS are what the program has between SIGTERM and SIGKILL.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ORPHAN_CHECK_S = 1.0  # a forked copy of the test run may keep the pipe open, so the parent is looked at, too
ORPHAN_GRACE_S = 2.0

_libc = ctypes.CDLL(None, use_errno=True)


def main(options: dict[str, Any]) -> int:
    parent = os.getppid()
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    started, starting = os.pipe()  # closed by exec: a pid that is told has its own session already
    pid = os.fork()
    if pid == 0:
        _become(options)
    os.close(starting)
    os.read(started, 1)
    os.close(started)
    os.write(1, f"pid {pid}\n".encode())
    grace_s = _wait_for_an_end(pid, parent)
    code = _end(pid, ORPHAN_GRACE_S if grace_s is None else grace_s)
    _kill_the_rest()
    if grace_s is None:
        for folder in options["remove_if_orphaned"]:
            shutil.rmtree(folder, ignore_errors=True)
    with suppress(BrokenPipeError):  # nobody may be left to read it
        os.write(1, f"exit {code}\n".encode())
    return 0


def _become(options: dict[str, Any]) -> None:
    """Turn the forked child into the program; does not return."""
    try:
        os.setsid()
        if options["gid"] is not None:
            os.setgroups([])
            os.setgid(options["gid"])
        if options["uid"] is not None:
            os.setuid(options["uid"])
        # After setuid, which clears it (prctl(2)).
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(2, 1)
        os.execvp(options["argv"][0], options["argv"])  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"{options['argv'][0]} could not be started: {error.strerror}\n".encode())
    os._exit(127)


def _wait_for_an_end(pid: int, parent: int) -> float | None:
    """Seconds of grace that the test run granted; None when the test run is gone."""
    pidfd = os.pidfd_open(pid)
    command = b""
    try:
        while True:
            readable, _, _ = select.select([0, pidfd], [], [], ORPHAN_CHECK_S)
            if 0 in readable:
                octets = os.read(0, 100)
                command += octets
                if command.startswith(b"stop ") and command.endswith(b"\n"):
                    return float(command[5:])
                if not octets:
                    return None
            if pidfd in readable:
                return 0.0
            if os.getppid() != parent:
                return None
    finally:
        os.close(pidfd)


def _end(pid: int, grace_s: float) -> int:
    """End the program: SIGTERM, then SIGKILL; its exit code, negative for a signal."""
    deadline = time.monotonic() + grace_s
    pidfd = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGTERM)
        # A paused program handles no SIGTERM; its group was paused with it.
        os.killpg(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass
    readable, _, _ = select.select([pidfd], [], [], max(0.0, deadline - time.monotonic()))
    os.close(pidfd)
    if not readable:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _kill_the_rest() -> None:
    """Kill every process that descends from this one; those two levels down arrive here when their parents die."""
    while True:
        for child in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    mine = str(os.getpid())
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # proc(5): the name in parentheses may hold anything; the state and the parent's pid follow it.
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if fields[1] == mine:
            found.append(int(entry.name))
    return found


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
