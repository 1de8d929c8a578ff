"""The manifest: what an export wrote, with the SHA-256 of every message; written last, in one piece.

Lines are those that `sha256sum --check` reads: 64 hexadecimal digits, two blanks, the name of a file. What is told
about the export stands above them in lines that begin with `#`, which it passes over. A message within an mbox is no
file: it has a line `#message SHA-256 START LENGTH NAME` (its octets without the quoting; where the quoted ones stand),
and the mbox itself has a line of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from archivmail import __version__
from archivmail.archive.export.journal import Journal
from archivmail.archive.export.report import Failure
from archivmail.archive.export.sink import digest_of

NAME = "MANIFEST.sha256"
"""In the output directory and within a tar; beside a tar it has the tar's name in front."""

_MAX_TOLD = 4096


@dataclass(frozen=True, slots=True)
class About:
    """What a manifest says of its export."""

    format: str
    query: str
    accounts: tuple[str, ...]
    unique: bool
    ended_at: datetime
    failed: int = 0
    failures: tuple[Failure, ...] = ()


def write(out: BinaryIO, about: About, journal: Journal, *, below: Path | None) -> str:
    """Write the manifest; gives its own SHA-256. `below`: where files that hold several messages stand."""
    digest = sha256()
    for line in _lines(about, journal, below):
        octets = f"{line}\n".encode()
        digest.update(octets)
        out.write(octets)
    return digest.hexdigest()


def _lines(about: About, journal: Journal, below: Path | None) -> Iterator[str]:
    messages, octets = journal.totals()
    yield f"# export of archivmail {__version__}"
    yield f"# ended: {about.ended_at:%Y-%m-%dT%H:%M:%SZ}"
    yield f"# format: {about.format}{', each message once' if about.unique else ''}"
    yield f"# accounts: {_told(', '.join(about.accounts)) or 'all'}"
    yield f"# query: {_told(about.query) or 'none, everything'}"
    yield f"# messages: {messages}"
    yield f"# octets: {octets}"
    yield f"# complete: {f'no, {about.failed} could not be read' if about.failed else 'yes'}"
    for failure in about.failures:
        yield f"# not exported: {failure.content_id} {_told(failure.name)}: {_told(failure.error)}"
    last = ""
    for each in journal.done():
        if each.name != last:
            last = each.name
            digest = each.content_id if below is None else digest_of(below / each.name)
            yield f"{digest.hex()}  {each.name}"
        if below is not None:
            yield f"#message {each.content_id.hex()} {each.start} {each.length} {each.name}"


def _told(text: str) -> str:
    """On one line, whatever was typed."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:_MAX_TOLD]
