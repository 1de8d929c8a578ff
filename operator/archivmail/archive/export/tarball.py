"""A plain tar (pax, POSIX.1-2001) of the eml tree's names, to a file or to a pipe.

A file is written under a temporary name and put in place whole. Each message is read to its end before its header is
written, because a tar cannot take a member back: small ones in memory, large ones in an unnamed temporary file.
"""

import tarfile
from contextlib import suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from archivmail.archive.export.claims import Claims
from archivmail.archive.export.names import message_path
from archivmail.archive.export.sink import PARTIAL, Octets, Put, make_directory, open_new, received_s
from archivmail.archive.rows import PlacementRow

_SPOOL_BYTES = 8 * 1024 * 1024


class _Forward:
    """A file that is written from front to end: tarfile asks even a pipe where it stands."""

    def __init__(self, file: BinaryIO) -> None:
        self._write = file.write
        self._at = 0

    def write(self, octets: bytes) -> int:
        self._write(octets)
        self._at += len(octets)
        return len(octets)

    def tell(self) -> int:
        return self._at


class Tarball:
    """See Sink."""

    def __init__(self, output: Path | BinaryIO, claims: Claims) -> None:
        """Raises OSError."""
        self._claims = claims
        self._path = output if isinstance(output, Path) else None
        self._temporary: Path | None = None
        if isinstance(output, Path):
            make_directory(output.parent)
            self._temporary = output.with_name(f".{output.name[:200]}{PARTIAL}")
            self._file: BinaryIO = open_new(self._temporary)
        else:
            self._file = output
        self._tar = tarfile.TarFile(fileobj=cast("BinaryIO", _Forward(self._file)), mode="w", format=tarfile.PAX_FORMAT)

    def name(self, row: PlacementRow) -> str:
        return message_path(row)

    def put(self, row: PlacementRow, octets: Octets) -> Put:
        name, is_there = self._claims.name_for(message_path(row), row.content_id)
        if is_there:
            return Put.PRESENT
        with SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
            try:
                for piece in octets():
                    spool.write(piece)
            except BaseException:
                self._claims.release(name)
                raise
            member = tarfile.TarInfo(name)
            member.size = spool.tell()
            member.mode = 0o600
            member.mtime = int(received_s(row) or 0)
            spool.seek(0)
            self._tar.addfile(member, spool)
        return Put.WRITTEN

    def finish(self) -> None:
        self._tar.close()
        self._file.flush()
        if self._temporary is not None and self._path is not None:
            self._file.close()
            self._temporary.replace(self._path)
            self._temporary = None

    def close(self) -> None:
        if self._temporary is not None:
            with suppress(OSError):
                self._file.close()
                self._temporary.unlink()
