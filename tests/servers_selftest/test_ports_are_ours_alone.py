"""Ports are never handed out twice, neither within a run nor to two runs side by side."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.servers import ports

CHECKOUT = Path(__file__).resolve().parents[2]
OTHER_RUN = """
import sys
from tests.servers import ports
ports.FIRST_PORT, ports.LAST_PORT = int(sys.argv[1]), int(sys.argv[1])
try:
    print(ports.reserve_port())
except OSError as error:
    print(error)
"""


def test_no_port_is_given_twice() -> None:
    """A reserved port is not given again before it was released."""
    reserved = [ports.reserve_port() for _ in range(50)]
    for port in reserved:
        ports.release_port(port)

    assert len(set(reserved)) == 50


def test_reserved_port_is_refused_to_another_run() -> None:
    """The reservation holds across processes and ends with the release."""
    port = ports.reserve_port()
    while_reserved = ask_another_run(port)
    ports.release_port(port)

    assert while_reserved.startswith("no free port")
    assert ask_another_run(port) == str(port)


def test_port_that_somebody_uses_is_passed_over() -> None:
    """A port in use by a stranger is not handed out."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]

        assert ports.is_open(port)
        assert ask_another_run(port).startswith("no free port")


def ask_another_run(port: int) -> str:
    command = [sys.executable, "-c", OTHER_RUN, str(port)]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
