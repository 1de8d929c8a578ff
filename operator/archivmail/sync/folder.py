"""One pass over one folder: open, plan, list, get what is missing, record how far it got.

Readable as a list of steps; every rule is in `decide/`. A pass never moves a mark past something that failed: what it
could not archive is in the ledger or simply not in the set of placements, so the next pass sees it again.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from archivmail.decide.fetching import Continue, Plan, Start, StartOver, UpToDate, plan, to_do
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchivmailError, ConnectionLost
from archivmail.model.folder import Epoch, Folder, FolderName, FolderState, LedgerEntry, Snapshot
from archivmail.model.foldernames import display
from archivmail.model.notices import AuditEvent
from archivmail.model.outcome import Failure, FolderOutcome, MessageCounts, QuarantinedUid
from archivmail.model.reasons import Reason
from archivmail.model.uidset import MAX_UID, Uid, UidSet, UidValidity
from archivmail.sync.gathering import Gathering, Surroundings
from archivmail.sync.ports import AccountArchive

MAX_UIDS = 1000  # characters of a list of UIDs in the audit trail
NO_VALIDITY = "the server gives no UIDVALIDITY, so every run downloads this folder again and compares contents"


def planned(folder: Folder, snapshot: Snapshot, around: Surroundings, *, is_forced: bool) -> Plan:
    """What to do with the folder as it shows itself in EXAMINE or STATUS."""
    epoch, now = around.archive.latest_epoch(folder.name), around.clock()
    ledger = around.archive.ledger(epoch) if epoch is not None else []
    return plan(
        snapshot,
        origin=around.server.origin,
        epoch=epoch,
        state=around.archive.folder_state(folder.name),
        has_ledger=any(is_forced or entry.next_try <= now for entry in ledger),
        now=now,
    )


@dataclass(slots=True)
class FolderPass:
    """One pass and how far it got. `run` may be called once."""

    ref: AccountRef
    folder: Folder
    around: Surroundings
    is_forced: bool
    known_epoch: Epoch | None = None
    """The newest epoch with a real UIDVALIDITY; it stays in force while the server gives none (S13)."""
    snapshot: Snapshot | None = None
    gathering: Gathering | None = None
    listed: UidSet | None = None
    """What the server lists; None until it has said so."""
    reset_from: UidValidity | None = None
    quarantined_before: UidSet = UidSet()  # noqa: RUF009 - immutable
    is_limited: bool = False
    is_through: bool = False

    def run(self) -> FolderOutcome:
        """Bring the folder up to date. Raises FolderRefused, NeedsTime errors and Aborted.

        Whatever ends it, what was listed and archived until then is in the folder's state at the next checkpoint.
        """
        self.known_epoch = self.around.archive.latest_epoch(self.folder.name)
        self.snapshot = self.around.viewed(self.around.server.examine(self.folder))
        match planned(self.folder, self.snapshot, self.around, is_forced=self.is_forced):
            case UpToDate(state):
                return outcome_of_state(self.folder, state)
            case Continue(epoch):
                pass
            case StartOver() as step:
                epoch = self._start_over(step)
        try:
            self._compare_and_fetch(epoch)
            self.is_through = True
        finally:
            self._record_state()
            self._record_quarantined()
        return self.outcome() or unvisited(self.folder, self.around.archive)

    def _start_over(self, step: StartOver) -> Epoch:
        epoch = self.around.archive.start_epoch(self.folder, self.around.server.origin, step.uid_validity)
        if step.why is Start.VALIDITY_CHANGED and step.before is not None:  # S14
            self.reset_from = step.before
            name = display(self.folder.name)
            self.around.watcher.folder_reset(name, step.before, step.uid_validity)
            facts: dict[str, str | int | bool] = {"folder": name, "before": step.before, "after": step.uid_validity}
            self.around.archive.record(AuditEvent("imap_uidvalidity_reset", self.ref.namespace, self.ref.name, facts))
        if step.why is Start.UIDS_REUSED:
            facts = {"folder": display(self.folder.name), "uidNext": self._opened.uid_next or 0}
            self.around.archive.record(AuditEvent("imap_uids_reused", self.ref.namespace, self.ref.name, facts))
        return epoch

    def _compare_and_fetch(self, epoch: Epoch) -> None:
        archive, now = self.around.archive, self.around.clock()
        # S13: without UIDVALIDITY a UID is no identity, so nothing counts as held until its octets were compared.
        held = archive.archived(epoch) if epoch.uid_validity else UidSet()
        entries = {entry.uid: entry for entry in archive.ledger(epoch)}
        self.quarantined_before = _quarantined(entries.values())
        assembled = archive.assembled(epoch)
        gathering = self.gathering = Gathering(
            self.around, display(self.folder.name), epoch, held, entries, assembled=assembled
        )
        self.listed = self._list()
        work = to_do(self.listed, held, entries.values(), now=now, is_forced=self.is_forced, assembled=assembled)
        if work.gone:
            gathering.forget(work.gone)
        self.around.tally.found(len(work.fresh) + len(work.retries))
        left = gathering.place_known(work.fresh | work.retries)
        gathering.fetch(left - work.retries)
        for uid in left & work.retries:  # alone, so that what failed before cannot harm others
            gathering.retry(uid)
        gathering.prove(work.proofs)
        if gathering.gone:
            self._confirm_gone()

    def _list(self) -> UidSet:
        """Every UID, reconciled with EXISTS: a shorter list is asked for once more, then told as a limited view."""
        server = self.around.server
        snapshot, listed = self._opened, server.uids()
        if len(listed) < snapshot.messages:
            snapshot = self._looked_again(snapshot)
            listed |= server.uids()
        self.is_limited = snapshot.limited or len(listed) < snapshot.messages
        return listed

    def _confirm_gone(self) -> None:
        """Messages that came without octets and are listed no more: gone, unless the folder still counts them."""
        assert self.listed is not None
        assert self.gathering is not None
        seen = self._examined_again(self._opened)
        again = self.around.server.uids()
        if len(again) < seen.messages:
            self.is_limited = True
        self.gathering.gone -= again  # it was one list that lacked them
        # What was there at the first look and is listed only now is missing; what came since is for the next pass.
        first_new = self._opened.uid_next or MAX_UID
        self.listed |= again - UidSet([(first_new, MAX_UID)])

    def _looked_again(self, before: Snapshot) -> Snapshot:
        after = self.snapshot = self._examined_again(before)
        return after

    def _examined_again(self, before: Snapshot) -> Snapshot:
        after = self.around.viewed(self.around.server.examine(self.folder))
        if after.uid_validity != before.uid_validity:  # the epoch was chosen for the UIDVALIDITY before
            raise ConnectionLost(
                "the server renumbered the folder while it was being read; the next try starts it over"
            )
        return after

    # --- how far it got ----------------------------------------------------------------------------------------------

    @property
    def _opened(self) -> Snapshot:
        assert self.snapshot is not None
        return self.snapshot

    def _counts(self, listed: UidSet, gathering: Gathering) -> MessageCounts:
        missing = listed - gathering.held
        quarantined = sum(entry.quarantined and entry.uid in missing for entry in gathering.failures)
        return MessageCounts(len(listed), len(listed) - len(missing), len(missing) - quarantined, quarantined)

    def _epoch_in_force(self, gathering: Gathering) -> Epoch:
        """The epoch that the status shows: a known UIDVALIDITY outlives a server that stops telling it (S13)."""
        current = gathering.epoch
        return current if current.uid_validity or self.known_epoch is None else self.known_epoch

    def _is_complete(self, counts: MessageCounts) -> bool:
        return self.is_through and counts.archived == counts.server and not self.is_limited

    def _record_state(self) -> None:
        outcome, gathering = self.outcome(), self.gathering
        if outcome is None or gathering is None or outcome.passed_at is None:
            return
        epoch = self._epoch_in_force(gathering)
        state = FolderState(
            epoch=epoch,
            uid_next=self._opened.uid_next,
            messages=self._opened.messages,
            last_uid=Uid(outcome.last_uid),
            server=outcome.counts.server,
            archived=outcome.counts.archived,
            pending=outcome.counts.pending,
            quarantined=outcome.counts.quarantined,
            passed_at=outcome.passed_at,
            compared_at=outcome.passed_at,
            # Only a pass under this very epoch may save the next one work.
            complete=outcome.complete and epoch == gathering.epoch,
        )
        self.around.archive.put_folder_state(self.folder, state)

    def _record_quarantined(self) -> None:
        """In the trail, once for each UID. Whatever ends the pass, this does not hide it."""
        if self.gathering is None:
            return
        new = _quarantined(self.gathering.entries.values()) - self.quarantined_before
        if not new:
            return
        facts: dict[str, str | int | bool] = {
            "folder": display(self.folder.name),
            "uidValidity": self.gathering.epoch.uid_validity,
            "messages": len(new),
            "uids": str(new)[:MAX_UIDS],
        }
        with suppress(ArchivmailError):
            self.around.archive.record(AuditEvent("messages_quarantined", self.ref.namespace, self.ref.name, facts))

    def outcome(self) -> FolderOutcome | None:
        """How far the pass got; None when it ended before the server listed its UIDs."""
        if self.listed is None or self.gathering is None:
            return None
        gathering, name = self.gathering, display(self.folder.name)
        listed = self.listed - gathering.gone
        counts = self._counts(listed, gathering)
        return FolderOutcome(
            name=self.folder.name,
            display=name,
            counts=counts,
            uid_validity=self._epoch_in_force(gathering).uid_validity,
            last_uid=listed.highest,
            passed_at=self.around.clock(),
            added=gathering.added,
            complete=self._is_complete(counts),
            limited=self.is_limited,
            reset_from=self.reset_from,
            quarantined=tuple(
                QuarantinedUid(name, entry.uid, entry.reason, entry.attempts)
                for entry in gathering.failures
                if entry.quarantined
            ),
            note=_note(gathering),
        )


def _quarantined(entries: Iterable[LedgerEntry]) -> UidSet:
    return UidSet.of(entry.uid for entry in entries if entry.quarantined)


def _note(gathering: Gathering) -> str | None:
    """What to know of a folder that did not fail as a whole."""
    failures = gathering.failures
    if failures:
        first = min(failures, key=lambda entry: entry.uid)
        count = len(failures)
        return f"{count} of its messages could not be archived yet; UID {first.uid}: {first.error} ({first.reason})"
    if gathering.assembled:
        return (
            f"messages that the server does not give whole and that were put together from parts: "
            f"{len(gathering.assembled)}, UID {gathering.assembled.first(1)} among them"
        )
    return None if gathering.epoch.uid_validity else NO_VALIDITY


def outcome_of_state(folder: Folder, state: FolderState) -> FolderOutcome:
    """A folder as its last pass left it."""
    return FolderOutcome(
        name=folder.name,
        display=display(folder.name),
        counts=MessageCounts(state.server, state.archived, state.pending, state.quarantined),
        uid_validity=state.epoch.uid_validity,
        last_uid=state.last_uid,
        passed_at=state.passed_at,
        complete=state.complete,
    )


def unvisited(folder: Folder, archive: AccountArchive) -> FolderOutcome:
    """A folder the run did not get to: what its last pass left, or nothing."""
    state = archive.folder_state(folder.name)
    return (
        outcome_of_state(folder, state) if state else FolderOutcome(folder.name, display(folder.name), MessageCounts())
    )


def not_listed(name: str) -> FolderOutcome:
    """A folder that the rules name and the server does not have."""
    text = f"spec.folders.include names {name!r}, but the server lists no such folder; correct the name or remove it"
    failure = Failure(Reason.FOLDER_MISSING, text, stage="list")
    return FolderOutcome(FolderName(name.encode()), name, MessageCounts(), failure=failure)


def joined(before: FolderOutcome | None, after: FolderOutcome) -> FolderOutcome:
    """Two passes over one folder in one run, told as one."""
    if before is None:
        return after
    return replace(after, added=before.added + after.added, reset_from=after.reset_from or before.reset_from)
