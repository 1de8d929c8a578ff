"""What every server fixture rests on: a started program ends with the test run, however that ends."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.binaries import MissingProgramError, find_program
from tests.servers.process import ServerFailedError, ServerProcess

CHECKOUT = Path(__file__).resolve().parents[2]
SHELL = "/bin/sh"
ENDS_S = 20.0

RUN_THAT_IS_KILLED = """
import sys
from pathlib import Path
from tests.servers.process import ServerProcess
folder = Path(sys.argv[1])
server = ServerProcess(["/bin/sh", "-c", "sleep 600"], log=folder / "log", remove_if_orphaned=[folder])
print(server.pid, flush=True)
sys.stdin.read()
"""


def test_server_and_its_folder_are_gone_after_the_run_was_killed(tmp_path: Path) -> None:
    """SIGKILL of pytest leaves neither a process nor a folder."""
    folder = tmp_path / "server"
    folder.mkdir()
    command = [sys.executable, "-c", RUN_THAT_IS_KILLED, str(folder)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        server = os.pidfd_open(pid := int(run.stdout.readline()))
        supervisor = os.pidfd_open(parent_of(pid))
        run.kill()

    assert has_ended(server)
    assert has_ended(supervisor)
    assert not folder.exists()


def test_daemon_that_left_its_session_is_ended_too(tmp_path: Path) -> None:
    """A program's double-forked child does not survive the program."""
    note = tmp_path / "pid"
    script = f"setsid sh -c 'echo $$ >{note}.new; mv {note}.new {note}; exec sleep 600' & exec sleep 600"
    with ServerProcess([SHELL, "-c", script], log=tmp_path / "log") as server:
        server.wait_until(note.exists)
        daemon = os.pidfd_open(int(note.read_text()))

    assert has_ended(daemon)


def test_stubborn_program_is_killed_after_its_grace(tmp_path: Path) -> None:
    """A program that ignores SIGTERM ends by SIGKILL."""
    ready = tmp_path / "ready"
    server = ServerProcess([SHELL, "-c", f"trap '' TERM; >{ready}; sleep 600 & wait"], log=tmp_path / "log")
    server.wait_until(ready.exists)

    assert server.stop(grace_s=0.2) == -signal.SIGKILL
    assert not server.is_running


def test_paused_program_can_be_stopped(tmp_path: Path) -> None:
    """A program in SIGSTOP still takes its SIGTERM."""
    with ServerProcess([SHELL, "-c", "exec sleep 600"], log=tmp_path / "log") as server:
        server.pause()

        assert server.stop(grace_s=10) == -signal.SIGTERM


def test_exit_code_is_reported(tmp_path: Path) -> None:
    """A program that ends by itself leaves its code, and stopping it again is no error."""
    server = ServerProcess([SHELL, "-c", "exit 7"], log=tmp_path / "log")

    assert server.wait(ENDS_S) == 7
    assert server.stop() == 7


def test_server_that_dies_at_start_shows_its_log(tmp_path: Path) -> None:
    """The error carries the code and the last lines of the log."""
    server = ServerProcess([SHELL, "-c", "echo no such setting >&2; exit 3"], log=tmp_path / "log")

    with pytest.raises(ServerFailedError, match=r"ended with 3.*\n.*no such setting"):
        server.wait_until(lambda: False)


def test_server_that_is_never_ready_has_a_deadline(tmp_path: Path) -> None:
    """Waiting for readiness has a limit, and it is named."""
    with (
        ServerProcess([SHELL, "-c", "exec sleep 600"], log=tmp_path / "log") as server,
        pytest.raises(ServerFailedError, match=r"not ready after 0\.1 s"),
    ):
        server.wait_until(lambda: False, deadline_s=0.1)


def test_missing_program_names_the_command_that_installs_it() -> None:
    """The error is an instruction."""
    with pytest.raises(MissingProgramError, match="no-such-program is missing: run `make tools`"):
        find_program("no-such-program")


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def has_ended(pidfd: int) -> bool:
    try:
        return bool(select.select([pidfd], [], [], ENDS_S)[0])
    finally:
        os.close(pidfd)
