"""Erase messages for good: out of every pack of the account, the catalog and the text index, leaving a tombstone.

Unlike upkeep this waits for no grace: a pack that held the octets goes as soon as the one in its place is durable and
recorded. Every pack of the account is looked through, for two writers may have stored the same octets twice.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from archivmail.archive.catalog import policies, removing, tombstones, trail, upkeep
from archivmail.archive.catalog.removing import Removable
from archivmail.archive.events import removal_events
from archivmail.archive.ground import Ground
from archivmail.archive.packs.names import account_prefix, name_after
from archivmail.archive.packs.reading import heads
from archivmail.archive.packs.stores import StoredPack
from archivmail.archive.retention import new_removal, tombstones_of
from archivmail.archive.rewriting import Rewritten, rewrite
from archivmail.archive.upkeep import fates_of, successor
from archivmail.decide.upkeep import PackFacts
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchiveDamaged, SpecInvalid
from archivmail.model.message import ContentId
from archivmail.model.notices import AuditEvent
from archivmail.model.retention import Gone, RemovalId, Why

Progress = Callable[[int, int], None]
"""Octets of packs looked through, and their sum."""


@dataclass(slots=True)
class Erasure:
    """What was erased from one account, or would be."""

    account: AccountRef
    removal: RemovalId
    messages: list[str] = field(default_factory=list)
    """Content ids in hexadecimal."""
    places: int = 0
    octets: int = 0
    """Raw."""
    packs: int = 0
    """Packs that held them and are gone."""
    unread: list[str] = field(default_factory=list)
    """Packs that could not be looked through, so that nobody knows what is in them."""


def refuse_hold(account: AccountRef) -> SpecInvalid:
    """What is said of an account under hold."""
    return SpecInvalid(
        f"account {account} is under hold, so nothing of it may be removed; set spec.hold to false and sync once, if "
        "that is lawful"
    )


def preview(ground: Ground, wanted: Sequence[ContentId]) -> Erasure:
    """What `erase` would remove. Raises SpecInvalid under hold."""
    with ground.database.reading() as connection:
        if policies.policy_of(connection, ground.account).hold:
            raise refuse_hold(ground.ref)
        seen = removing.sightings(connection, removing.keys_of(connection, ground.account, wanted))
    return _told(ground, RemovalId(""), seen)


def erase(
    ground: Ground,
    wanted: Sequence[ContentId],
    *,
    reason: str,
    by: str,
    progress: Progress | None = None,
) -> Erasure:
    """Remove these contents from the account. Raises SpecInvalid under hold, ArchiveUnavailable.

    The caller then purges the text index.
    """
    with ground.database.reading() as connection:
        keys = removing.keys_of(connection, ground.account, wanted)
        seen = removing.sightings(connection, keys)
    gone = Gone(Why.ERASED, new_removal())
    told = _told(ground, gone.removal, seen)
    ids = {each.content_id for each in seen}
    _announce(ground, told, reason, by)
    holders = _holders(ground, ids, told, progress)
    results = [(pack, _without(ground, pack, ids, gone)) for pack in holders.known]
    events = removal_events(ground.ref, seen, gone, by=by, reason=reason)
    try:
        _commit(ground, seen=seen, gone=gone, holders=holders, results=results, events=events)
    except SpecInvalid:  # a hold, set in the meantime
        for _, result in results:
            ground.store.remove(result.name)
        raise
    for name in (*(pack.name for pack in holders.known), *(stored.name for stored in holders.others)):
        ground.store.remove(name)
        told.packs += 1
        with ground.database.writing() as connection:
            upkeep.drop_retired(connection, name)
    return told


@dataclass(slots=True)
class _Holders:
    """Packs in which octets of the messages lie."""

    known: list[PackFacts] = field(default_factory=list)
    others: list[StoredPack] = field(default_factory=list)
    """Those whose place another took, or that nobody needs."""


def _told(ground: Ground, removal: RemovalId, seen: Sequence[Removable]) -> Erasure:
    sizes = {each.content_id: each.size for each in seen}
    return Erasure(ground.ref, removal, [key.hex() for key in sizes], len(seen), sum(sizes.values()))


def _announce(ground: Ground, told: Erasure, reason: str, by: str) -> None:
    """In the trail before anything is touched, so that a crash on the way is told too. The hold is looked at here."""
    facts: dict[str, str | int | bool] = {
        "removal": told.removal,
        "messages": len(told.messages),
        "reason": reason,
        "by": by,
    }
    with ground.database.writing() as connection:
        if policies.policy_of(connection, ground.account).hold:
            raise refuse_hold(ground.ref)
        event = AuditEvent("erasure_begun", ground.ref.namespace, ground.ref.name, facts)
        trail.append(connection, event, ground.clock())


def _holders(ground: Ground, ids: set[ContentId], told: Erasure, progress: Progress | None) -> _Holders:
    with ground.database.reading() as connection:
        known = {pack.name: pack for pack in upkeep.packs_of(connection, ground.account)}
        retired = {pack.name for pack in upkeep.retired(connection, ground.account)}
    found = _Holders()
    stored = list(ground.store.packs(account_prefix(ground.ref)))
    total, done = sum(pack.size for pack in stored), 0
    for pack in stored:
        try:
            holds = _holds(ground, pack.name, ids)
        except ArchiveDamaged:
            told.unread.append(pack.name)
            holds = False
        if holds and pack.name in known:
            found.known.append(known[pack.name])
        elif holds and pack.name in retired:
            found.others.append(pack)
        elif holds:
            told.unread.append(pack.name)  # unknown to the catalog, and upkeep could not take it in
        done += pack.size
        if progress is not None:
            progress(done, total)
    return found


def _holds(ground: Ground, pack: str, ids: set[ContentId]) -> bool:
    with ground.store.open(pack) as source:
        return any(facts.has_octets and facts.content_id in ids for facts in heads(source))


def _without(ground: Ground, pack: PackFacts, ids: set[ContentId], gone: Gone) -> Rewritten:
    def fates(wanted: Sequence[ContentId]) -> dict[ContentId, Gone]:
        return fates_of(ground, wanted) | {each: gone for each in wanted if each in ids}

    return rewrite(ground.store, name_after(pack.name), [pack.name], fates)


def _commit(
    ground: Ground,
    *,
    seen: Sequence[Removable],
    gone: Gone,
    holders: _Holders,
    results: Sequence[tuple[PackFacts, Rewritten]],
    events: Iterable[AuditEvent],
) -> None:
    now = ground.clock()
    with ground.database.writing() as connection:
        if policies.policy_of(connection, ground.account).hold:
            raise refuse_hold(ground.ref)
        tombstones.enter(connection, ground.account, tombstones_of(seen, gone))
        removing.forget(connection, sorted({each.content for each in seen}), now)
        for pack, result in results:
            new = successor(result, lambda name: upkeep.keys_by_offset(connection, name))
            upkeep.succeed(connection, ground.account, new, [pack], None)
        others = [(pack.name, pack.size) for pack in holders.others]
        upkeep.retire(connection, ground.account, others, None)
        trail.append_all(connection, events, now)
