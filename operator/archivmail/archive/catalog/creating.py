"""Make a new SQLite catalog and put it in place whole: nobody ever sees one without its tables."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from archivmail.archive.catalog.database import REVISION, Database
from archivmail.archive.catalog.dialects import url_of
from archivmail.archive.catalog.protection import SQLITE
from archivmail.archive.catalog.schema import TEXT_INDEX_DDL, metadata
from archivmail.archive.durability import Durability

MODE = 0o640  # subjects and addresses are in it


def create(path: Path, durability: Durability) -> None:
    """Make an empty catalog unless there is one. Harmless when another process does so too. Raises OSError."""
    with beside(path) as temporary:
        database = Database(url_of(temporary), is_scratch=True)
        make_tables(database)
        database.close()
        sync_file(temporary, durability)
        with suppress(FileExistsError):
            durability.rename(temporary, path)
    durability.fsync_dir(path.parent)


def make_tables(database: Database) -> None:
    """Fill an empty SQLite database with the tables of the newest revision, without loading Alembic for it.

    A test holds this and the way over all revisions equal.
    """
    with database.writing() as connection:
        metadata.create_all(connection)
        for statement in (*TEXT_INDEX_DDL, *SQLITE):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(
            "CREATE TABLE alembic_version ( version_num VARCHAR(32) NOT NULL, "
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num) )"
        )
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (REVISION,))


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """An empty file in the same directory, removed with what SQLite puts beside it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, MODE))
    try:
        yield temporary
    finally:
        remove(temporary)


def remove(path: Path, *, only_beside: bool = False) -> None:
    """Remove what SQLite puts beside a file, and the file."""
    for suffix in ("-wal", "-shm") if only_beside else ("-wal", "-shm", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def sync_file(path: Path, durability: Durability) -> None:
    """Make a closed file's content durable. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        durability.fsync(fd)
    finally:
        os.close(fd)
