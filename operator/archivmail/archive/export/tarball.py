"""A plain tar (pax, POSIX.1-2001) of the eml tree's names, to a file or to a pipe.

A file is written under a temporary name and put in place whole; an export that was stopped goes on behind the last
member that is known to be on the disk. Each message is read to its end before its header is
written, because a tar cannot take a member back: small ones in memory, large ones in an unnamed temporary file.
"""

import tarfile
import time
from contextlib import suppress
from pathlib import Path
from shutil import copyfileobj
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from archivmail.archive.export import manifest as manifests
from archivmail.archive.export.journal import Journal, Written
from archivmail.archive.export.names import message_path
from archivmail.archive.export.sink import (
    PARTIAL,
    Octets,
    Put,
    WriteManifest,
    make_directory,
    open_new,
    put_manifest,
    received_s,
    reopened,
    synced,
)
from archivmail.archive.rows import PlacementRow

_SPOOL_BYTES = 8 * 1024 * 1024


class _Forward:
    """A file that is written from front to end: tarfile asks even a pipe where it stands."""

    def __init__(self, file: BinaryIO, at: int) -> None:
        self._write = file.write
        self._at = at

    def write(self, octets: bytes) -> int:
        self._write(octets)
        self._at += len(octets)
        return len(octets)

    def tell(self) -> int:
        return self._at


class Tarball:
    """See Sink."""

    looks_itself = False

    def __init__(self, output: Path | BinaryIO, journal: Journal) -> None:
        """Raises OSError."""
        self._journal = journal
        self._path = output if isinstance(output, Path) else None
        at = 0
        if isinstance(output, Path):
            make_directory(output.parent)
            self._temporary = output.with_name(f".{output.name[:200]}{PARTIAL}")
            at = journal.files().get(self._temporary.name, 0)
            if at and not self._temporary.exists():
                output.replace(self._temporary)  # the end came between the renaming and the manifest
            self._file: BinaryIO = reopened(self._temporary, at) if at else open_new(self._temporary)
        else:
            self._file = output
        forward = cast("BinaryIO", _Forward(self._file, at))
        self._tar = tarfile.TarFile(fileobj=forward, mode="w", format=tarfile.PAX_FORMAT)

    def name(self, row: PlacementRow) -> str:
        return message_path(row)

    def put(self, row: PlacementRow, octets: Octets) -> tuple[Put, Written]:
        name, is_there = self._journal.name_for(message_path(row), row.content_id)
        written = Written(name, row.content_id, row.size)
        if is_there:
            return Put.PRESENT, written
        with SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
            try:
                for piece in octets():
                    spool.write(piece)
            except BaseException:
                self._journal.release(name)
                raise
            self._add(name, cast("BinaryIO", spool), int(received_s(row) or 0))
        return Put.WRITTEN, written

    def flush(self) -> dict[str, int]:
        return {} if self._path is None else {self._temporary.name: synced(self._file)}

    def finish(self, manifest: WriteManifest) -> None:
        """The manifest is the last member, and stands beside the file too."""
        with SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
            file = cast("BinaryIO", spool)
            manifest(file, None)
            self._add(manifests.NAME, file, int(time.time()))
            self._tar.close()
            self._file.flush()
            if self._path is None:
                return
            synced(self._file)
            self._file.close()
            self._temporary.replace(self._path)
            spool.seek(0)
            beside = self._path.with_name(f"{self._path.name}.{manifests.NAME}")
            put_manifest(beside, lambda out, _: copyfileobj(file, out), below=None)

    def close(self) -> None:
        if self._path is not None:
            with suppress(OSError):
                self._file.close()

    def _add(self, name: str, file: BinaryIO, modified_s: int) -> None:
        """A member of what is in the file."""
        member = tarfile.TarInfo(name)
        member.size = file.tell()
        member.mode = 0o600
        member.mtime = modified_s
        file.seek(0)
        self._tar.addfile(member, file)
