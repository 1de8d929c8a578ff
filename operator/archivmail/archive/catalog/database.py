"""The catalog's database: open, migrate, read, write. Knows no table but Alembic's.

Any number of readers beside one writer per process. What a transaction wrote is durable when its block ends.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError, SQLAlchemyError

from archivmail.archive.catalog.dialects import DURABLY, SOON, WRITES, file_of, make_engine
from archivmail.archive.catalog.sharing import Share
from archivmail.model.errors import ArchiveUnavailable

CatalogUrl = URL
"""What other packages may call the URL of a catalog."""

REVISION = "0005"
"""The newest Alembic revision, told here so that opening an up-to-date catalog need not load Alembic."""


class Database:
    """An open catalog. Thread-safe. Methods raise ArchiveUnavailable."""

    def __init__(self, url: URL, *, read_only: bool = False, is_scratch: bool = False, is_draft: bool = False) -> None:
        """Nothing connects yet. Nobody else knows a scratch or a draft, and a scratch may be lost in a crash."""
        self.url = url
        self.read_only = read_only
        self._engine: Engine = make_engine(url, read_only=read_only, is_scratch=is_scratch)
        self._writer = threading.RLock()
        path = None if is_scratch or is_draft else file_of(url)
        self._share = None if path is None else Share(path)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One snapshot for the length of the block."""
        with translated(self.url), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, *, is_durable: bool = True) -> Iterator[Connection]:
        """One transaction: committed and durable at the end of the block, rolled back when it raises.

        One that is not durable becomes so with the next one that is; a power cut before may undo it as a whole.
        """
        with self._writer, translated(self.url):
            options = self._engine.execution_options(**{WRITES: DURABLY if is_durable else SOON})
            with options.connect() as connection, connection.begin():
                yield connection

    @contextmanager
    def holding(self) -> Iterator[Connection]:
        """A connection without a transaction, for statements that each see the newest state."""
        with translated(self.url), self._engine.connect() as connection:
            yield connection

    def connect(self) -> Connection:
        """A connection without a transaction that the caller closes."""
        with translated(self.url):
            return self._engine.connect()

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


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Errors of the database within become ArchiveUnavailable. Its texts name tables at most, never values."""
    try:
        yield
    except DBAPIError as error:
        raise unavailable(url, error) from error
    except (sqlite3.Error, SQLAlchemyError) as error:
        raise unavailable(url, error) from error


def unavailable(url: URL, error: Exception) -> ArchiveUnavailable:
    """One sentence for what the database said, which may hold values and is not repeated."""
    if isinstance(error, DBAPIError) and isinstance(error.orig, Exception):
        error = error.orig
    path = file_of(url)
    name = f"The catalog {path}" if path else f"The catalog database on {url.host or 'this machine'}"
    said = str(error).strip().partition("\n")[0].lower()
    return ArchiveUnavailable(f"{name} cannot be used: {_advice(said)}.")


_ADVICE = (
    ("disk is full", "the disk is full; free some space or give the volume more"),
    ("disk i/o", "the disk reports an error; check it before anything else is written there"),
    ("readonly", "it cannot be written; give this user the right to write the file and its directory"),
    ("read-only", "it cannot be written; give this user the right to write the file and its directory"),
    ("unable to open", "the file is missing or permission is denied; check --catalog, or run archivmail rebuild"),
    ("not a database", "it is no catalog or it is damaged; move it away and run archivmail rebuild"),
    ("malformed", "it is damaged; move it away and run archivmail rebuild"),
    ("locked", "another process holds it; try again when that has finished"),
    ("no such table", "tables are missing; move it away and run archivmail rebuild"),
    ("password authentication", "the server refuses the user or the password; check the catalog's Secret"),
    ("connection", "there is no connection; check that the server runs and can be reached"),
)


def _advice(said: str) -> str:
    for sign, advice in _ADVICE:
        if sign in said:
            return advice
    return "the database refused a statement; look into its log and report this if it happens again"
