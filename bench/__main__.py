"""First sync of 20,000 messages from Dovecot on loopback: archivmail beside mbsync with and without fsync.

Each contender starts from nothing, in turn, ROUNDS times; wall time, CPU and peak RSS of its process are taken by
wait4(2). archivmail has two readings: when every message is durable, and when the text index has caught up as well.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
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
                found = _measure(contender, server, target)
                if contender.noop is not None:
                    again = Contender(f"{contender.name}{NOOP}", contender.noop, None)
                    found |= _measure(again, server, target)
                for name, reading in found.items():
                    readings.setdefault(name, []).append(reading)
                shutil.rmtree(target)
        _report(readings, octets)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def _measure(contender: Contender, server: Dovecot, target: Path) -> dict[str, Reading]:
    """Run one process; a reading at its end, and one at its milestone if it has one."""
    command = contender.command(server, target)
    started = time.monotonic()
    found: dict[str, Reading] = {}
    process = subprocess.Popen(
        command, env={**ENVIRONMENT, "HOME": str(target)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    output = []
    for line in process.stdout:
        output.append(line)
        if contender.milestone and contender.milestone in line and not found:
            found[f"{contender.name}: durable"] = _reading_of(process.pid, started)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{contender.name} failed: {b''.join(output[-20:]).decode(errors='replace')}")
    print(f"  {contender.name}: {wall:.2f} s", file=sys.stderr)
    name = f"{contender.name}: durable and indexed" if found else contender.name
    return found | {name: Reading(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)}


def _reading_of(pid: int, started: float) -> Reading:
    """What a process has used until now (proc(5))."""
    wall = time.monotonic() - started
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    peak_kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return Reading(wall, ticks / os.sysconf("SC_CLK_TCK"), peak_kib / 1024)


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


ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

if __name__ == "__main__":
    main()
