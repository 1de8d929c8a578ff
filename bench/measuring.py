"""Run one process and read what it took: seconds of wall time and of CPU, and peak memory."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.contenders import Address, Contender

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@dataclass(frozen=True, slots=True)
class Reading:
    """One process: seconds of wall time, seconds of CPU, MiB of peak RSS."""

    wall_s: float
    cpu_s: float
    rss_mib: float


@dataclass(slots=True)
class Readings:
    """All rounds of one contender."""

    rounds: list[Reading] = field(default_factory=list)

    @property
    def wall_s(self) -> float:
        return statistics.median(each.wall_s for each in self.rounds)

    @property
    def cpu_s(self) -> float:
        return statistics.median(each.cpu_s for each in self.rounds)

    @property
    def rss_mib(self) -> float:
        return max(each.rss_mib for each in self.rounds)

    @property
    def spread(self) -> str:
        """`median (lowest-highest)` of wall time."""
        walls = [each.wall_s for each in self.rounds]
        return f"{self.wall_s:.2f} ({min(walls):.2f}-{max(walls):.2f})"


class Table(dict[str, Readings]):
    """Readings by the name of the contender."""

    def add(self, found: dict[str, Reading]) -> None:
        for name, reading in found.items():
            self.setdefault(name, Readings()).rounds.append(reading)


@contextmanager
def folder() -> Iterator[Path]:
    """One to archive into, gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="archivmail-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def measure(name: str, contender: Contender, command: list[str], target: Path) -> dict[str, Reading]:
    """Run one process; a reading at its end, and one at its milestone if it has one."""
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
            found[f"{name}: durable"] = _reading_of(process.pid, started)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{name} failed: {b''.join(output[-20:]).decode(errors='replace')}")
    print(f"  {name}: {wall:.2f} s", file=sys.stderr)
    end = Reading(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
    return found | {f"{name}: durable and indexed" if found else name: end}


def first_sync(contender: Contender, server: Address, target: Path) -> dict[str, Reading]:
    return measure(contender.name, contender, contender.command(server, target), target)


def _reading_of(pid: int, started: float) -> Reading:
    """What a process has used until now (proc(5))."""
    wall = time.monotonic() - started
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    peak_kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return Reading(wall, ticks / os.sysconf("SC_CLK_TCK"), peak_kib / 1024)
