"""Upkeep of one account: take in or remove what crashes left, remove what is past its time, write packs anew, and
remove the packs whose place another took once their time of grace is over.

The caller holds the account. Every step may be cut off anywhere: new packs are durable before the catalog knows them,
the catalog knows them before old ones go, and what was half done is done again or taken away by the next upkeep.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from archivmail.archive import retention, strangers
from archivmail.archive.catalog import recording, tombstones, trail, upkeep
from archivmail.archive.catalog.intake import KnownEpochs, take_in
from archivmail.archive.catalog.upkeep import Moved, Successor
from archivmail.archive.durability import SystemDurability
from archivmail.archive.ground import Ground
from archivmail.archive.locking import AccountLocks
from archivmail.archive.packs.names import account_prefix, name_after
from archivmail.archive.packs.reading import frames, replaced_by, scan
from archivmail.archive.packs.stores import StoredPack
from archivmail.archive.retention import Removed
from archivmail.archive.rewriting import Rewritten, rewrite
from archivmail.archive.strangers import InFlight, Kind
from archivmail.decide.upkeep import GRACE, PackFacts, Rewrite, is_over, rewrites
from archivmail.model.errors import Aborted, ArchiveDamaged
from archivmail.model.message import ContentId
from archivmail.model.notices import AuditEvent
from archivmail.model.retention import Gone

Progress = Callable[[int, int], None]
"""Octets of packs done, and their sum."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How far upkeep goes."""

    grace: timedelta = GRACE
    is_thorough: bool = False
    """Every removed message leaves the packs, and every two small packs in a row are merged."""
    is_dry_run: bool = False
    """Nothing is changed; the report tells what would be."""
    by: str = "operator"
    """Who acts, for the audit trail."""


@dataclass(slots=True)
class UpkeepReport:
    """What was done, or would be."""

    expired: Removed = field(default_factory=Removed)
    rewritten: int = 0
    """Packs that were written anew."""
    into: int = 0
    """Packs that they became."""
    copied: int = 0
    """Octets of the packs that were written anew."""
    removed: int = 0
    """Packs that were removed from the store."""
    freed: int = 0
    """Their octets."""
    adopted: int = 0
    """Packs that a crash had left and that were taken in."""
    damaged: list[str] = field(default_factory=list)
    """Sentences on packs that were left as they are."""
    is_done: bool = True
    """False: it was told to stop before the end."""


def keep_up(
    ground: Ground,
    plan: Plan,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
) -> UpkeepReport:
    """Raises ArchiveUnavailable; what was done before stays done."""
    report = UpkeepReport()
    if plan.is_dry_run:
        report.expired = retention.due(ground)
    else:
        settle_strangers(ground, report)
        report.expired = retention.remove_expired(ground, by=plan.by, should_stop=should_stop)
    now = ground.clock()
    chosen = [each for stretch in _stretches(ground) for each in rewrites(stretch, now, is_thorough=plan.is_thorough)]
    total, done = sum(each.size for each in chosen), 0
    for each in chosen:
        if should_stop():
            report.is_done = False
            break
        _write_anew(ground, plan, each, report, should_stop)
        done += each.size
        if progress is not None:
            progress(done, total)
    _remove_retired(ground, plan, report)
    return report


def fates_of(ground: Ground, wanted: Sequence[ContentId]) -> dict[ContentId, Gone]:
    """Why contents are gone, by the catalog."""
    with ground.database.reading() as connection:
        return tombstones.of_contents(connection, ground.account, wanted)


def successor(result: Rewritten, keys: Callable[[str], Mapping[int, int]]) -> Successor:
    """What the catalog enters of a new pack. `keys` gives the contents of an old one by offset."""
    known: dict[str, Mapping[int, int]] = {}
    moved = []
    for each in result.copied:
        if each.pack not in known:
            known[each.pack] = keys(each.pack)
        key = known[each.pack].get(each.offset)
        if key is not None:  # else the catalog counts on another copy
            moved.append(Moved(key, each.span.offset, each.span.length))
    return Successor(result.name, result.size, result.members, result.crc, result.replaced, moved)


def _stretches(ground: Ground) -> list[list[PackFacts]]:
    """The account's packs between those that were lost and that nobody misses any more: no merge gets past one.

    Nor over it: the order of packs is that of what they hold, and it may come back.
    """
    there = {stored.name for stored in ground.store.packs(account_prefix(ground.ref))}
    stretches: list[list[PackFacts]] = [[]]
    with ground.database.reading() as connection:
        for pack in upkeep.packs_of(connection, ground.account):
            if pack.name in there or upkeep.is_counted_on(connection, pack.name):
                stretches[-1].append(pack)
            else:
                stretches.append([])
    return stretches


# --- packs anew ------------------------------------------------------------------------------------------------------


def _write_anew(
    ground: Ground, plan: Plan, chosen: Rewrite, report: UpkeepReport, should_stop: Callable[[], bool]
) -> None:
    report.rewritten += len(chosen.packs)
    report.into += 1
    report.copied += chosen.size
    if plan.is_dry_run:
        return
    names = [pack.name for pack in chosen.packs]
    try:
        result = rewrite(
            ground.store,
            name_after(names[-1]),
            names,
            lambda wanted: fates_of(ground, wanted),
            should_stop=should_stop,
        )
    except (ArchiveDamaged, Aborted) as error:
        report.rewritten -= len(chosen.packs)
        report.into -= 1
        report.copied -= chosen.size
        if isinstance(error, Aborted):
            report.is_done = False
        else:
            report.damaged.append(error.text)
        return
    _enter(ground, plan, chosen.packs, result)


def _enter(ground: Ground, plan: Plan, old: Sequence[PackFacts], result: Rewritten) -> None:
    now = ground.clock()
    facts: dict[str, str | int | bool] = {
        "pack": result.name,
        "packs": len(old),
        "octets": result.size,
        "octetsBefore": sum(pack.size for pack in old),
        "removedMessages": result.buried,
        "by": plan.by,
    }
    with ground.database.writing() as connection:
        new = successor(result, lambda pack: upkeep.keys_by_offset(connection, pack))
        upkeep.succeed(connection, ground.account, new, old, now)
        event = AuditEvent("packs_rewritten", ground.ref.namespace, ground.ref.name, facts)
        trail.append(connection, event, now)


# --- packs that go ---------------------------------------------------------------------------------------------------


def _remove_retired(ground: Ground, plan: Plan, report: UpkeepReport) -> None:
    with ground.database.reading() as connection:
        waiting = upkeep.retired(connection, ground.account)
    now = ground.clock()
    due = [each for each in waiting if is_over(each.retired_at, now, plan.grace)]
    if due and (lost := _lost(ground)):
        report.damaged.append(
            f"The pack {lost} is not there as the catalog knows it, so packs whose place others took stay; run "
            "archivmail verify --full, and archivmail rebuild if the catalog is older than the packs."
        )
        due = [each for each in due if each.is_urgent]
    for each in due:
        report.removed += 1
        report.freed += each.size
        if plan.is_dry_run:
            continue
        ground.store.remove(each.name)
        with ground.database.writing() as connection:
            upkeep.drop_retired(connection, each.name)


def _lost(ground: Ground) -> str | None:
    """A pack of the account that the catalog counts on and the store does not have whole."""
    there = {stored.name: stored.size for stored in ground.store.packs(account_prefix(ground.ref))}
    with ground.database.reading() as connection:
        lost = (pack.name for pack in upkeep.packs_of(connection, ground.account) if there.get(pack.name) != pack.size)
        # What was in it may have been fetched once more: then nobody misses it.
        return next((name for name in lost if upkeep.is_counted_on(connection, name)), None)


# --- packs that crashes left -----------------------------------------------------------------------------------------


def settle_strangers(ground: Ground, report: UpkeepReport) -> None:
    """Packs that the catalog does not know: taken in where they hold something, else on their way out.

    Raises ArchiveUnavailable.
    """
    nobody = InFlight(
        AccountLocks(None, SystemDurability())
    )  # the account is ours, so nothing is about to be committed
    for stored in _strangers(ground):
        match strangers.kind(ground.database, ground.store, stored.name, nobody):
            case Kind.REDUNDANT:
                with ground.database.writing() as connection:
                    upkeep.retire(connection, ground.account, [(stored.name, stored.size)], ground.clock())
            case Kind.ORPHAN:
                _adopt(ground, stored, report)
            case Kind.ABOUT_TO_BE_KNOWN:
                pass


def _strangers(ground: Ground) -> Iterator[StoredPack]:
    with ground.database.reading() as connection:
        known = {pack.name for pack in upkeep.packs_of(connection, ground.account)}
        known |= {pack.name for pack in upkeep.retired(connection, ground.account)}
    for stored in ground.store.packs(account_prefix(ground.ref)):
        if stored.name not in known:
            yield stored


def _adopt(ground: Ground, stored: StoredPack, report: UpkeepReport) -> None:
    """Take in a pack from among others: only where its folders' epochs are known, for the order of packs tells them."""
    with suppress(ArchiveDamaged), ground.store.open(stored.name) as source:
        if replaced_by(source):
            raise ArchiveDamaged(f"The pack {stored.name} takes the place of others; the order of packs must be told.")
        with ground.database.writing() as connection:
            intake = take_in(connection, stored.name, stored.size, scan(source, frames(source)), KnownEpochs())
            if intake is None or intake.damage or intake.account != ground.ref:
                raise ArchiveDamaged(f"The pack {stored.name} is not whole; run archivmail verify --full.")
            if recording.record(connection, intake.key, intake.pack):
                raise ArchiveDamaged(f"The pack {stored.name} names messages that are not there.")
        report.adopted += 1
        return
    report.damaged.append(f"The pack {stored.name} is unknown to the catalog; archivmail rebuild takes it in.")
