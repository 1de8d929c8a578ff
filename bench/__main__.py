"""archivmail beside mbsync, on one Dovecot on loopback, everybody in turn, in one run. See docs/benchmarks.md.

1. First sync of 20,000 messages. 2. First sync of 2,000 messages over round trips of 0, 20 and 100 ms.
3. Nothing new in 200 folders. 4. Nothing new in 50 folders. 5. One connection and two, over 100 ms.
`python -m bench search` measures the search instead (search.py), `python -m bench operator` the operator (scale.py),
`python -m bench archive` what reads a whole archive (archive.py).
"""

from __future__ import annotations

import argparse
import os
import platform
import sys

from bench import archive, firstsync, latency, nothingnew, pair, scale, search
from bench.contenders import Address
from bench.filling import filled_server, many_folders
from tests.servers.dovecot import Dovecot

PARTS = ("first", "latency", "many", "few", "pair")
OTHERS = {"search": search.main, "operator": scale.main, "archive": archive.main}
MANY, FEW = 200, 50


def main() -> None:
    if sys.argv[1:] and (other := OTHERS.get(sys.argv[1])):
        other(sys.argv[2:])
        return
    options = _options()
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"# {platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load}")
    if "first" in options.only:
        with Dovecot() as server:
            octets = filled_server(server, options.messages)
            print(f"\n## First sync: {options.messages} messages, {octets / 1e6:.0f} MB, {options.rounds} rounds\n")
            firstsync.report(firstsync.run(_address(server), options.rounds), octets)
    if "latency" in options.only:
        count = options.messages // 10
        with Dovecot() as server:
            octets = filled_server(server, count)
            print(f"\n## Round trips: {count} messages, {octets / 1e6:.0f} MB, {options.rounds} rounds\n")
            latency.report(latency.run(_address(server), options.rounds), count)
    for part, folders in (("many", MANY), ("few", FEW)):
        if part in options.only:
            with Dovecot() as server:
                many_folders(server, folders)
                print(f"\n## Nothing new: {folders} folders, {options.rounds} rounds\n")
                nothingnew.report(folders, *nothingnew.run(_address(server), options.rounds))
    if "pair" in options.only:
        count = options.messages // 20
        with Dovecot() as server:
            octets = filled_server(server, count, ("INBOX",))
            print(f"\n## Two connections: {count} messages, {octets / 1e6:.0f} MB, {options.rounds} rounds\n")
            pair.report(pair.run(_address(server), options.rounds), octets)


def _address(server: Dovecot) -> Address:
    return Address(server.host, server.port)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
