"""Enter packs that became durable without their catalog transaction: a crash came between (design §1, invariant 5).

Without this they would do no harm, but every message in them would be fetched and stored once more.
"""

from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.intake import EpochTracker, take_in
from archivmail.archive.catalog.lookups import newest_pack
from archivmail.archive.catalog.recording import record
from archivmail.archive.packs.names import account_prefix
from archivmail.archive.packs.reading import frames, scan
from archivmail.archive.packs.stores import PackStore, StoredPack
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchiveDamaged


def adopt(database: Database, store: PackStore, ref: AccountRef, account: int) -> str:
    """Enter the account's packs that are newer than its newest in the catalog; give the newest name of all.

    The caller holds the account. A pack that is not whole is left for `verify` to name. Raises ArchiveUnavailable.
    """
    with database.reading() as connection:
        newest = newest_pack(connection, account)
    for stored in store.packs(account_prefix(ref), after=newest):
        newest = stored.name
        try:
            _enter(database, store, stored, ref)
        except ArchiveDamaged:
            continue
    return newest


def _enter(database: Database, store: PackStore, stored: StoredPack, ref: AccountRef) -> None:
    with store.open(stored.name) as source, database.writing() as connection:
        intake = take_in(connection, stored.name, stored.size, scan(source, frames(source)), EpochTracker())
        if intake is None or intake.damage or intake.account != ref:
            raise ArchiveDamaged(f"The pack {stored.name} is not whole; run archivmail verify --full.")
        if record(connection, intake.key, intake.pack):
            raise ArchiveDamaged(f"The pack {stored.name} names messages that are not there; run archivmail verify.")
