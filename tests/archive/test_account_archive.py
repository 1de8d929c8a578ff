"""AccountArchive over each pair of catalog and store that runs here."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.creating import create
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.dialects import url_of
from archivmail.archive.locking import AccountLocks
from archivmail.archive.packs.buckets import ObstoreBucket
from archivmail.archive.packs.objects import ObjectPacks
from tests.archive.builders import NoFsync, archive_in
from tests.contracts.archive_contract import ArchiveContract


class TestLocalDirectoryWithSqlite(ArchiveContract):
    """The default."""

    @pytest.fixture
    def archive(self, tmp_path: Path) -> Iterator[Archive]:
        with archive_in(tmp_path) as archive:
            yield archive


class TestObjectStoreWithSqlite(ArchiveContract):
    """Packs as objects, in memory here; without a directory for locks."""

    @pytest.fixture
    def archive(self, tmp_path: Path) -> Iterator[Archive]:
        create(tmp_path / "catalog.db", NoFsync())
        database = Database(url_of(tmp_path / "catalog.db"))
        store = ObjectPacks(ObstoreBucket(MemoryStore(), "memory"))
        with Archive(store, database, AccountLocks(None, NoFsync())) as archive:
            yield archive
