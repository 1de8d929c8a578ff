"""Make the catalog anew from the packs alone (design §1, invariant 6).

Messages and placements come from the packs; the audit trail and the last statuses are taken over from the old catalog
if it can be read. Folder states and the ledger are not: the next run compares everything and finds out again.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

from archivmail.archive.catalog import checking, recording
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.intake import EpochTracker, Intake, take_in
from archivmail.archive.catalog.recording import NewPlacement
from archivmail.archive.catalog.replacing import Transaction, keep_trail, replacement
from archivmail.archive.locking import AccountLocks
from archivmail.archive.packs.names import ROOT
from archivmail.archive.packs.reading import Damage, Member
from archivmail.archive.packs.seektable import Frame
from archivmail.archive.packs.stores import PackStore, StoredPack
from archivmail.archive.scanning import OpenStore, ScannedPack, Scanner
from archivmail.archive.values import Finding, RebuildReport
from archivmail.model.account import AccountRef
from archivmail.model.foldernames import display
from archivmail.model.uidset import UidSet, UidValidity

Progress = Callable[[int, int], None]
"""Octets of packs done, and their sum."""


@dataclass(slots=True)
class _Account:
    """What belongs to the account whose packs are being read."""

    ref: AccountRef
    key: int
    waiting: list[tuple[str, NewPlacement]] = field(default_factory=list)
    """Further sightings of messages that were in no pack so far: two writers at once can turn the order round."""


@dataclass(slots=True)
class _Rebuilding:
    transaction: Transaction
    tracker: EpochTracker = field(default_factory=EpochTracker)
    account: _Account | None = None
    corrupt: list[Finding] = field(default_factory=list)
    missing: list[Finding] = field(default_factory=list)

    def take(self, scanned: ScannedPack) -> None:
        """Enter one pack. Raises ArchiveUnavailable."""
        if scanned.is_missing:
            self.corrupt.append(_nameless(scanned.name, _text(scanned)))
            return
        with self.transaction() as connection:
            intake = take_in(connection, scanned.name, scanned.size, _members(scanned), self.tracker)
            left = recording.record(connection, intake.key, intake.pack) if intake else []
        if intake is None:
            self.corrupt.append(_nameless(scanned.name, "no message of the pack can be read"))
            return
        self._enter(intake, left)

    def finish_account(self) -> None:
        """All packs of the account were read: place what waited."""
        account, self.account = self.account, None
        if account is None:
            return
        for pack, placement in account.waiting:
            with self.transaction() as connection:
                if recording.place_later(connection, account.key, pack, placement):
                    continue
                folder, uid_validity = checking.named(connection, placement.epoch)
            text = "the message that was seen here is in no pack"
            uids = UidSet.of([placement.sighting.uid])
            self.missing.append(Finding(pack, account.ref, folder, uid_validity, uids, text))

    def _enter(self, intake: Intake, left: list[NewPlacement]) -> None:
        if self.account is None or self.account.key != intake.key:
            self.finish_account()
            self.account = _Account(intake.account, intake.key)
        self.account.waiting += [(intake.pack.name, each) for each in left]
        self.corrupt += [_finding(intake, damage) for damage in intake.damage]


def rebuild(
    database: Database,
    store: PackStore,
    locks: AccountLocks,
    *,
    open_store: OpenStore | None = None,
    progress: Progress | None = None,
) -> RebuildReport:
    """Raises RunInProgress while an account is archived or another process has the catalog open; ArchiveUnavailable."""
    packs = list(store.packs(ROOT))
    total, done = sum(pack.size for pack in packs), 0
    with ExitStack() as taken, replacement(database) as transaction:
        for ref in sorted({_owner(pack) for pack in packs}):
            locks.take(ref)
            taken.callback(locks.release, ref)
        work = _Rebuilding(transaction)
        scanner = taken.enter_context(Scanner(store, open_store, octets=total))
        for pack, scanned in zip(packs, scanner.scan(packs, salvage=True), strict=True):
            work.take(scanned)
            done += pack.size
            if progress is not None:
                progress(done, total)
        work.finish_account()
        audit_entries = keep_trail(database, transaction)
        with transaction() as connection:
            _, messages, octets = checking.totals(connection)
            placements = checking.count_placements(connection)
    return RebuildReport(
        packs=len(packs),
        messages=messages,
        placements=placements,
        octets=octets,
        corrupt=tuple(work.corrupt),
        missing=tuple(work.missing),
        audit_entries=audit_entries,
    )


def _members(scanned: ScannedPack) -> Iterator[Member | Damage]:
    """A damaged seek table costs nothing: the frames can be followed without it."""
    if scanned.error is not None:
        yield Damage(Frame(0, 0, 0), scanned.error.text)
    yield from scanned.members


def _text(scanned: ScannedPack) -> str:
    assert scanned.error is not None
    return scanned.error.text


def _owner(pack: StoredPack) -> AccountRef:
    _, namespace, name, _ = pack.name.split("/")
    return AccountRef(namespace, name)


def _finding(intake: Intake, damage: Damage) -> Finding:
    if damage.facts is None:
        return Finding(intake.pack.name, intake.account, "", UidValidity(0), UidSet(), damage.text)
    facts = damage.facts
    uids = UidSet.of([facts.sighting.uid])
    return Finding(intake.pack.name, facts.account, display(facts.folder), facts.uid_validity, uids, damage.text)


def _nameless(pack: str, text: str) -> Finding:
    _, namespace, name, _ = pack.split("/")
    return Finding(pack, AccountRef(namespace, name), "", UidValidity(0), UidSet(), text)
