"""The archive as the rest of the program sees it: packs and their catalog together. Thin: every method is one call."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from archivmail.archive import index
from archivmail.archive.anchor import NAME as ANCHOR
from archivmail.archive.anchor import Anchoring
from archivmail.archive.anchor import load as load_anchor
from archivmail.archive.catalog import accounts, passes, policies, reading, trail
from archivmail.archive.catalog.adopting import adopt
from archivmail.archive.catalog.damage import Verification, last_verification
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.fences import raise_fence, require
from archivmail.archive.catalog.indexing import Waiting
from archivmail.archive.catalog.proving import Expected, TrailProof, prove
from archivmail.archive.documents import Documents
from archivmail.archive.events import policy_events
from archivmail.archive.finding import Finder
from archivmail.archive.ground import Ground
from archivmail.archive.keeping import Keeping
from archivmail.archive.locking import AccountLocks
from archivmail.archive.packs.names import PackNames, account_prefix
from archivmail.archive.packs.stores import PackStore
from archivmail.archive.reader import NearbyReader, Reader
from archivmail.archive.rebuild import rebuild
from archivmail.archive.rows import ArchivedMessage, AuditEntry
from archivmail.archive.scanning import OpenStore
from archivmail.archive.values import RebuildReport, VerifyReport
from archivmail.archive.verify import Progress, verify
from archivmail.archive.writer import AccountWriter
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchiveUnavailable, ArchivmailError
from archivmail.model.folder import FolderState
from archivmail.model.message import ContentId
from archivmail.model.notices import AuditEvent
from archivmail.model.retention import Policy


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000


class Archive(Finder):
    """An open archive. Thread-safe but for `rebuild`. Methods raise ArchiveUnavailable."""

    def __init__(
        self,
        store: PackStore,
        database: Database,
        locks: AccountLocks,
        *,
        open_store: OpenStore | None = None,
        clock: Callable[[], datetime] = _utc_now,
        milliseconds: Callable[[], int] = _milliseconds,
    ) -> None:
        """Made by `opening.open_archive`. `open_store` opens the packs' place in a worker process."""
        self._open_store = open_store
        self._store, self._database, self._locks = store, database, locks
        self._clock, self._milliseconds = clock, milliseconds
        self._reader = Reader(database, store)
        self._anchoring = Anchoring(store, database)
        self.keeping = Keeping(database, self._ground)
        """Upkeep, retention, erasure, and what the archive holds in numbers."""

    # --- writing -----------------------------------------------------------------------------------------------------

    def take(self, ref: AccountRef) -> AccountWriter:
        """The account for one run. Raises RunInProgress."""
        ground = self._taken(ref)
        try:
            return AccountWriter(
                ref,
                ground.account,
                database=ground.database,
                store=self._store,
                names=ground.names,
                clock=self._clock,
                release=lambda: self._release(ref),
            )
        except BaseException:
            self._locks.release(ref)
            raise

    def save_account_status(self, ref: AccountRef, document: dict[str, object]) -> None:
        """Replace the account's status, a JSON object."""
        with self._database.writing() as connection:
            accounts.save_status(connection, ref, document)

    def record(self, event: AuditEvent) -> None:
        """Append to the audit trail."""
        with self._database.writing() as connection:
            trail.append(connection, event, self._clock())
        self._anchoring.keep()

    def set_policy(self, ref: AccountRef, policy: Policy, *, by: str) -> None:
        """Keep what the account's resource says about removal; a change is in the audit trail. `by`: who told us."""
        with self._database.reading() as connection:
            account = accounts.find_account(connection, ref)
            if policy == (Policy() if account is None else policies.policy_of(connection, account)):
                return
        with self._database.writing() as connection:
            before = policies.save(connection, ref, policy)
            if before is not None:
                trail.append_all(connection, policy_events(ref, before, policy, by), self._clock())
        self._anchoring.keep()

    def policy(self, ref: AccountRef) -> Policy:
        """What the account's resource said last; the default when it said nothing."""
        with self._database.reading() as connection:
            account = accounts.find_account(connection, ref)
            return Policy() if account is None else policies.policy_of(connection, account)

    def drain_index(self, *, max_messages: int = 500, should_stop: Callable[[], bool] = lambda: False) -> int:
        """Index messages that wait; the number done, 0 when none is left."""
        reader, documents = NearbyReader(self._store), Documents()
        try:
            return index.drain(
                self._database,
                lambda waiting, limit: reader.beginning(_location(waiting), limit),
                max_messages=max_messages,
                should_stop=should_stop,
                text_of=documents.text_of if documents.is_available else None,
            )
        finally:
            documents.close()
            reader.close()

    # --- reading -----------------------------------------------------------------------------------------------------

    def accounts(self) -> list[AccountRef]:
        """Every account that was ever taken, by namespace and name."""
        with self._database.reading() as connection:
            return accounts.all_accounts(connection)

    def account_status(self, ref: AccountRef) -> dict[str, object] | None:
        """The status saved last."""
        with self._database.reading() as connection:
            return accounts.status_of(connection, ref)

    def folder_states(self, ref: AccountRef) -> list[tuple[str, FolderState]]:
        """The decoded name and the state of every folder that was passed."""
        with self._database.reading() as connection:
            account = accounts.find_account(connection, ref)
            return [] if account is None else passes.states(connection, account)

    def resolve(self, prefix: str) -> ContentId:
        """The content whose id begins so. Raises SpecInvalid when there is none, or more than one."""
        return self._reader.resolve(prefix)

    def message(self, content_id: ContentId) -> ArchivedMessage:
        """Raises SpecInvalid when there is no such message."""
        return self._reader.message(content_id)

    def octets(self, content_id: ContentId) -> Iterator[bytes]:
        """The exact octets. Raises SpecInvalid, and ArchiveDamaged, at the latest after the last piece."""
        return self._reader.octets(content_id)

    def audit_entries(self) -> Iterator[AuditEntry]:
        """The trail, oldest first, each entry checked."""
        with self._database.reading() as connection:
            yield from trail.entries(connection)

    def prove_trail(self, noted: Iterable[Expected] = ()) -> TrailProof:
        """Check every entry of the trail and compare it with the anchor, and with entries that a person noted."""
        anchor = load_anchor(self._store)  # first: it may lag behind the trail, never lead
        expected = [] if anchor is None else [Expected(anchor.seq, anchor.hash, f"the anchor {ANCHOR}")]
        proof = prove(self.audit_entries(), [*expected, *noted])
        if anchor is None and proof.entries:
            proof.problems.append(
                f"the anchor {ANCHOR} beside the packs is missing or unreadable, so entries cut off at the end would "
                "not show"
            )
        return proof

    # --- care --------------------------------------------------------------------------------------------------------

    def verify(self, *, full: bool = False, progress: Progress | None = None) -> VerifyReport:
        """Compare packs and catalog both ways; `full` reads and hashes every message."""
        return verify(
            self._database,
            self._store,
            self._locks,
            full=full,
            now=self._clock,
            open_store=self._open_store,
            progress=progress,
        )

    def last_verification(self) -> Verification | None:
        """None before the first."""
        with self._database.reading() as connection:
            return last_verification(connection)

    def rebuild(self, *, progress: Progress | None = None) -> RebuildReport:
        """Make the catalog anew from the packs alone. Raises RunInProgress while anything else uses it."""
        report = rebuild(
            self._database,
            self._store,
            self._locks,
            now=self._clock,
            open_store=self._open_store,
            progress=progress,
        )
        lost = self._anchoring.cut_off()
        self._keep_holds()
        facts: dict[str, str | int | bool] = {
            "packs": report.packs,
            "messages": report.messages,
            "corrupt": len(report.corrupt),
            "missing": len(report.missing),
            "auditEntriesKept": report.audit_entries,
        }
        if lost is not None:
            facts["headBefore"] = f"{lost.seq}:{lost.hash.hex()}"
        with self._database.writing() as connection:
            trail.append(connection, AuditEvent("rebuild", "", "", facts), self._clock())
        self._anchoring.keep(is_new_trail=True)
        return report if lost is None else replace(report, audit_entry_lost=lost.seq)

    def close(self) -> None:
        """Never raises."""
        with suppress(ArchivmailError):
            self._anchoring.keep()
        self._locks.close()
        self._database.close()

    def _taken(self, ref: AccountRef) -> Ground:
        """The account, held; to be given back by `_release`. Raises RunInProgress."""
        if self._database.read_only:
            raise ArchiveUnavailable("The archive is opened read-only; open it for writing to archive an account.")
        self._locks.take(ref)
        try:
            account = self._key(ref)
            database = self._fenced(ref, account)
            self._store.sweep(account_prefix(ref))
            newest = adopt(database, self._store, ref, account, self._clock())
        except BaseException:
            self._locks.release(ref)
            raise
        names = PackNames(ref, milliseconds=self._milliseconds, after=newest)
        return Ground(ref, account, database, self._store, names, self._clock)

    def _key(self, ref: AccountRef) -> int:
        with self._database.reading() as connection:
            known = accounts.find_account(connection, ref)
        if known is not None:
            return known
        with self._database.writing() as connection:
            return accounts.ensure_account(connection, ref)

    def _fenced(self, ref: AccountRef, account: int) -> Database:
        """The catalog for whoever holds the account now, and no longer than that."""
        if not self._locks.can_be_lost:
            return self._database
        with self._database.writing(is_durable=False) as connection:
            token = raise_fence(connection, account)
        return self._database.guarded(lambda connection: require(connection, ref, account, token))

    @contextmanager
    def _ground(self, ref: AccountRef) -> Iterator[Ground]:
        ground = self._taken(ref)
        try:
            yield ground
        finally:
            # What removes mail is anchored before the command is through; runs come too often for that.
            self._release(ref, is_anchored_at_once=True)

    def _release(self, ref: AccountRef, *, is_anchored_at_once: bool = False) -> None:
        self._locks.release(ref)
        with suppress(ArchivmailError):
            self._anchoring.keep(at_once=is_anchored_at_once)

    def _keep_holds(self) -> None:
        """A catalog that was lost takes no hold with it: those that the anchor names are in force again."""
        anchor = load_anchor(self._store)
        for ref in anchor.holds if anchor else ():
            self.set_policy(ref, replace(self.policy(ref), hold=True), by="rebuild")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _location(waiting: Waiting) -> reading.Location:
    return reading.Location(waiting.pack, waiting.frame_offset, waiting.frame_length)
