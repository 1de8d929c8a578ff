"""Packs in an object store (design §5).

A pack is built in a temporary file, sent with one PUT or multipart upload, and confirmed by a HEAD before anyone counts
on it. What a dead writer left is a multipart upload, which the bucket's lifecycle rule removes.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from archivmail.archive.packs.buckets import Bucket
from archivmail.archive.packs.faults import translated, unavailable
from archivmail.archive.packs.names import is_pack_name
from archivmail.archive.packs.stores import StoredPack
from archivmail.model.errors import ArchiveDamaged, ArchiveUnavailable

_SPOOL = "The directory for temporary files cannot be written"


class ObjectPacks:
    """Satisfies PackStore."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def draft(self, name: str) -> "ObjectDraft":
        with translated(_SPOOL):
            return ObjectDraft(self._bucket, name)

    @contextmanager
    def open(self, name: str, *, size: int | None = None) -> Iterator["ObjectSource"]:
        size = self._bucket.size_of(name) if size is None else size
        if size is None:
            raise _missing(name, self._bucket.scheme)
        yield ObjectSource(self._bucket, name, size)

    def packs(self, prefix: str, *, after: str = "") -> Iterator[StoredPack]:
        for each in self._bucket.list(prefix, after=after):
            if is_pack_name(each.name):
                yield StoredPack(each.name, each.size)

    def sweep(self, prefix: str) -> None:
        """Nothing to do: a draft is an unlinked file, which dies with its writer."""

    def remove(self, name: str) -> None:
        self._bucket.delete(name)

    def save(self, name: str, octets: bytes) -> None:
        self._bucket.replace(name, octets)

    def load(self, name: str) -> bytes | None:
        return self._bucket.get(name)


class ObjectSource:
    """A pack in the store; satisfies reading.Source."""

    def __init__(self, bucket: Bucket, name: str, size: int) -> None:
        self._bucket, self._name = bucket, name
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        octets = self._bucket.read(self._name, offset, length)
        if octets is None:
            raise _missing(self._name, self._bucket.scheme)
        return octets


class ObjectDraft:
    """A pack in a temporary file without a name; satisfies stores.Draft."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket, self._name = bucket, name
        self._file = tempfile.TemporaryFile(prefix="archivmail-")  # noqa: SIM115 - lives until keep or discard

    def write(self, data: bytes, /) -> int:
        try:  # once per message: a context manager would cost as much as the call
            return self._file.write(data)
        except OSError as error:
            raise unavailable(error, _SPOOL) from error

    def cut(self, size: int, /) -> None:
        with translated(_SPOOL):
            self._file.flush()
            self._file.truncate(size)
            self._file.seek(size)

    def keep(self) -> int:
        with translated(_SPOOL):
            size = self._file.seek(0, 2)
            self._file.seek(0)
        self._bucket.put(self._name, self._file, size)
        # Whatever the store said: only what it shows when asked counts.
        arrived = self._bucket.size_of(self._name)
        if arrived != size:
            raise ArchiveUnavailable(
                f"The {self._bucket.scheme} store took a pack of {size} octets and shows {arrived or 'none'} of them; "
                "check the store, the run will try again."
            )
        self.discard()
        return size

    def discard(self) -> None:
        with suppress(OSError, ValueError):
            self._file.close()


def _missing(name: str, scheme: str) -> ArchiveDamaged:
    return ArchiveDamaged(f"{name} is missing in the {scheme} store; restore it from a backup.")
