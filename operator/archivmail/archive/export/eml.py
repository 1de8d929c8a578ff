"""One file per message, named as the mailbox looked, and `SHA256SUMS` that `sha256sum -c` reads.

Resumable: SHA256SUMS is read first, and what it lists is not written again while the file has its size. A file that it
does not list (the last moments before a crash) is hashed. Nothing that an export did not write is ever overwritten.
"""

import re
from hashlib import sha256
from pathlib import Path
from typing import IO

from archivmail.archive.export.claims import Claims
from archivmail.archive.export.names import account_path, distinct, message_path
from archivmail.archive.export.sink import PARTIAL, Octets, Put, make_directory, received_s, replacing
from archivmail.archive.rows import PlacementRow
from archivmail.model.message import ContentId

SUMS = "SHA256SUMS"
_DIGEST = re.compile("[0-9a-f]{64}")


class EmlTree:
    """See Sink."""

    def __init__(self, output: Path, claims: Claims, *, unique: bool) -> None:
        """`unique`: what an earlier call wrote under any name is not written again. Raises OSError."""
        self._output = output
        self._claims = claims
        self._unique = unique
        make_directory(output)
        self._recall()
        self._sums: IO[str] = (output / SUMS).open("a", encoding="ascii")
        self._last_directory = output

    def name(self, row: PlacementRow) -> str:
        return message_path(row)

    def put(self, row: PlacementRow, octets: Octets) -> Put:
        if self._unique and not self._claims.is_first(_earlier(account_path(row.account)), row.content_id):
            return Put.PRESENT
        name, is_listed = self._claims.name_for(message_path(row), row.content_id)
        if not is_listed and _is_other(self._output / name, row):
            name = distinct(name, row.content_id)
            self._claims.claim(name, row.content_id)
        path = self._output / name
        if is_listed and _has_size(path, row.size):
            return Put.PRESENT
        if not is_listed and _holds(path, row):
            self._list(name, row.content_id)
            return Put.PRESENT
        if path.parent != self._last_directory:
            make_directory(path.parent)
            self._last_directory = path.parent
        with replacing(path, path.with_name(f".{row.content_id.hex()[:16]}{PARTIAL}"), mtime=received_s(row)) as file:
            for piece in octets():
                file.write(piece)
        if not is_listed:
            self._list(name, row.content_id)
        return Put.WRITTEN

    def finish(self) -> None:
        self._sums.flush()

    def close(self) -> None:
        self._sums.close()

    def _list(self, name: str, content_id: ContentId) -> None:
        self._sums.write(f"{content_id.hex()}  {name}\n")

    def _recall(self) -> None:
        """Claim the names of earlier calls; a torn last line, or one of another form, counts for nothing."""
        try:
            lines = (self._output / SUMS).open(encoding="ascii", errors="replace")
        except FileNotFoundError:
            return
        torn = False
        with lines:
            for line in lines:
                digest, _, name = line.rstrip("\n").partition("  ")
                torn = not line.endswith("\n")
                if torn or not _DIGEST.fullmatch(digest):
                    continue
                content_id = ContentId(bytes.fromhex(digest))
                self._claims.claim(name, content_id)
                if (self._output / name).is_file():  # somebody may have removed it
                    self._claims.is_first(_earlier("/".join(name.split("/")[:2])), content_id)
        if torn:
            with (self._output / SUMS).open("a", encoding="ascii") as sums:
                sums.write("\n")


def _earlier(account: str) -> str:
    """The group of contents that stand in SHA256SUMS."""
    return f"earlier {account}"


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except (FileNotFoundError, NotADirectoryError):
        return False


def _holds(path: Path, row: PlacementRow) -> bool:
    if not _has_size(path, row.size):
        return False
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(1024 * 1024):
            digest.update(piece)
    return digest.digest() == row.content_id


def _is_other(path: Path, row: PlacementRow) -> bool:
    """Whether something stands there that is not this message."""
    return path.exists() and not _holds(path, row)
