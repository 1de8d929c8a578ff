"""Put a new catalog in the place of an old one, which may be damaged: whole or not at all."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Connection

from archivmail.archive.catalog import policies, trail
from archivmail.archive.catalog.accounts import all_statuses, save_status
from archivmail.archive.catalog.creating import beside, make_tables, remove, sync_file
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.dialects import file_of, url_of
from archivmail.archive.catalog.schema import (
    contents,
    epochs,
    folder_states,
    folders,
    ledger,
    packs,
    placements,
    removed_texts,
    retired_packs,
    tombstones,
)
from archivmail.archive.durability import SystemDurability
from archivmail.archive.packs.faults import translated
from archivmail.model.errors import ArchiveUnavailable

_MADE_ANEW = (
    ledger,
    folder_states,
    removed_texts,
    retired_packs,
    tombstones,
    placements,
    contents,
    packs,
    epochs,
    folders,
)
"""Those that refer to others first."""

Transaction = Callable[[], AbstractContextManager[Connection]]


@contextmanager
def replacement(database: Database) -> Iterator[Transaction]:
    """Gives transactions on an empty catalog, which takes the place of the old one when the block ends without error.

    Raises RunInProgress while another process has an SQLite catalog open.
    """
    path = file_of(database.url)
    if path is None:
        with database.writing() as connection:
            for table in _MADE_ANEW:
                connection.execute(table.delete())
            yield lambda: nullcontext(connection)
        return
    with database.alone(), translated(f"The catalog {path} cannot be replaced"), beside(path) as temporary:
        scratch = Database(url_of(temporary), is_scratch=True)
        try:
            make_tables(scratch)
            yield scratch.writing
        finally:
            scratch.close()
        _put_in_place(database, temporary, path)


def keep_trail(database: Database, transaction: Transaction) -> int:
    """Take audit trail, statuses and policies over from the old catalog, if it can be read; the number of entries."""
    if file_of(database.url) is None:
        with database.reading() as connection:
            return sum(1 for _ in trail.entries(connection))
    try:
        with database.reading() as old, transaction() as new:
            for ref, document in all_statuses(old):
                save_status(new, ref, document)
            for ref, policy in policies.everything(old):
                policies.save(new, ref, policy)
            return trail.copy(old, new)
    except ArchiveUnavailable:
        return 0


def _put_in_place(database: Database, temporary: Path, path: Path) -> None:
    durability = SystemDurability()
    sync_file(temporary, durability)
    database.disconnect()  # writes the log of the old one back, so that it is whole until the new one stands there
    remove(path, only_beside=True)
    temporary.replace(path)
    durability.fsync_dir(path.parent)
