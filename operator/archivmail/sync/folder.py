"""One pass over one folder: plan, list, fetch what is missing, record how far it got.

Readable as a list of steps; every rule is in `decide/`. A pass never moves a mark past something that failed: what it
could not archive is in the ledger or simply not in the set of placements, so the next pass sees it again.
"""

from collections import deque
from dataclasses import dataclass, field

from archivmail.decide.batching import SizeEstimate, halves, is_checkpoint_due, next_batch
from archivmail.decide.fetching import Continue, Start, StartOver, ToDo, UpToDate, plan, to_do
from archivmail.decide.retrying import ledger_entry
from archivmail.model.errors import ConnectionLost, FolderRefused, NeedsTime, ServerViolation
from archivmail.model.folder import Epoch, Folder, FolderState, LedgerEntry, Snapshot
from archivmail.model.foldernames import display
from archivmail.model.message import FetchedMessage, Refused
from archivmail.model.notices import AuditEvent
from archivmail.model.outcome import FolderOutcome, MessageCounts, QuarantinedUid
from archivmail.model.reasons import Reason
from archivmail.model.uidset import Uid, UidSet, UidValidity
from archivmail.sync.ports import AccountArchive, Clock, MailServer, Watcher
from archivmail.sync.tally import Tally

MAX_REFUSALS_IN_A_ROW = 50  # a folder that refuses this many messages one by one refuses them all
NOBODY = UidSet()
NO_VALIDITY = "the server gives no UIDVALIDITY, so every run downloads this folder again and compares contents"


@dataclass(slots=True)
class FolderPass:
    """The working state of one pass. `run` may be called once."""

    folder: Folder
    server: MailServer
    archive: AccountArchive
    watcher: Watcher
    clock: Clock
    tally: Tally
    is_forced: bool
    namespace: str
    account: str
    epoch: Epoch | None = None
    known_epoch: Epoch | None = None
    """The newest epoch with a real UIDVALIDITY; kept in force while the server gives none (S13)."""
    snapshot: Snapshot | None = None
    listed: UidSet | None = None
    """What the server lists; None until it has said so."""
    is_through: bool = False
    held: UidSet = NOBODY
    reset_from: UidValidity | None = None
    limited: bool = False
    fetched: list[int] = field(default_factory=list)
    entries: dict[Uid, LedgerEntry] = field(default_factory=dict)
    estimate: SizeEstimate = field(default_factory=SizeEstimate)
    added: int = 0

    def run(self) -> FolderOutcome:
        """Bring the folder up to date. Raises FolderRefused, NeedsTime errors and Aborted.

        Whatever ends it, what was listed and archived until then is in the folder's state at the next checkpoint.
        """
        self.snapshot = self.server.examine(self.folder)
        self.known_epoch = self.archive.latest_epoch(self.folder.name)
        step = plan(
            self.snapshot,
            origin=self.server.origin,
            epoch=self.known_epoch,
            state=self.archive.folder_state(self.folder.name),
            has_ledger=has_ledger(self.archive, self.known_epoch),
            now=self.clock(),
        )
        match step:
            case UpToDate(state):
                return outcome_of_state(self.folder, state)
            case Continue(epoch):
                self.epoch = epoch
            case StartOver():
                self._start_over(step)
        try:
            self._compare_and_fetch()
            self.is_through = True
        finally:
            if self.listed is not None:
                self._record_state(self.listed)
        return self.outcome() or unvisited(self.folder, self.archive)

    def outcome(self) -> FolderOutcome | None:
        """How far the pass got; None when it ended before the server listed its UIDs."""
        return self._outcome(self.listed) if self.listed is not None else None

    # --- steps -------------------------------------------------------------------------------------------------------

    def _start_over(self, step: StartOver) -> None:
        self.epoch = self.archive.start_epoch(self.folder, self.server.origin, step.uid_validity)
        if step.why is Start.VALIDITY_CHANGED and step.before is not None:  # S14
            self.reset_from = step.before
            self.watcher.folder_reset(display(self.folder.name), step.before, step.uid_validity)
            facts: dict[str, str | int | bool] = {
                "folder": display(self.folder.name),
                "before": step.before,
                "after": step.uid_validity,
            }
            self.archive.record(AuditEvent("imap_uidvalidity_reset", self.namespace, self.account, facts))

    def _compare_and_fetch(self) -> None:
        epoch = self._current_epoch
        listed = self.listed = self._list()
        # S13: without UIDVALIDITY a UID is no identity, so nothing counts as held until its octets were compared.
        self.held = self.archive.archived(epoch) if epoch.uid_validity else NOBODY
        self.entries = {entry.uid: entry for entry in self.archive.ledger(epoch)}
        work = to_do(listed, self.held, self.entries.values(), now=self.clock(), is_forced=self.is_forced)
        if work.gone:
            self._forget(work.gone)
        self.tally.found(len(work.fresh) + len(work.retries))
        left = self._place_known(work)
        self._fetch_all(left - work.retries)
        for uid in left & work.retries:
            self._fetch_all(UidSet.of([uid]))

    def _list(self) -> UidSet:
        """Every UID, reconciled with EXISTS: a shorter list is asked for once more, then told as a limited view."""
        assert self.snapshot is not None
        listed = self.server.uids()
        if len(listed) < self.snapshot.messages:
            self.snapshot = self.server.examine(self.folder)
            listed |= self.server.uids()
        self.limited = self.snapshot.limited or len(listed) < self.snapshot.messages
        return listed

    def _place_known(self, work: ToDo) -> UidSet:
        """Place messages that are held under the server's immutable id; give back those that need fetching."""
        missing = work.fresh | work.retries
        if not missing:
            return missing
        placed = []
        for uid, sighting in self.server.sightings(missing).items():
            content_id = self.archive.content_of_email_id(sighting.email_id) if sighting.email_id else None
            if content_id is not None:
                stored = self.archive.place(self._current_epoch, sighting, content_id)
                self._count(uid, 0, is_new=stored.is_new_placement)
                self.watcher.message_stored(0, stored)
                placed.append(uid)
                self._checkpoint_if_due()
        self.held |= UidSet.of(placed)
        return missing - UidSet.of(placed)

    def _fetch_all(self, missing: UidSet) -> None:
        """Fetch in batches; a refused batch is halved until the messages that are the cause stand alone."""
        refused_halves: deque[UidSet] = deque()
        left, absent, refusals = missing, NOBODY, 0
        while left or refused_halves:
            batch = refused_halves.popleft() if refused_halves else next_batch(left, self.estimate)
            left -= batch
            self._require_hope(refusals)
            refusal, undelivered = self._fetch(batch)
            if len(undelivered) < len(batch):
                refusals = 0
            if refusal is None:
                absent |= undelivered
            elif len(undelivered) == 1:
                refusals += 1
                self._fail(next(iter(undelivered)), Reason.MESSAGE_REFUSED, refusal.text)
            elif undelivered:
                refused_halves.extendleft(reversed(halves(undelivered)))
        if absent:
            self._look_again(absent)

    def _require_hope(self, refusals: int) -> None:
        if refusals >= MAX_REFUSALS_IN_A_ROW:
            raise FolderRefused(
                f"the server refused {refusals} messages of this folder one after the other; they are tried again"
            )

    def _fetch(self, batch: UidSet) -> tuple[Refused | None, UidSet]:
        self.fetched.clear()
        try:
            refusal = self.server.fetch(batch, self._store)
        except (ConnectionLost, ServerViolation) as error:
            self._suspect(batch - UidSet.of(self.fetched), error)
            raise
        finally:
            self.held |= UidSet.of(self.fetched)
        return refusal, batch - UidSet.of(self.fetched)

    def _suspect(self, undelivered: UidSet, error: NeedsTime) -> None:
        """The message the server was about to send may be what broke the session: others go first next time."""
        if undelivered:
            self._fail(next(iter(undelivered)), error.reason, error.text)

    def _look_again(self, absent: UidSet) -> None:
        """OK without octets: the message is gone, or the server hides it (trap 12, trap 34)."""
        still_there = absent & self.server.uids()
        gone = absent - still_there
        self.listed = (self.listed or NOBODY) - gone
        self._forget(gone)
        for uid in still_there:
            self._fail(uid, Reason.MESSAGE_EMPTY, "the server lists the message but answers without its octets")

    # --- bookkeeping -------------------------------------------------------------------------------------------------

    @property
    def _current_epoch(self) -> Epoch:
        assert self.epoch is not None
        return self.epoch

    @property
    def _epoch_in_force(self) -> Epoch:
        """The epoch that the status shows: a known UIDVALIDITY outlives a server that stops telling it (S13)."""
        current = self._current_epoch
        return current if current.uid_validity or self.known_epoch is None else self.known_epoch

    def _store(self, message: FetchedMessage) -> None:
        stored = self.archive.store(self._current_epoch, message)
        uid = message.sighting.uid
        self.fetched.append(uid)
        self.estimate = self.estimate.after(message.body.size)
        self._count(uid, message.body.size, is_new=stored.is_new_placement)
        self.watcher.message_stored(message.body.size, stored)
        self._checkpoint_if_due()

    def _count(self, uid: Uid, size: int, *, is_new: bool) -> None:
        self.entries.pop(uid, None)
        self.added += is_new
        self.tally.archived(display(self.folder.name), size)
        self.watcher.progressed(self.tally.progress)

    def _checkpoint_if_due(self) -> None:
        now = self.clock()
        since = now - self.tally.checkpointed_at
        if is_checkpoint_due(self.archive.unsaved_messages, self.archive.unsaved_bytes, since):
            self.archive.checkpoint()
            self.tally.checkpointed_at = now

    def _fail(self, uid: Uid, reason: Reason, error: str) -> None:
        entry = ledger_entry(self.entries.get(uid), uid, reason, error, self.clock())
        self.entries[uid] = entry
        self.archive.put_ledger(self._current_epoch, entry)
        self.watcher.imap_failed("fetch", reason)

    def _forget(self, uids: UidSet) -> None:
        self.archive.drop_ledger(self._current_epoch, uids)
        for uid in uids:
            self.entries.pop(uid, None)

    # --- the end -----------------------------------------------------------------------------------------------------

    def _counts(self, listed: UidSet) -> MessageCounts:
        archived = len(listed & self.held)
        missing = listed - self.held
        quarantined = sum(entry.quarantined and entry.uid in missing for entry in self.entries.values())
        server = len(listed)
        return MessageCounts(server, archived, server - archived - quarantined, quarantined)

    def _is_complete(self, counts: MessageCounts) -> bool:
        return self.is_through and counts.archived == counts.server and not self.limited

    def _record_state(self, listed: UidSet) -> None:
        assert self.snapshot is not None
        counts, now = self._counts(listed), self.clock()
        epoch = self._epoch_in_force
        state = FolderState(
            epoch=epoch,
            uid_next=self.snapshot.uid_next,
            messages=self.snapshot.messages,
            last_uid=listed.highest,
            server=counts.server,
            archived=counts.archived,
            pending=counts.pending,
            quarantined=counts.quarantined,
            passed_at=now,
            compared_at=now,
            # Only a pass under this very epoch may save the next one work.
            complete=self._is_complete(counts) and not self.entries and epoch == self._current_epoch,
        )
        self.archive.put_folder_state(self.folder, state)

    def _outcome(self, listed: UidSet) -> FolderOutcome:
        counts = self._counts(listed)
        name = display(self.folder.name)
        quarantined = tuple(
            QuarantinedUid(name, entry.uid, entry.reason, entry.attempts)
            for entry in self.entries.values()
            if entry.quarantined
        )
        return FolderOutcome(
            name=self.folder.name,
            display=name,
            counts=counts,
            uid_validity=self._epoch_in_force.uid_validity,
            last_uid=listed.highest,
            passed_at=self.clock(),
            added=self.added,
            complete=self._is_complete(counts),
            limited=self.limited,
            reset_from=self.reset_from,
            quarantined=quarantined,
            note=None if self._current_epoch.uid_validity else NO_VALIDITY,
        )


def has_ledger(archive: AccountArchive, epoch: Epoch | None) -> bool:
    """Are there failed UIDs in this epoch?"""
    return epoch is not None and bool(archive.ledger(epoch))


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
