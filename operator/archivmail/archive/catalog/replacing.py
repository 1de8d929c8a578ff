"""Make a new catalog and put it in the place of an old one, which may be damaged: whole or not at all.

The new one is kept when its making is interrupted, and the next attempt goes on with it. Beside an SQLite catalog it is
a file; in PostgreSQL a schema of its own, whose tables move into the place of the old ones in one transaction.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, inspect, select, text

from archivmail.archive.catalog import policies, trail
from archivmail.archive.catalog.accounts import all_statuses, save_status
from archivmail.archive.catalog.creating import MODE, make_tables, remove, sync_file
from archivmail.archive.catalog.database import REVISION, Database, ensure_revision, revision_of
from archivmail.archive.catalog.dialects import file_of, url_of
from archivmail.archive.catalog.schema import packs
from archivmail.archive.durability import SystemDurability
from archivmail.archive.packs.faults import translated
from archivmail.model.errors import ArchiveUnavailable, RunInProgress

SCHEMA = "archivmail_rebuild"
_STAY = frozenset({"audit", "alembic_version", "rebuild_notes"})
"""Tables of a PostgreSQL catalog that a rebuild leaves as they are."""
_LOCK = 0x61726368  # of this very use; any number that nobody else takes
_SWAP_TIMEOUT_MS = 60_000

_notes = Table(
    "rebuild_notes",
    MetaData(),
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("document", Text, nullable=False),
)


class NewCatalog:
    """The catalog in the making. What a transaction entered is there after a crash too, or nothing of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self) -> AbstractContextManager[Connection]:
        # A power cut may take the last ones; their packs are then simply read again.
        return self._database.writing(is_durable=False)

    def entered(self) -> frozenset[str]:
        """Names of the packs that an interrupted attempt entered."""
        with self._database.reading() as connection:
            return frozenset(connection.execute(select(packs.c.name)).scalars())

    def note(self, connection: Connection, kind: str, document: Mapping[str, object]) -> None:
        """Keep something that the end of the work needs."""
        connection.execute(_notes.insert().values(kind=kind, document=json.dumps(document)))

    def notes(self, kind: str) -> Iterator[dict[str, Any]]:
        """In the order in which they were kept."""
        with self._database.reading() as connection:
            wanted = select(_notes.c.document).where(_notes.c.kind == kind).order_by(_notes.c.id)
            for document in connection.execute(wanted).scalars():
                yield json.loads(document)


@contextmanager
def replacement(database: Database, stored: Mapping[str, int]) -> Iterator[NewCatalog]:
    """Gives a new catalog, which takes the place of the old one when the block ends without error.

    `stored`: names and sizes of the packs that are there. Raises RunInProgress while another process has an SQLite
    catalog open, or rebuilds the same one.
    """
    path = file_of(database.url)
    with _in_schema(database, stored) if path is None else _beside(database, path, stored) as new:
        yield new


def discard_attempt(database: Database) -> None:
    """Remove what an interrupted rebuild left, unless it is under way: it holds what was removed since.

    The next rebuild begins anew. Raises ArchiveUnavailable.
    """
    path = file_of(database.url)
    if path is not None:
        # Nobody rebuilds it now, for we have a share in the catalog.
        with translated(f"What a rebuild left beside {path} cannot be removed"):
            remove(_draft_of(path))
        return
    with database.writing() as connection:
        is_free = connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}).scalar()
        if is_free and inspect(connection).has_schema(SCHEMA):
            connection.exec_driver_sql(f"DROP SCHEMA {SCHEMA} CASCADE")


def keep_trail(database: Database, new: NewCatalog) -> int:
    """Take audit trail, statuses and policies over from the old catalog, if it can be read; the number of entries."""
    is_file = file_of(database.url) is not None
    with suppress(ArchiveUnavailable):  # one of an older version has not all of these tables yet
        with database.holding() as connection:
            is_catalog = revision_of(connection) is not None
        if is_catalog:
            ensure_revision(database)
    try:
        with database.reading() as old, new.transaction() as target:
            for ref, document in all_statuses(old):
                save_status(target, ref, document)
            for ref, policy in policies.everything(old):
                policies.save(target, ref, policy)
            return trail.copy(old, target) if is_file else sum(1 for _ in trail.entries(old))
    except ArchiveUnavailable:
        return 0


def _fits(scratch: Database, stored: Mapping[str, int]) -> bool:
    """An attempt can go on when it is of this version and all that it read still is there."""
    try:
        with scratch.holding() as connection:
            if revision_of(connection) != REVISION or not inspect(connection).has_table(_notes.name):
                return False
        with scratch.reading() as connection:
            entered = connection.execute(select(packs.c.name, packs.c.size))
            return all(stored.get(name) == size for name, size in entered)
    except ArchiveUnavailable:
        return False


# --- SQLite ----------------------------------------------------------------------------------------------------------


@contextmanager
def _beside(database: Database, path: Path, stored: Mapping[str, int]) -> Iterator[NewCatalog]:
    draft = _draft_of(path)
    with database.alone(), translated(f"The catalog {path} cannot be replaced"):
        scratch = _continued(draft, stored) or _begun(draft)
        try:
            yield NewCatalog(scratch)
            with scratch.writing() as connection:
                _notes.drop(connection)
        finally:
            scratch.close()
        _put_in_place(database, draft, path)


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.rebuild")


def _continued(draft: Path, stored: Mapping[str, int]) -> Database | None:
    if not draft.exists():
        return None
    scratch = Database(url_of(draft), is_draft=True)
    if _fits(scratch, stored):
        return scratch
    scratch.close()
    return None


def _begun(draft: Path) -> Database:
    remove(draft)
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, MODE))
    scratch = Database(url_of(draft), is_draft=True)
    make_tables(scratch)
    with scratch.writing() as connection:
        _notes.create(connection)
    return scratch


def _put_in_place(database: Database, draft: Path, path: Path) -> None:
    durability = SystemDurability()
    sync_file(draft, durability)
    database.disconnect()  # writes the log of the old one back, so that it is whole until the new one stands there
    remove(path, only_beside=True)
    draft.replace(path)
    durability.fsync_dir(path.parent)


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


@contextmanager
def _in_schema(database: Database, stored: Mapping[str, int]) -> Iterator[NewCatalog]:
    options = database.url.query.get("options", "")
    url = database.url.update_query_dict({"options": f"{options} -csearch_path={SCHEMA}".strip()})
    with database.holding() as guard:
        if not guard.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}).scalar():
            raise RunInProgress("Another process rebuilds this catalog; wait until that has ended.")
        guard.commit()  # the lock stays with the connection
        scratch = Database(url)
        try:
            if not _fits(scratch, stored):
                _make_schema(database, scratch)
            yield NewCatalog(scratch)
        finally:
            scratch.close()
            with suppress(ArchiveUnavailable):
                guard.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
                guard.commit()
    with database.writing() as connection:
        _swap(connection)


def _make_schema(database: Database, scratch: Database) -> None:
    scratch.disconnect()
    with database.writing() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
    ensure_revision(scratch)
    with scratch.writing() as connection:
        _notes.create(connection)


def _swap(connection: Connection) -> None:
    """The old tables go and the new ones come, or nothing happens; whoever reads meanwhile is waited for."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_SWAP_TIMEOUT_MS}")
    here = connection.execute(text("SELECT current_schema()")).scalar_one()
    tables = [name for name in inspect(connection).get_table_names(schema=SCHEMA) if name not in _STAY]
    quoted = connection.dialect.identifier_preparer.quote_identifier
    for name in tables:
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {quoted(here)}.{quoted(name)} CASCADE")
    for name in tables:
        connection.exec_driver_sql(f"ALTER TABLE {SCHEMA}.{quoted(name)} SET SCHEMA {quoted(here)}")
    connection.exec_driver_sql(f"DROP SCHEMA {SCHEMA} CASCADE")
