"""Lines as on a real network: a TCP proxy that holds everything back for a while, and lets no more through."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from .binaries import find_program
from .ports import is_open, release_port, reserve_port

READY_S = 10.0


@contextmanager
def line_to(host: str, port: int, *, round_trip_ms: int = 0, kilobytes_per_s: int = 0) -> Iterator[int]:
    """The port on loopback behind which the server seems to be so far away; the rate is that of each connection."""
    control, listen = reserve_port(), reserve_port()
    process = subprocess.Popen(
        [find_program("toxiproxy-server"), "-host", "127.0.0.1", "-port", str(control)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_open(control)
        proxy = {
            "name": "imap",
            "listen": f"127.0.0.1:{listen}",
            "upstream": f"{host}:{port}",
            "enabled": True,
        }
        _post(control, "/proxies", proxy)
        for stream in ("upstream", "downstream"):
            toxic = {"type": "latency", "stream": stream, "attributes": {"latency": round_trip_ms // 2}}
            if round_trip_ms:
                _post(control, "/proxies/imap/toxics", toxic)
        if kilobytes_per_s:
            toxic = {"type": "bandwidth", "stream": "downstream", "attributes": {"rate": kilobytes_per_s}}
            _post(control, "/proxies/imap/toxics", toxic)
        yield listen
    finally:
        process.terminate()
        process.wait()
        release_port(control)
        release_port(listen)


def _wait_until_open(port: int) -> None:
    deadline = time.monotonic() + READY_S
    while not is_open(port):
        if time.monotonic() > deadline:
            raise TimeoutError(f"toxiproxy did not start within {READY_S:g} s")
        time.sleep(0.02)


def _post(port: int, path: str, document: dict[str, object]) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=json.dumps(document).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "archivmail-tests"},
    )
    with urllib.request.urlopen(request, timeout=READY_S) as answer:
        answer.read()
