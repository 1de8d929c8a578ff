"""One file per message, named as the mailbox looked, and a manifest that `sha256sum --check` reads.

Resumable: a file that is there and holds its message is not written again. Nothing that an export did not write is ever
overwritten.
"""

import re
from pathlib import Path

from archivmail.archive.export.journal import Journal, Written
from archivmail.archive.export.manifest import NAME
from archivmail.archive.export.names import account_path, distinct, message_path
from archivmail.archive.export.sink import (
    PARTIAL,
    Octets,
    Put,
    WriteManifest,
    digest_of,
    make_directory,
    put_manifest,
    received_s,
    replacing,
)
from archivmail.archive.rows import PlacementRow

_DIGEST = re.compile("[0-9a-f]{64}")


class EmlTree:
    """See Sink."""

    looks_itself = True

    def __init__(self, output: Path, journal: Journal, *, unique: bool) -> None:
        """`unique`: what an earlier export wrote under any name is not written again. Raises OSError."""
        self._output = output
        self._journal = journal
        self._unique = unique
        make_directory(output)
        self._recall()
        self._last_directory = output

    def name(self, row: PlacementRow) -> str:
        return message_path(row)

    def put(self, row: PlacementRow, octets: Octets) -> tuple[Put, Written]:
        if self._unique and (earlier := self._journal.owner(_earlier(row))) is not None:
            name = earlier.decode("ascii")
            if _holds(self._output / name, row):
                return Put.PRESENT, Written(name, row.content_id, row.size)
        name, is_known = self._journal.name_for(message_path(row), row.content_id)
        if not is_known and _is_other(self._output / name, row):
            name = distinct(name, row.content_id)
            self._journal.claim(name, row.content_id)
        path = self._output / name
        written = Written(name, row.content_id, row.size)
        if _holds(path, row):
            return Put.PRESENT, written
        if path.parent != self._last_directory:
            make_directory(path.parent)
            self._last_directory = path.parent
        with replacing(path, path.with_name(f".{row.content_id.hex()[:16]}{PARTIAL}"), mtime=received_s(row)) as file:
            for piece in octets():
                file.write(piece)
        return Put.WRITTEN, written

    def flush(self) -> dict[str, int]:
        return {}

    def finish(self, manifest: WriteManifest) -> None:
        put_manifest(self._output / NAME, manifest, below=None)

    def close(self) -> None:
        """Nothing is open."""

    def _recall(self) -> None:
        """Claim the names in the manifest of an earlier export; a line of another form counts for nothing."""
        try:
            lines = (self._output / NAME).open(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        with lines:
            for line in lines:
                digest, _, name = line.rstrip("\n").partition("  ")
                if not _DIGEST.fullmatch(digest) or not name.isascii():
                    continue
                self._journal.claim(name, bytes.fromhex(digest))
                account = "/".join(name.split("/")[:2])
                self._journal.claim(f"{account} {digest}", name.encode("ascii"))


def _earlier(row: PlacementRow) -> str:
    """A key beside the names, none of which has a blank: under which name an account has the content."""
    return f"{account_path(row.account)} {row.content_id.hex()}"


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except (FileNotFoundError, NotADirectoryError):
        return False


def _holds(path: Path, row: PlacementRow) -> bool:
    return _has_size(path, row.size) and digest_of(path) == row.content_id


def _is_other(path: Path, row: PlacementRow) -> bool:
    """Whether something stands there that is not this message."""
    return path.exists() and not _holds(path, row)
