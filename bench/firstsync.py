"""The first sync of a large mailbox over loopback: everybody in turn, from nothing."""

from __future__ import annotations

from bench.contenders import CONTENDERS, NOOP, Address
from bench.measuring import Reading, Table, first_sync, folder, measure

PEER = "mbsync without fsync"
STRICT_PEER = "mbsync with fsync"


def run(server: Address, rounds: int) -> Table:
    table = Table()
    for _ in range(rounds):
        for contender in CONTENDERS:
            with folder() as target:
                table.add(first_sync(contender, server, target))
                if contender.noop is not None:
                    again = contender.noop(server, target)
                    table.add({f"{contender.name}{NOOP}": _last(measure(contender.name, contender, again, target))})
    return table


def _last(found: dict[str, Reading]) -> Reading:
    return list(found.values())[-1]


def report(table: Table, octets: int) -> None:
    print("| contender | wall s: median (min-max) | MB/s | CPU s | peak RSS MiB | wall / mbsync | wall / with fsync |")
    print("|---|---|---|---|---|---|---|")
    for name, readings in table.items():
        if name.endswith(NOOP):
            rate, strict, peer = "", "", table[PEER + NOOP].wall_s
        else:
            rate, peer = f"{octets / 1e6 / readings.wall_s:.0f}", table[PEER].wall_s
            strict = f"{readings.wall_s / table[STRICT_PEER].wall_s:.2f}"
        cells = (name, readings.spread, rate, f"{readings.cpu_s:.2f}", f"{readings.rss_mib:.0f}")
        print(f"| {' | '.join(cells)} | {readings.wall_s / peer:.2f} | {strict} |")
