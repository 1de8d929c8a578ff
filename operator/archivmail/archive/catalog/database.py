"""The catalog's database: open, migrate, read, write. Knows no table but Alembic's.

Any number of readers beside one writer per process. What a transaction wrote is durable when its block ends.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from copy import copy
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError

from archivmail.archive.catalog.dialects import DURABLY, SOON, WRITES, file_of, make_engine, snapshots
from archivmail.archive.catalog.faults import gave_way, translated
from archivmail.archive.catalog.server import SharedLocks, unpooled, wait_for_migration
from archivmail.archive.catalog.sharing import Share
from archivmail.model.errors import ArchiveUnavailable

CatalogUrl = URL
"""What other packages may call the URL of a catalog."""

REVISION = "0008"
"""The newest Alembic revision, told here so that opening an up-to-date catalog need not load Alembic."""


T = TypeVar("T")
_GIVE_WAY = 3
"""Times that a transaction of `write` is done again."""


class Database:
    """An open catalog. Thread-safe. Methods raise ArchiveUnavailable."""

    def __init__(self, url: URL, *, read_only: bool = False, is_scratch: bool = False, is_draft: bool = False) -> None:
        """Nothing connects yet. Nobody else knows a scratch or a draft, and a scratch may be lost in a crash."""
        self.url = url
        self.read_only = read_only
        self._engine: Engine = make_engine(url, read_only=read_only, is_scratch=is_scratch)
        self._snapshots = snapshots(self._engine)
        # SQLite has one writer at a time; who waits in this process waits without a limit of the database's.
        is_file = file_of(url) is not None
        self._writer: AbstractContextManager[object] = threading.RLock() if is_file else nullcontext()
        self._unpooled = self._engine if is_file else unpooled(url)
        path = None if is_scratch or is_draft else file_of(url)
        self._share = None if path is None else Share(path)
        self._guard: Callable[[Connection], None] | None = None

    def guarded(self, guard: Callable[[Connection], None]) -> Self:
        """The same database for somebody who may lose the right to write: `guard` begins each transaction that writes.

        It raises where it refuses. To be closed by whoever closes the original.
        """
        same = copy(self)
        same._guard = guard
        return same

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One snapshot for the length of the block."""
        with translated(self.url), self._snapshots.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, *, is_durable: bool = True) -> Iterator[Connection]:
        """One transaction: committed and durable at the end of the block, rolled back when it raises.

        One that is not durable becomes so with the next one that is; a power cut before may undo it as a whole.
        """
        with self._writer, translated(self.url):
            options = self._engine.execution_options(**{WRITES: DURABLY if is_durable else SOON})
            with options.connect() as connection, connection.begin():
                if self._guard is not None:
                    self._guard(connection)
                yield connection

    def write(self, work: Callable[[Connection], T]) -> T:
        """`writing` with `work` in it, once more where the server let another transaction go first."""
        for _ in range(_GIVE_WAY):
            try:
                with self.writing() as connection:
                    return work(connection)
            except ArchiveUnavailable as error:
                if not gave_way(error):
                    raise
        with self.writing() as connection:
            return work(connection)

    @contextmanager
    def holding(self) -> Iterator[Connection]:
        """A connection without a transaction, for statements that each see the newest state."""
        with translated(self.url), self._unpooled.connect() as connection:
            yield connection

    def connect(self) -> Connection:
        """A connection without a transaction that the caller closes. None of the pool's, for it lives a whole run."""
        with translated(self.url):
            return self._unpooled.connect()

    def shared_locks(self) -> SharedLocks | None:
        """Locks that all processes on this catalog see; None for a file, beside which they lie."""
        return None if file_of(self.url) is not None else SharedLocks(self.url)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process has the catalog open meanwhile. Raises RunInProgress. For SQLite only."""
        with nullcontext() if self._share is None else self._share.alone():
            yield

    def disconnect(self) -> None:
        """Give every idle connection back; the next use connects anew. Never raises."""
        with suppress(SQLAlchemyError, sqlite3.Error):
            self._engine.dispose()

    def close(self) -> None:
        """Disconnect and give the share in the catalog back. Never raises."""
        self.disconnect()
        if self._share is not None:
            self._share.close()


def ensure_revision(database: Database) -> None:
    """Bring the tables up to date. Raises ArchiveUnavailable when they are newer than this program, or read-only."""
    with database.holding() as connection:
        found = revision_of(connection)
    if found == REVISION:
        return
    if found is not None and not _is_known(found):
        raise ArchiveUnavailable(
            "The catalog was written by a newer version of archivmail; use that version, or run archivmail rebuild "
            "with this one into another --catalog."
        )
    if database.read_only:
        raise ArchiveUnavailable(
            "The catalog is of an older version of archivmail and is opened read-only; run archivmail sync once."
        )
    with database.writing() as connection:
        if database.dialect == "postgresql":
            wait_for_migration(connection)  # another process may have done it meanwhile; Alembic looks again
        _upgrade(connection)


def revision_of(connection: Connection) -> str | None:
    """The revision of the tables; None when there are none."""
    try:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except (OperationalError, ProgrammingError) as error:
        if "no such table" in str(error.orig) or "does not exist" in str(error.orig):
            return None
        raise


def _is_known(revision: str) -> bool:
    return revision.isdigit() and int(revision) <= int(REVISION)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - takes 0.2 s and is needed once per version
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "archivmail.archive.catalog:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, REVISION)
