"""Make the catalog anew from the packs alone (design §1, invariant 6).

Messages and placements come from the packs; the audit trail and the last statuses are taken over from the old catalog
if it can be read. Folder states and the ledger are not: the next run compares everything and finds out again. One that
is interrupted goes on where it was.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from archivmail.archive.catalog import checking, recording, removing, upkeep
from archivmail.archive.catalog.accounts import all_accounts, ensure_account
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.intake import EpochTracker, Intake, take_in
from archivmail.archive.catalog.recording import NewPlacement
from archivmail.archive.catalog.replacing import NewCatalog, keep_trail, replacement
from archivmail.archive.locking import AccountLocks
from archivmail.archive.packs.names import ROOT
from archivmail.archive.packs.notes import name_of
from archivmail.archive.packs.reading import Damage, Found, frames, replaced_by, scan
from archivmail.archive.packs.seektable import Frame
from archivmail.archive.packs.stores import PackStore, StoredPack
from archivmail.archive.scanning import OpenStore, ScannedPack, Scanner
from archivmail.archive.values import Finding, RebuildReport
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchiveDamaged
from archivmail.model.foldernames import display
from archivmail.model.message import ContentId, Sighting
from archivmail.model.uidset import UidSet, UidValidity

_CORRUPT: Final = "corrupt"
_WAITING: Final = "waiting"

Progress = Callable[[int, int], None]
"""Octets of packs done, and their sum."""


@dataclass(slots=True)
class _Rebuilding:
    new: NewCatalog
    now: datetime
    replaced: Mapping[AccountRef, Sequence[tuple[str, int]]]
    """Name and size of packs whose place another took, and that are still there."""
    tracker: EpochTracker = field(default_factory=EpochTracker)

    def take(self, scanned: ScannedPack) -> None:
        """Enter one pack and note what is left for the end, in one transaction. Raises ArchiveUnavailable."""
        with self.new.transaction() as connection:
            intake = None
            if not scanned.is_missing:
                intake = take_in(connection, scanned.name, scanned.size, _members(scanned), self.tracker)
            if intake is None:
                missing = scanned.error if scanned.is_missing else None
                text = missing.text if missing else "no message of the pack can be read"
                self.new.note(connection, _CORRUPT, _document(_nameless(scanned.name, text)))
                return
            # Two writers at once can turn the order round: a sighting of a message that was in no pack so far.
            pack = intake.pack if scanned.error else replace(intake.pack, crc=scanned.crc)
            for placement in recording.record(connection, intake.key, pack):
                self.new.note(connection, _WAITING, _waiting(intake, placement))
            for damage in intake.damage:
                self.new.note(connection, _CORRUPT, _document(_finding(intake, damage)))

    def corrupt(self) -> tuple[Finding, ...]:
        """What could not be taken in."""
        # A pack that gave nothing is read again by each attempt.
        return tuple(dict.fromkeys(_of_document(each) for each in self.new.notes(_CORRUPT)))

    def place_waiting(self) -> tuple[Finding, ...]:
        """All packs were read: place what waited; what is nowhere is missing."""
        missing = []
        for note in list(self.new.notes(_WAITING)):
            placement = _placement(note)
            with self.new.transaction() as connection:
                if recording.place_later(connection, note["account"], note["pack"], placement):
                    continue
                if recording.bury_later(connection, note["account"], placement):
                    continue
                folder, uid_validity = checking.named(connection, placement.epoch)
            ref = _owner(note["pack"])
            uids = UidSet.of([placement.sighting.uid])
            text = "the message that was seen here is in no pack"
            missing.append(Finding(note["pack"], ref, folder, uid_validity, uids, text))
        return tuple(missing)

    def finish(self) -> None:
        """What removals left without a place goes, and packs whose place another took are on their way out."""
        with self.new.transaction() as connection:
            for ref in all_accounts(connection):
                account = ensure_account(connection, ref)
                removing.forget(connection, removing.unseen(connection, account), self.now)
                upkeep.retire(connection, account, self.replaced.get(ref, ()), self.now)


def rebuild(
    database: Database,
    store: PackStore,
    locks: AccountLocks,
    *,
    now: Callable[[], datetime],
    open_store: OpenStore | None = None,
    progress: Progress | None = None,
) -> RebuildReport:
    """Raises RunInProgress while an account is archived or another process has the catalog open; ArchiveUnavailable."""
    packs, replaced = _in_force(store, list(store.packs(ROOT)))
    total, done = sum(pack.size for pack in packs), 0
    with ExitStack() as taken, replacement(database, {pack.name: pack.size for pack in packs}) as new:
        for ref in sorted({_owner(pack.name) for pack in packs}):
            locks.take(ref)
            taken.callback(locks.release, ref)
        work = _Rebuilding(new, now(), replaced)
        entered = new.entered()
        left = [pack for pack in packs if pack.name not in entered]
        done += total - sum(pack.size for pack in left)
        scanner = taken.enter_context(Scanner(store, open_store, octets=total - done))
        for pack, scanned in zip(left, scanner.scan(left, salvage=True), strict=True):
            work.take(scanned)
            done += pack.size
            if progress is not None:
                progress(done, total)
        missing = work.place_waiting()
        work.finish()
        audit_entries = keep_trail(database, new)
        with new.transaction() as connection:
            _, messages, octets = checking.totals(connection)
            placements = checking.count_placements(connection)
        corrupt = work.corrupt()
    return RebuildReport(
        packs=len(packs),
        messages=messages,
        placements=placements,
        octets=octets,
        corrupt=corrupt,
        missing=missing,
        audit_entries=audit_entries,
    )


def _in_force(
    store: PackStore, packs: list[StoredPack]
) -> tuple[list[StoredPack], dict[AccountRef, list[tuple[str, int]]]]:
    """The packs that count, and by account those (name and size) whose place another one took."""
    present = {pack.name for pack in packs}
    replaced: set[str] = set()
    for pack in packs:
        try:
            with store.open(pack.name) as source:
                here = present & {name_of(each, pack.name) for each in replaced_by(source)}
                # A successor that is damaged takes nobody's place: what it lost may be in the others.
                if here and not any(isinstance(each, Damage) for each in scan(source, frames(source))):
                    replaced |= here
        except ArchiveDamaged:
            continue  # told when it is read as a whole
    left: dict[AccountRef, list[tuple[str, int]]] = {}
    for pack in packs:
        if pack.name in replaced:
            left.setdefault(_owner(pack.name), []).append((pack.name, pack.size))
    return [pack for pack in packs if pack.name not in replaced], left


def _members(scanned: ScannedPack) -> Iterator[Found]:
    """A damaged seek table costs nothing: the frames can be followed without it."""
    if scanned.error is not None:
        yield Damage(Frame(0, 0, 0), scanned.error.text)
    yield from scanned.members


def _owner(pack: str) -> AccountRef:
    _, namespace, name, _ = pack.split("/")
    return AccountRef(namespace, name)


def _finding(intake: Intake, damage: Damage) -> Finding:
    if damage.facts is None:
        return Finding(intake.pack.name, intake.account, "", UidValidity(0), UidSet(), damage.text)
    facts = damage.facts
    uids = UidSet.of([facts.sighting.uid])
    return Finding(intake.pack.name, facts.account, display(facts.folder), facts.uid_validity, uids, damage.text)


def _nameless(pack: str, text: str) -> Finding:
    return Finding(pack, _owner(pack), "", UidValidity(0), UidSet(), text)


# --- notes -----------------------------------------------------------------------------------------------------------


def _document(finding: Finding) -> dict[str, object]:
    return {
        "pack": finding.pack,
        "folder": finding.folder,
        "uidValidity": finding.uid_validity,
        "uids": list(finding.uids),
        "text": finding.text,
    }


def _of_document(note: Mapping[str, Any]) -> Finding:
    pack, validity = note["pack"], UidValidity(note["uidValidity"])
    return Finding(pack, _owner(pack), note["folder"], validity, UidSet.of(note["uids"]), note["text"])


def _waiting(intake: Intake, placement: NewPlacement) -> dict[str, object]:
    return {
        "account": intake.key,
        "pack": intake.pack.name,
        "epoch": placement.epoch,
        "folder": placement.folder,
        "sha256": placement.content_id.hex(),
        "sighting": asdict(placement.sighting),
    }


def _placement(note: Mapping[str, Any]) -> NewPlacement:
    # JSON knows no tuples.
    told = note["sighting"].items()
    said: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in told}
    return NewPlacement(note["epoch"], note["folder"], Sighting(**said), ContentId(bytes.fromhex(note["sha256"])))
