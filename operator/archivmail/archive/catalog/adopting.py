"""Enter packs that became durable without their catalog transaction: a crash came between (design §1, invariant 5).

Without this they would do no harm, but every message in them would be fetched and stored once more.
"""

from datetime import datetime

from sqlalchemy import Connection

from archivmail.archive.catalog import trail
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.intake import EpochTracker, Intake, take_in
from archivmail.archive.catalog.lookups import newest_pack
from archivmail.archive.catalog.policies import policy_of
from archivmail.archive.catalog.recording import record
from archivmail.archive.catalog.removing import forget, ids_of, unseen
from archivmail.archive.catalog.upkeep import is_retired
from archivmail.archive.packs.internaldate import seconds
from archivmail.archive.packs.names import account_prefix
from archivmail.archive.packs.reading import frames, replaced_by, scan
from archivmail.archive.packs.stores import PackStore, StoredPack
from archivmail.decide.retention import counts_as_settled, cutoff
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchiveDamaged
from archivmail.model.notices import AuditEvent


def adopt(database: Database, store: PackStore, ref: AccountRef, account: int, now: datetime) -> str:
    """Enter the account's packs that are newer than its newest in the catalog; give the newest name of all.

    The caller holds the account. A pack that is not whole is left for `verify` to name. Raises ArchiveUnavailable.
    """
    with database.reading() as connection:
        newest = newest_pack(connection, account)
    for stored in store.packs(account_prefix(ref), after=newest):
        newest = stored.name
        with database.reading() as connection:
            if is_retired(connection, stored.name):
                continue
        try:
            _enter(database, store, stored, ref, now)
        except ArchiveDamaged:
            continue
    return newest


def _enter(database: Database, store: PackStore, stored: StoredPack, ref: AccountRef, now: datetime) -> None:
    with store.open(stored.name) as source, database.writing() as connection:
        if replaced_by(source):
            # A merge that was not committed: what it holds is known. Upkeep removes it.
            raise ArchiveDamaged(f"The pack {stored.name} takes the place of others, which the catalog still has.")
        intake = take_in(connection, stored.name, stored.size, scan(source, frames(source)), EpochTracker())
        if intake is None or intake.damage or intake.account != ref:
            raise ArchiveDamaged(f"The pack {stored.name} is not whole; run archivmail verify --full.")
        if _is_forbidden(connection, intake, now):
            store.remove(stored.name)
            return
        if record(connection, intake.key, intake.pack):
            raise ArchiveDamaged(f"The pack {stored.name} names messages that are not there; run archivmail verify.")
        if intake.pack.tombstones:
            _finish_removal(connection, intake, now)


def _is_forbidden(connection: Connection, intake: Intake, now: datetime) -> bool:
    """A crash came into a removal, and what it was to remove must be kept by the policy that is in force now."""
    if intake.pack.placements or not intake.pack.tombstones:
        return False
    policy = policy_of(connection, intake.key)
    limit = cutoff(policy, now)
    return policy.hold or not all(
        counts_as_settled(each.gone.why, seconds(each.sighting.internal_date), limit) for each in intake.pack.tombstones
    )


def _finish_removal(connection: Connection, intake: Intake, now: datetime) -> None:
    """A crash came between the tombstones and the catalog: what the packs say is done."""
    keys = unseen(connection, intake.key)
    removed = ids_of(connection, keys)
    forget(connection, keys, now)
    first = {each.content_id: each for each in reversed(intake.pack.tombstones)}
    events = [
        AuditEvent(
            "message_removed",
            intake.account.namespace,
            intake.account.name,
            {
                "contentId": key.hex(),
                "uid": first[key].sighting.uid,
                "why": str(first[key].gone.why),
                "removal": first[key].gone.removal,
                "by": "recovery",
            },
        )
        for key in removed
        if key in first
    ]
    trail.append_all(connection, events, now)
