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
from archivmail.archive.opening import open_archive
from archivmail.archive.packs.buckets import ObstoreBucket
from archivmail.archive.packs.objects import ObjectPacks
from tests.archive.builders import NoFsync, archive_in
from tests.contracts.archive_contract import ArchiveContract
from tests.servers.postgresql import PostgreSqlDatabase
from tests.servers.s3 import S3Bucket


class TestLocalDirectoryWithSqlite(ArchiveContract):
    """The default."""

    @pytest.fixture
    def archive(self, tmp_path: Path) -> Iterator[Archive]:
        with archive_in(tmp_path) as archive:
            yield archive


@pytest.mark.servers
class TestLocalDirectoryWithPostgresql(ArchiveContract):
    """Packs on a volume, the catalog on a server."""

    @pytest.fixture
    def archive(self, tmp_path: Path, postgresql_catalog: PostgreSqlDatabase) -> Iterator[Archive]:
        with open_archive(str(tmp_path), postgresql_catalog.url, create=True, durability=NoFsync()) as archive:
            yield archive


@pytest.mark.servers
class TestS3WithPostgresql(ArchiveContract):
    """What several replicas write to at once."""

    @pytest.fixture
    def archive(self, s3_bucket: S3Bucket, postgresql_catalog: PostgreSqlDatabase) -> Iterator[Archive]:
        with open_archive(s3_bucket.url, postgresql_catalog.url, create=True) as archive:
            yield archive


@pytest.mark.servers
class TestS3WithSqlite(ArchiveContract):
    """Packs in a bucket, the catalog in a file."""

    @pytest.fixture
    def archive(self, s3_bucket: S3Bucket, tmp_path: Path) -> Iterator[Archive]:
        catalog = f"sqlite:///{tmp_path}/catalog.db"
        with open_archive(s3_bucket.url, catalog, create=True, durability=NoFsync()) as archive:
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
