"""A run that finds nothing new, over many folders: the whole command, and the engine in a warm process."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.contenders import CONTENDERS, Address
from bench.measuring import ENVIRONMENT, Table, first_sync, folder, measure

PEER = "mbsync without fsync"
WARM_RUNS = 15


@dataclass(frozen=True, slots=True)
class Warm:
    """What the engine needs in a process that is running already."""

    wall_ms: float
    cpu_ms: float
    cpu_ms_lowest: float
    cpu_ms_highest: float
    round_trips: int


def run(server: Address, rounds: int) -> tuple[Table, Warm]:
    """`server` is filled; every contender archives it first."""
    table = Table()
    contenders = [each for each in CONTENDERS if each.name in {"archivmail", PEER}]
    with folder() as scratch:
        targets = {each.name: scratch / each.name.replace(" ", "-") for each in contenders}
        for each in contenders:
            targets[each.name].mkdir()
            first_sync(each, server, targets[each.name])
        for _ in range(rounds):
            for each in contenders:
                assert each.noop is not None
                found = measure(each.name, each, each.noop(server, targets[each.name]), targets[each.name])
                table.add({each.name: list(found.values())[-1]})
        warm = _warm(server, targets["archivmail"] / "archive")
    return table, warm


def _warm(server: Address, archive: Path) -> Warm:
    command = [sys.executable, "-m", "bench.engine", server.host, str(server.port), str(archive), str(WARM_RUNS)]
    told = json.loads(subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True).stdout)
    return Warm(told["wallMs"], told["cpuMs"], told["cpuMsLowest"], told["cpuMsHighest"], told["roundTrips"])


def report(folders: int, table: Table, warm: Warm) -> None:
    peer = table[PEER].wall_s
    print(f"| nothing new in {folders} folders | wall s: median (min-max) | CPU s | wall / {PEER} |")
    print("|---|---|---|---|")
    for name, readings in table.items():
        print(f"| {name}, whole command | {readings.spread} | {readings.cpu_s:.3f} | {readings.wall_s / peer:.2f} |")
    wall_s, cpu_s = warm.wall_ms / 1000, warm.cpu_ms / 1000
    print(f"| archivmail, engine in a warm process | {wall_s:.3f} | {cpu_s:.4f} | {wall_s / peer:.2f} |")
    print(
        f"\nEngine: {warm.cpu_ms:.1f} ms of CPU a run ({warm.cpu_ms_lowest:.1f}-{warm.cpu_ms_highest:.1f}), "
        f"{warm.round_trips} round trips after the login."
    )
