"""Remove messages past their time: tombstones durable in a pack first, then one catalog transaction for each batch.

Their octets stay in older packs until upkeep writes those anew; from the transaction on nothing shows them.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from archivmail.archive.catalog import policies, recording, removing, tombstones, trail
from archivmail.archive.catalog.removing import Removable
from archivmail.archive.catalog.tombstones import NewTombstone
from archivmail.archive.events import removal_events
from archivmail.archive.ground import Ground
from archivmail.archive.packs.facts import Place
from archivmail.archive.packs.paths import member_folder
from archivmail.archive.packs.writing import PackWriter
from archivmail.decide.retention import cutoff
from archivmail.decide.upkeep import BATCH
from archivmail.model.account import AccountRef
from archivmail.model.retention import Gone, RemovalId, Why


@dataclass(slots=True)
class Removed:
    """What was removed."""

    messages: int = 0
    octets: int = 0
    """Raw."""


def new_removal() -> RemovalId:
    """A name for a removal."""
    return RemovalId(secrets.token_hex(6))


def due(ground: Ground) -> Removed:
    """What `remove_expired` would remove."""
    with ground.database.reading() as connection:
        limit = cutoff(policies.policy_of(connection, ground.account), ground.clock())
        if limit is None:
            return Removed()
        return Removed(*removing.count_expired(connection, ground.account, limit))


def remove_expired(ground: Ground, *, by: str, should_stop: Callable[[], bool]) -> Removed:
    """Remove every message of which each placement is past `keepFor`. Raises ArchiveUnavailable.

    Nothing happens under hold. What was removed before an error stays removed, and is in the audit trail.
    """
    removed, gone = Removed(), Gone(Why.EXPIRED, new_removal())
    while not should_stop():
        with ground.database.reading() as connection:
            limit = cutoff(policies.policy_of(connection, ground.account), ground.clock())
            keys = [] if limit is None else removing.expired(connection, ground.account, limit, at_most=BATCH)
            seen = removing.sightings(connection, keys)
        if not seen:
            break
        if not _remove(ground, limit or 0, seen, gone, by):
            break
        sizes = {each.content: each.size for each in seen}
        removed.messages += len(sizes)
        removed.octets += sum(sizes.values())
    return removed


def tombstones_of(seen: Sequence[Removable], gone: Gone) -> list[NewTombstone]:
    """What is to be left of the sightings."""
    return [NewTombstone(each.epoch, each.folder, each.sighting, each.content_id, gone) for each in seen]


def place_of(ref: AccountRef, each: Removable) -> Place:
    """Where the tombstone of a sighting stands in a pack."""
    path = member_folder(each.name, each.delimiter)
    return Place(ref, each.origin, each.name, path, each.uid_validity)


def _remove(ground: Ground, limit: int, seen: Sequence[Removable], gone: Gone, by: str) -> bool:
    """False: the policy was made longer, or a hold set, this very moment."""
    pack = _buried(ground, seen, gone)
    now = ground.clock()
    with ground.database.writing() as connection:
        in_force = cutoff(policies.policy_of(connection, ground.account), now)
        is_due = in_force is not None and in_force >= limit
        if is_due:
            recording.record(connection, ground.account, pack)
            tombstones.enter(connection, ground.account, pack.tombstones)
            removing.forget(connection, sorted({each.content for each in seen}), now)
            trail.append_all(connection, removal_events(ground.ref, seen, gone, by=by), now)
    if not is_due:
        # Else it would be adopted by who takes the account next. A crash before this is looked for there too.
        ground.store.remove(pack.name)
    return is_due


def _buried(ground: Ground, seen: Sequence[Removable], gone: Gone) -> recording.NewPack:
    """A durable pack of tombstones."""
    name = ground.names.next()
    draft = ground.store.draft(name)
    writer = PackWriter(draft)
    try:
        for each in seen:
            writer.append_gone(place_of(ground.ref, each), each.sighting, each.content_id, gone)
        members = writer.members
        writer.finish()
        size = draft.keep()
        crc = writer.crc
    except BaseException:
        writer.abandon()
        draft.discard()
        raise
    return recording.NewPack(name, size, members, [], [], crc=crc, tombstones=tombstones_of(seen, gone))
