"""The first sync of a smaller mailbox over lines with a round trip of 0, 20 and 100 ms."""

from __future__ import annotations

from bench.contenders import CONTENDERS, Address
from bench.measuring import Table, first_sync, folder
from tests.servers.toxiproxy import line_to

ROUND_TRIPS_MS = (0, 20, 100)
OURS = "archivmail: durable"
PEER = "mbsync without fsync"


def run(server: Address, rounds: int) -> dict[int, Table]:
    curve = {}
    contenders = [each for each in CONTENDERS if each.name in {"archivmail", PEER}]
    for round_trip_ms in ROUND_TRIPS_MS:
        table = curve[round_trip_ms] = Table()
        with line_to(server.host, server.port, round_trip_ms=round_trip_ms) as port:
            line = Address("127.0.0.1", port)
            for _ in range(rounds):
                for contender in contenders:
                    with folder() as target:
                        table.add(first_sync(contender, line, target))
    return curve


def report(curve: dict[int, Table], messages: int) -> None:
    print("| round trip ms | archivmail, messages/s | s | mbsync without fsync, messages/s | s | rate / mbsync |")
    print("|---|---|---|---|---|---|")
    for round_trip_ms, table in curve.items():
        ours, peer = (messages / table[name].wall_s for name in (OURS, PEER))
        spreads = table[OURS].spread, table[PEER].spread
        print(f"| {round_trip_ms} | {ours:.0f} | {spreads[0]} | {peer:.0f} | {spreads[1]} | {ours / peer:.2f} |")
