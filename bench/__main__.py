"""First sync of 20,000 messages from Dovecot on loopback: archivmail beside mbsync with and without fsync.

Each contender starts from nothing, in turn, ROUNDS times; wall time and peak RSS of its process are taken by wait4(2).
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.contenders import CONTENDERS, NOOP, Contender
from bench.filling import filled_server
from tests.servers.dovecot import Dovecot


@dataclass(frozen=True, slots=True)
class Reading:
    """One process: seconds of wall time, seconds of CPU, MiB of peak RSS."""

    wall_s: float
    cpu_s: float
    rss_mib: float


def main() -> None:
    options = _options()
    print(f"# {platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="archivmail-bench-") as scratch, Dovecot() as server:
        octets = filled_server(server, options.messages)
        print(f"# {options.messages} messages, {octets / 1e6:.0f} MB, {options.rounds} rounds\n")
        readings: dict[str, list[Reading]] = {}
        for number in range(options.rounds):
            for contender in CONTENDERS:
                target = Path(scratch) / f"{contender.name.replace(' ', '-')}-{number}"
                target.mkdir()
                readings.setdefault(contender.name, []).append(_measure(contender, server, target))
                if contender.noop is not None:
                    again = Contender(f"{contender.name}{NOOP}", contender.noop, None)
                    readings.setdefault(again.name, []).append(_measure(again, server, target))
                shutil.rmtree(target)
        _report(readings, octets)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _measure(contender: Contender, server: Dovecot, target: Path) -> Reading:
    command = contender.command(server, target)
    started = time.monotonic()
    pid = os.posix_spawn(command[0], command, {**os.environ, "HOME": str(target)}, file_actions=_silence(target))
    _, status, usage = os.wait4(pid, 0)
    wall = time.monotonic() - started
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{contender.name} failed: {(target / 'output').read_text(errors='replace')[-2000:]}")
    print(f"  {contender.name}: {wall:.2f} s", file=sys.stderr)
    return Reading(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _silence(target: Path) -> list[tuple[int, int, str, int, int]]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return [(os.POSIX_SPAWN_OPEN, fd, str(target / "output"), flags, 0o600) for fd in (1, 2)]  # type: ignore[misc]


def _report(readings: dict[str, list[Reading]], octets: int) -> None:
    print("| contender | wall s: median (min-max) | MB/s | CPU s | peak RSS MiB | wall / mbsync with fsync |")
    print("|---|---|---|---|---|---|")
    peer = statistics.median(each.wall_s for each in readings["mbsync with fsync"])
    for name, each in readings.items():
        walls = [reading.wall_s for reading in each]
        wall = statistics.median(walls)
        rate = "" if name.endswith(NOOP) else f"{octets / 1e6 / wall:.0f}"
        ratio = "" if name.endswith(NOOP) else f"{wall / peer:.2f}"
        cpu = statistics.median(reading.cpu_s for reading in each)
        rss = max(reading.rss_mib for reading in each)
        print(f"| {name} | {wall:.2f} ({min(walls):.2f}-{max(walls):.2f}) | {rate} | {cpu:.2f} | {rss:.0f} | {ratio} |")


Command = Callable[[Dovecot, Path], list[str]]

if __name__ == "__main__":
    main()
