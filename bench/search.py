"""Search over 200,000 messages on SQLite and on PostgreSQL: `python -m bench search`.

One archive is filled by the archive's own writer, indexed, and asked; then a PostgreSQL catalog is rebuilt from its
packs, indexed and asked the same. Queries are drawn from the mail itself, QUERIES of each kind, each asked ROUNDS times
after one to warm up. Commands run as processes of their own for their peak memory.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.querytext import parse
from archivmail.archive.opening import open_archive, open_for_rebuild
from archivmail.model.account import AccountRef
from bench.corpus import ACCOUNTS, FOLDERS, Mailboxes
from tests.archive.builders import NoFsync, begin, fetched, folder
from tests.servers.postgresql import PostgreSql

ROUNDS = 5
QUERIES = 20
NAMESPACE = "bench"
IMAP_DATE = "%d-%b-%Y %H:%M:%S +0000"


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench search", description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--scratch", type=Path, help="keep the archive there, and use it when it is there already")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        made = options.scratch or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="archivmail-bench-")))
        mail = Mailboxes()
        text_octets = _filled(made, mail, options.messages)
        queries = list(_queries(Mailboxes(), random.Random(7)))
        print(
            "| catalog | indexed messages/s | index / raw text | search ms: median | p95 | slowest |\n"
            "|---|---|---|---|---|---|"
        )
        slow: dict[str, dict[str, list[float]]] = {}
        with open_archive(str(made / "archive"), create=False) as archive:
            rate = _drained(archive)
            slow["SQLite"] = _asked(archive, queries)
        _row("SQLite", rate, _sqlite_octets(made / "archive" / "catalog.db") / text_octets, slow["SQLite"])
        with PostgreSql() as server:
            database = server.create_database()
            with open_for_rebuild(str(made / "archive"), database.url) as archive:
                started = time.monotonic()
                report = archive.rebuild()
                print(f"rebuild: {report.messages / (time.monotonic() - started):.0f} messages/s", file=sys.stderr)
            with open_archive(str(made / "archive"), database.url, create=False) as archive:
                rate = _drained(archive)
                with database.connect() as connection:
                    connection.execute("VACUUM ANALYZE")
                slow["PostgreSQL"] = _asked(archive, queries)
            with database.connect() as connection:
                [octets] = connection.execute("SELECT pg_total_relation_size('message_text')").fetchone()
            _row("PostgreSQL", rate, octets / text_octets, slow["PostgreSQL"])
        print("\n| query | " + " | ".join(f"{name}: median, p95, slowest ms" for name in slow) + " |\n|---|---|---|")
        for kind in next(iter(slow.values())):
            print(f"| {kind} | " + " | ".join(_three(each[kind]) for each in slow.values()) + " |")
        print("\n| command | peak RSS MiB | wall s |\n|---|---|---|")
        for name, command in _commands(made):
            print(f"| `{name}` | {' | '.join(f'{number:.1f}' for number in _measured(command))} |")


def _filled(made: Path, mail: Mailboxes, count: int) -> int:
    """Fill the archive unless it is there; octets of headers and text parts of all messages."""
    noted = made / "text-octets"
    if noted.exists():
        return int(noted.read_text())
    text = raw = 0
    started, cpu = time.monotonic(), time.process_time()
    with open_archive(str(made / "archive"), create=True, durability=NoFsync()) as archive:
        writers = {name: archive.take(AccountRef(NAMESPACE, name)) for name in ACCOUNTS}
        epochs = {
            (account, name): begin(writers[account], folder(name.encode())) for account in ACCOUNTS for name in FOLDERS
        }
        for number, sample in enumerate(mail.messages(count), 1):
            message = fetched(number, sample.octets, date=sample.received.strftime(IMAP_DATE))
            writers[sample.account].store(epochs[sample.account, sample.folder], message)
            text += sample.text_octets
            raw += len(sample.octets)
            if number % 5000 == 0:
                for writer in writers.values():
                    writer.checkpoint()
        for writer in writers.values():
            writer.checkpoint()
            writer.close()
    print(f"# {count} messages, {raw / 1e6:.0f} MB, of which headers and text {text / 1e6:.0f} MB")
    print(f"filled in {time.monotonic() - started:.0f} s, CPU {time.process_time() - cpu:.0f} s", file=sys.stderr)
    noted.write_text(str(text))
    return text


def _drained(archive: Archive) -> float:
    """Messages indexed in a second."""
    started, cpu, done = time.monotonic(), time.process_time(), 0
    while number := archive.drain_index(max_messages=5000):
        done += number
    print(f"indexed {done}: CPU {1000 * (time.process_time() - cpu) / max(done, 1):.2f} ms each", file=sys.stderr)
    return done / (time.monotonic() - started)


def _queries(mail: Mailboxes, chance: random.Random) -> Iterator[tuple[str, str]]:
    texts = [sample for sample in mail.messages(3000) if b"base64" not in sample.octets]

    def words(low: int, high: int, count: int = 1) -> str:
        return " ".join(mail.words[chance.randrange(low, high)] for _ in range(count))

    def phrase() -> str:
        lines = chance.choice(texts).octets.decode().split("\r\n\r\n", 1)[1].split("\r\n")
        found = next((line.split() for line in lines if line.count(" ") > 5 and line[0] not in "<>-"), ["the", "to"])
        at = chance.randrange(max(1, len(found) - 3))
        return f'"{" ".join(found[at : at + 3])}"'

    def han(count: int) -> str:
        return "".join(mail.han[chance.randrange(300)] for _ in range(count))

    kinds = {
        "rare word": lambda: words(20_000, 60_000),
        "word": lambda: words(500, 5000),
        "common word": lambda: words(0, 60),
        "two common words": lambda: words(0, 60, 2),
        "three words": lambda: words(50, 1500, 3),
        "phrase": phrase,
        "from: an address": lambda: f"from:{chance.choice(mail.people)}",
        "to: a name": lambda: f"to:{chance.choice(mail.people).partition('.')[0]}",
        "subject: a word": lambda: f"subject:{words(0, 3000)}",
        "word in a month": lambda: f"{words(60, 2000)} after:2018-03-01 before:2018-04-01",
        "common word in a folder": lambda: f"{words(0, 60)} folder:{chance.choice(FOLDERS)}",
        "common word with attachment": lambda: f"{words(0, 200)} has:attachment",
        "ticket number": lambda: f"T-{chance.randrange(190_000):07d}",
        "two Chinese characters": lambda: han(2),
        "one Chinese character": lambda: han(1),
        "everything": lambda: "",
    }
    for kind, make in kinds.items():
        for _ in range(QUERIES):
            yield kind, make()


def _asked(archive: Archive, queries: list[tuple[str, str]]) -> dict[str, list[float]]:
    """Milliseconds of every question, by kind."""
    found: dict[str, list[float]] = {}
    for number in range(ROUNDS + 1):
        for kind, query in queries:
            started = time.perf_counter()
            archive.search(parse(query), limit=50)
            if number:
                found.setdefault(kind, []).append(1000 * (time.perf_counter() - started))
    return found


def _sqlite_octets(catalog: Path) -> int:
    """Of the text index: what the file is smaller without it."""
    copy = catalog.with_name("copy.db")
    sizes = []
    for statement in ("SELECT 1", "DROP TABLE message_text"):
        subprocess.run([sys.executable, "-c", _COMPACT, str(catalog), str(copy), statement], check=True)
        sizes.append(copy.stat().st_size)
        copy.unlink()
    return sizes[0] - sizes[1]


_COMPACT = """
import shutil, sqlite3, sys
shutil.copy(sys.argv[1], sys.argv[2])
connection = sqlite3.connect(sys.argv[2], isolation_level=None)
connection.execute(sys.argv[3])
connection.execute("VACUUM")
"""


def _row(name: str, rate: float, ratio: float, slow: dict[str, list[float]]) -> None:
    every = [each for kind in slow.values() for each in kind]
    print(f"| {name} | {rate:.0f} | {100 * ratio:.1f} % | {_three(every).replace(', ', ' | ')} |", flush=True)


def _three(milliseconds: list[float]) -> str:
    p95 = statistics.quantiles(milliseconds, n=20)[-1] if len(milliseconds) > 1 else milliseconds[0]
    return f"{statistics.median(milliseconds):.1f}, {p95:.1f}, {max(milliseconds):.1f}"


def _commands(made: Path) -> Iterator[tuple[str, list[str]]]:
    archive = ["--archive", str(made / "archive")]
    message = next(Mailboxes().messages(1))
    content_id = sha256(message.octets).hexdigest()
    shutil.rmtree(made / "out", ignore_errors=True)
    yield "search the", ["search", "the", *archive]
    yield "search the --limit 10000 --json", ["search", "the", "--limit", "10000", "--json", *archive]
    yield "show", ["show", content_id, *archive]
    yield "show --raw", ["show", content_id, "--raw", *archive]
    yield "status", ["status", *archive]
    yield "export (one account)", ["export", "-a", ACCOUNTS[0], "--output", str(made / "out" / "eml"), *archive]
    yield (
        "export --format maildir (query)",
        ["export", "meeting", "--format", "maildir", "--output", str(made / "out" / "maildir"), *archive],
    )
    yield (
        "export --format mbox (one account)",
        ["export", "-a", ACCOUNTS[1], "--format", "mbox", "--output", str(made / "out" / "mbox"), *archive],
    )
    yield (
        "export --format tar (one account)",
        ["export", "-a", ACCOUNTS[2], "--format", "tar", "--output", str(made / "out" / "mail.tar"), *archive],
    )
    yield "verify", ["verify", *archive]
    yield "verify --full", ["verify", "--full", *archive]
    yield "stats", ["stats", *archive]
    yield "audit --verify", ["audit", "--verify", *archive]
    yield "upkeep", ["upkeep", *archive]


def _measured(arguments: list[str]) -> tuple[float, float]:
    """Peak RSS in MiB and seconds of wall time. A small process starts it: a child counts what it was forked from."""
    told = subprocess.run([sys.executable, "-c", _CHILD, *arguments], check=True, capture_output=True, text=True).stdout
    peak_kib, wall_s = told.split()
    return int(peak_kib) / 1024, float(wall_s)


_CHILD = """
import os, subprocess, sys, time
started = time.monotonic()
command = [sys.executable, "-m", "archivmail", *sys.argv[1:]]
process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
if process.returncode not in (0, 1):
    sys.exit(f"{sys.argv[1]} ended with {process.returncode}")
print(usage.ru_maxrss, time.monotonic() - started)
"""
