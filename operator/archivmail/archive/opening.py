"""Open an archive by its URLs: the packs' place, the catalog, the locks."""

import os
from functools import partial
from pathlib import Path

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.creating import create as create_catalog
from archivmail.archive.catalog.database import CatalogUrl, Database, ensure_revision
from archivmail.archive.catalog.dialects import file_of, parse_url, url_of
from archivmail.archive.durability import Durability, SystemDurability, make_directories
from archivmail.archive.locking import AccountLocks
from archivmail.archive.packs.faults import translated
from archivmail.archive.packs.names import ROOT
from archivmail.archive.packs.opening import open_store
from archivmail.archive.packs.stores import directory_of
from archivmail.model.errors import ArchiveUnavailable, SpecInvalid

CATALOG = "catalog.db"
LOCKS = "locks"


def open_archive(
    archive_url: str,
    catalog_url: str | None = None,
    *,
    create: bool,
    read_only: bool = False,
    durability: Durability | None = None,
) -> Archive:
    """Open an archive, bringing an older catalog up to date unless `read_only`.

    `create`: make what is missing. Raises SpecInvalid for the URLs, ArchiveUnavailable.
    """
    parts = _Parts(archive_url, catalog_url, create=create, read_only=read_only, durability=durability)
    if parts.file is not None:
        parts.require_catalog(parts.file, create=create)
    return parts.open(is_checked=True)


def open_for_rebuild(archive_url: str, catalog_url: str | None = None) -> Archive:
    """Open an archive whose catalog may be missing, damaged or of a newer version; only `rebuild` may be called on it.

    Raises SpecInvalid for the URLs, ArchiveUnavailable when there are no packs to be read.
    """
    parts = _Parts(archive_url, catalog_url, create=False, read_only=False, durability=None)
    parts.require_packs()
    if parts.file is None:
        return parts.open(is_checked=True)
    # An empty catalog in the place of a lost one would look like an empty archive if the rebuild did not get through.
    parts.make_catalog_directory(parts.file)
    return parts.open(is_checked=False)


def can_note(archive_url: str, catalog_url: str | None = None) -> bool:
    """Whether this user may write to the catalog: what a file's rights say; a server says so when it is asked.

    Raises SpecInvalid for the URLs.
    """
    file = file_of(_catalog_url(catalog_url, directory_of(archive_url)))
    return file is None or (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))


def require_shared(archive_url: str, catalog_url: str | None = None) -> None:
    """Several processes on several machines are to use this archive at once. Raises SpecInvalid when they cannot."""
    if directory_of(archive_url) is not None or not catalog_url or file_of(parse_url(catalog_url)) is not None:
        raise SpecInvalid(
            "ARCHIVMAIL_SHARDS is more than 1, so all replicas must see one archive: name an object store by "
            "ARCHIVMAIL_ARCHIVE (such as s3://bucket/prefix) and a PostgreSQL database by ARCHIVMAIL_CATALOG."
        )


class _Parts:
    """Where everything lies."""

    def __init__(
        self,
        archive_url: str,
        catalog_url: str | None,
        *,
        create: bool,
        read_only: bool,
        durability: Durability | None,
    ) -> None:
        self._archive_url = archive_url
        self._read_only = read_only
        self._durability = durability or SystemDurability()
        directory = directory_of(archive_url)
        self._url = _catalog_url(catalog_url, directory)
        self.file = file_of(self._url)
        self._directory = directory or (self.file.parent if self.file else None)
        self._store = open_store(archive_url, create=create, durability=self._durability)

    def require_catalog(self, file: Path, *, create: bool) -> None:
        with translated(f"The catalog {file} cannot be read"):
            if file.exists():
                return
        if not create:
            raise ArchiveUnavailable(
                f"There is no catalog at {file}; check --archive and --catalog, run archivmail sync first, or make it "
                "from the packs with archivmail rebuild."
            )
        self.make_catalog_directory(file)
        with translated(f"The catalog {file} cannot be created"):
            create_catalog(file, self._durability)

    def require_packs(self) -> None:
        """A URL with a typo must not put an empty catalog in the place of a full one."""
        if next(iter(self._store.packs(ROOT)), None) is None:
            raise ArchiveUnavailable("There are no packs to make a catalog from; check --archive.")

    def make_catalog_directory(self, file: Path) -> None:
        with translated(f"The catalog {file} cannot be created"):
            make_directories(file.parent, self._durability)

    def open(self, *, is_checked: bool) -> Archive:
        database = Database(self._url, read_only=self._read_only)
        directory = self._directory / LOCKS if self._directory else None
        locks = AccountLocks(directory, self._durability, database.shared_locks())
        try:
            if is_checked:
                ensure_revision(database)
            return Archive(
                self._store, database, locks, open_store=partial(open_store, self._archive_url, create=False)
            )
        except BaseException:
            database.close()
            raise


def _catalog_url(text: str | None, directory: Path | None) -> CatalogUrl:
    if text:
        return parse_url(text)
    if directory is None:
        raise SpecInvalid("An archive in an object store needs a catalog of its own; name it with --catalog.")
    return url_of(directory / CATALOG)
