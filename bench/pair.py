"""One connection and two, over a far line that gives each connection a rate of its own."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass, field
from statistics import median

from archivmail import app
from archivmail.archive.opening import open_archive
from archivmail.cli.progress import Silent
from archivmail.imap.connector import Connector
from archivmail.imap.limits import Limits
from archivmail.imap.pair import Pairing
from archivmail.imap.permits import Permits
from archivmail.model.account import AccountRef, AccountSpec, Credentials, Endpoint, Mechanism, Secret, TlsMode
from archivmail.model.outcome import Result
from archivmail.sync.account import Job
from archivmail.sync.ports import Connect
from bench.contenders import Address
from bench.filling import PASSWORD, USER
from bench.measuring import folder
from tests.servers.toxiproxy import line_to

LINES = ((100, 0), (100, 1000))
"""Milliseconds of a round trip, kilobytes a second for each connection (0: any)."""


@dataclass(slots=True)
class Walls:
    """Seconds of each round."""

    one: list[float] = field(default_factory=list)
    two: list[float] = field(default_factory=list)


def run(server: Address, rounds: int) -> dict[tuple[int, int], Walls]:
    found = {}
    for line in LINES:
        walls = found[line] = Walls()
        with line_to(server.host, server.port, round_trip_ms=line[0], kilobytes_per_s=line[1]) as port:
            for _ in range(rounds):
                walls.one.append(_wall_s(port, Connector(Permits())))
                # Loopback is no slow line by itself, whatever stands behind it.
                walls.two.append(_wall_s(port, Pairing(Connector(Permits(), limits=Limits(pair_always=True)))))
    return found


def report(found: dict[tuple[int, int], Walls], octets: int) -> None:
    print("| round trip ms | kB/s for each connection | connections | s: median (min-max) | MB/s |")
    print("|---|---|---|---|---|")
    for (round_trip_ms, rate), walls in found.items():
        for number, each in ((1, walls.one), (2, walls.two)):
            spread = f"{median(each):.2f} ({min(each):.2f}-{max(each):.2f})"
            print(f"| {round_trip_ms} | {rate or 'any'} | {number} | {spread} | {octets / 1e6 / median(each):.2f} |")
    print(f"\npeak RSS of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


def _wall_s(port: int, connect: Connect) -> float:
    """A first sync in this process, which is warm."""
    job = Job(
        AccountRef("default", "bench"),
        AccountSpec("127.0.0.1", port, "bench", TlsMode.DISABLED),
        Endpoint("127.0.0.1", port, TlsMode.DISABLED),
        Credentials(Mechanism.PASSWORD, USER, Secret(PASSWORD)),
    )
    with folder() as target, open_archive(str(target / "archive"), None, create=True) as archive:
        started = time.monotonic()
        outcome = app.run_once(archive, job, connect=connect, watcher=Silent(), should_stop=lambda: False, by="bench")
        if outcome.result is not Result.SUCCEEDED:
            sys.exit(f"the run failed: {outcome.failure}")
        return time.monotonic() - started
