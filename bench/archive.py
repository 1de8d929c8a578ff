"""`verify --full` and `rebuild` of an archive of generated mail, and its size beside a Maildir and a `tar | zstd`.

python -m bench archive [--messages N] [--rounds N]

Each command is a process of its own; its wall time, CPU and peak RSS (of it or of its largest worker) are by wait4(2).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from archivmail.archive.opening import open_archive
from tests.archive.builders import ALICE, NoFsync, begin, fetched
from tests.corpus.realistic import messages

CHECKPOINT = 2000
PEER = "zstd and sha256sum"
MILLION = 1e6
REBUILD = """
import sys

if __name__ == "__main__":  # the command's own workers do not import the catalog either
    from archivmail.archive.opening import open_for_rebuild

    with open_for_rebuild(sys.argv[1]) as archive:
        archive.rebuild()
"""


@dataclass(frozen=True, slots=True)
class Reading:
    wall_s: float
    cpu_s: float
    rss_mib: float


def main(arguments: Sequence[str]) -> None:
    options = _options(arguments)
    print(f"# {platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="archivmail-bench-") as scratch:
        folder = Path(scratch)
        raw = _fill(folder, options.messages)
        print(f"# {options.messages} messages, {raw / MILLION:.0f} MB, {options.rounds} rounds\n")
        script = folder / "rebuild.py"
        script.write_text(REBUILD)
        archive = str(folder / "archive")
        commands = {
            "verify --full": [sys.executable, "-m", "archivmail", "verify", "--full", "--archive", archive],
            "verify": [sys.executable, "-m", "archivmail", "verify", "--archive", archive],
            "rebuild, without its text index": [sys.executable, str(script), archive],
        }
        # The least that a reader of every octet has to do, by C tools on all cores.
        packs = f"find {folder / 'archive' / 'packs'} -name '*.tar.zst' -print0"
        hashed = f"{packs} | xargs -0 -n 1 -P {os.cpu_count()} sh -c 'zstd -dqc \"$0\" | sha256sum'"
        commands[PEER] = ["bash", "-euo", "pipefail", "-c", hashed]
        readings: dict[str, list[Reading]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, command in commands.items():
                readings[name].append(_measure(name, command))
        _report(readings, raw, options.messages)
        _sizes(folder, raw)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench archive", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args(arguments)


def _fill(folder: Path, count: int) -> int:
    """An archive, and the same messages as files of a Maildir; gives the sum of their octets."""
    raw = 0
    (folder / "maildir").mkdir()
    with open_archive(str(folder / "archive"), create=True, durability=NoFsync()) as archive:
        writer = archive.take(ALICE)
        with closing(writer):
            epoch = begin(writer)
            for uid, octets in enumerate(messages(count), 1):
                raw += len(octets)
                writer.store(epoch, fetched(uid, octets))
                (folder / "maildir" / f"{uid}").write_bytes(octets)
                if writer.unsaved_messages >= CHECKPOINT:
                    writer.checkpoint()
            writer.checkpoint()
    return raw


def _measure(name: str, command: list[str]) -> Reading:
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    print(f"  {name}: {wall:.2f} s", file=sys.stderr)
    return Reading(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _report(readings: dict[str, list[Reading]], raw: int, count: int) -> None:
    peer = statistics.median(reading.wall_s for reading in readings[PEER])
    print(f"| command | wall s: median (min-max) | raw MB/s | messages/s | CPU s | peak RSS MiB | wall / {PEER} |")
    print("|---|---|---|---|---|---|---|")
    for name, each in readings.items():
        walls = [reading.wall_s for reading in each]
        wall = statistics.median(walls)
        cpu = statistics.median(reading.cpu_s for reading in each)
        rss = max(reading.rss_mib for reading in each)
        spread = f"{wall:.2f} ({min(walls):.2f}-{max(walls):.2f})"
        rates = f"{raw / MILLION / wall:.0f} | {count / wall:.0f}"
        print(f"| {name} | {spread} | {rates} | {cpu:.1f} | {rss:.0f} | {wall / peer:.1f} |")


def _sizes(folder: Path, raw: int) -> None:
    """What is stored, in octets on disk, beside what others would store of the same mail."""
    packed = folder / "mail.tar.zst"
    pack = f"tar -C {folder} -cf - maildir | zstd -q -3 -o {packed}"
    subprocess.run(["bash", "-euo", "pipefail", "-c", pack], check=True)
    verified = subprocess.run(
        [sys.executable, "-m", "archivmail", "verify", "--json", "--archive", str(folder / "archive")],
        check=True,
        capture_output=True,
    )
    assert json.loads(verified.stdout)["bytes"] <= raw
    print("\n| stored | MB | of the raw octets |")
    print("|---|---|---|")
    for name, octets in {
        "raw octets": raw,
        "archivmail: packs": _on_disk(folder / "archive" / "packs"),
        "archivmail: catalog, without text index": _on_disk(folder / "archive" / "catalog.db"),
        "Maildir (mbsync)": _on_disk(folder / "maildir"),
        "tar, zstd -3": _on_disk(packed),
    }.items():
        print(f"| {name} | {octets / MILLION:.0f} | {octets / raw:.0%} |")


def _on_disk(path: Path) -> int:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_blocks * 512 for each in files)
