"""Adapters that tell of every step whose order makes the archive safe, so that a test can end the process there.

A point is told before and after each fsync, rename, PUT, HEAD, removal and commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.database import Database, ensure_revision
from archivmail.archive.catalog.dialects import parse_url, url_of
from archivmail.archive.durability import SystemDurability
from archivmail.archive.locking import AccountLocks
from archivmail.archive.opening import CATALOG, LOCKS, open_archive
from archivmail.archive.packs.buckets import Bucket, Stored, open_bucket
from archivmail.archive.packs.local import LocalStore
from archivmail.archive.packs.objects import ObjectPacks

Tell = Callable[[str], None]


class ToldDurability(SystemDurability):
    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def fsync(self, fd: int) -> None:
        self._tell("before fsync")
        super().fsync(fd)
        self._tell("after fsync")

    def rename(self, temporary: Path, final: Path) -> None:
        self._tell("before rename")
        super().rename(temporary, final)
        self._tell("after rename")

    def fsync_dir(self, directory: Path) -> None:
        self._tell("before fsync of directory")
        super().fsync_dir(directory)
        self._tell("after fsync of directory")


class ToldBucket:
    """Satisfies Bucket."""

    def __init__(self, behind: Bucket, tell: Tell) -> None:
        self._behind, self._tell = behind, tell

    @property
    def scheme(self) -> str:
        return self._behind.scheme

    def put(self, name: str, file: IO[bytes], size: int) -> None:
        self._tell("before PUT")
        self._behind.put(name, file, size)
        self._tell("after PUT")

    def size_of(self, name: str) -> int | None:
        size = self._behind.size_of(name)
        self._tell("after HEAD")
        return size

    def read(self, name: str, offset: int, length: int) -> bytes | None:
        return self._behind.read(name, offset, length)

    def delete(self, name: str) -> None:
        self._tell("before DELETE")
        self._behind.delete(name)
        self._tell("after DELETE")

    def replace(self, name: str, octets: bytes) -> None:
        self._tell("before PUT of a note")
        self._behind.replace(name, octets)
        self._tell("after PUT of a note")

    def get(self, name: str) -> bytes | None:
        return self._behind.get(name)

    def list(self, prefix: str, *, after: str) -> Iterator[Stored]:
        return self._behind.list(prefix, after=after)


class ToldDatabase(Database):
    def __init__(self, url: URL, tell: Tell) -> None:
        super().__init__(url)
        self._tell = tell

    @contextmanager
    def writing(self, *, is_durable: bool = True) -> Iterator[Connection]:
        with super().writing(is_durable=is_durable) as connection:
            yield connection
            self._tell("before commit")
        self._tell("after commit")


def open_told(archive: str, catalog: str | None, tell: Tell, *, is_locked: bool = True) -> Archive:
    """What `open_archive` gives, but told of. `is_locked` false: as if the locks of accounts reached nobody."""
    durability = ToldDurability(tell)
    if "://" in archive:
        assert catalog is not None
        database = ToldDatabase(parse_url(catalog), tell)
        ensure_revision(database)
        store = ObjectPacks(ToldBucket(open_bucket(archive), tell))
        locks = AccountLocks(None, durability, database.shared_locks() if is_locked else None)
        return Archive(store, database, locks)
    directory = Path(archive)
    open_archive(archive, create=True, durability=durability).close()
    locks = AccountLocks(directory / LOCKS if is_locked else None, durability)
    return Archive(LocalStore(directory, durability), ToldDatabase(url_of(directory / CATALOG), tell), locks)
