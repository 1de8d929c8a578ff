"""Get messages of one open folder into the archive: batches, halves of refused batches, the ledger of what failed.

Knows nothing of plans or states; it is told which UIDs to get, and tells which it holds and which failed. A UID it
could not get is never passed over: it stands in the ledger, or simply stays missing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from archivmail.decide.assembling import EVERY_WAY, MAX_PROOFS_A_PASS, ways_after_refusal, ways_instead
from archivmail.decide.batching import MAX_BATCH_MESSAGES, SizeEstimate, is_checkpoint_due
from archivmail.decide.retrying import ledger_entry
from archivmail.decide.substitutes import MAX_SUBSTITUTE_BYTES, is_substitute
from archivmail.model.errors import ConnectionLost, FolderRefused, GaveWay, NeedsTime, ServerViolation
from archivmail.model.folder import Epoch, LedgerEntry, Snapshot
from archivmail.model.message import Body, FetchedMessage, Refused
from archivmail.model.reasons import Reason
from archivmail.model.uidset import Uid, UidSet
from archivmail.sync.batches import MAX_REFUSALS_IN_A_ROW, Batches
from archivmail.sync.ports import AccountArchive, Clock, MailServer, Watcher
from archivmail.sync.tally import Tally

FEW = 50
"""Messages that are asked for at once after they came without octets."""
SIGHTINGS_AT_ONCE = 5000
"""Facts of so many messages are held at once, some 5 MB: a folder may have millions."""
MAX_ENTRIES = 10_000
"""Messages of one folder that the ledger names; more that fail are simply missing, and asked for in the next run."""
EMPTY = "the server lists the message but answers without its octets"
REPLACED = "the server cannot convert the message and gave a notice of its own instead (Exchange); open it in Outlook"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every pass of a run works with."""

    server: MailServer
    archive: AccountArchive
    watcher: Watcher
    clock: Clock
    tally: Tally
    should_give_way: Callable[[], bool] = lambda: False
    view_limit: int | None = None
    """The size at which the server stops showing messages, as far as the sizes of its folders tell."""

    def viewed(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot, limited where the folder ends exactly at the limit (trap 31)."""
        return replace(snapshot, limited=True) if snapshot.messages == self.view_limit else snapshot

    def give_way(self) -> None:
        """Between two batches or folders, where nothing is under way. Raises GaveWay when others should go first."""
        if self.should_give_way():
            raise GaveWay("others waited for this turn; what is archived is kept, and the run goes on after them")


@dataclass(slots=True)
class Gathering:
    """`held` grows and `entries` and `gone` change as messages come in or fail."""

    around: Surroundings
    folder: str
    """Decoded name, for progress."""
    epoch: Epoch
    held: UidSet
    entries: dict[Uid, LedgerEntry]
    gone: UidSet = UidSet()  # noqa: RUF009 - immutable
    """UIDs that the server dropped while the pass went on."""
    assembled: UidSet = UidSet()  # noqa: RUF009 - immutable
    """UIDs that are held, but only put together from parts."""
    added: int = 0
    _most: int = MAX_BATCH_MESSAGES
    """How many messages one command may ask for; fewer once the server did not understand so many."""
    _hopeless: int = 0
    """Messages in a row that could not be put together either."""
    _replaced: list[Uid] = field(default_factory=list)
    """UIDs for which the server gave something of its own making."""
    _arrived: list[Uid] = field(default_factory=list)
    _estimate: SizeEstimate = field(default_factory=SizeEstimate)

    @property
    def failures(self) -> list[LedgerEntry]:
        """Entries of what is not held; the others are of messages that could not be proven."""
        return [entry for entry in self.entries.values() if entry.uid not in self.held]

    def place_known(self, missing: UidSet) -> UidSet:
        """Place messages that are held under the server's immutable id; give back those that need fetching."""
        for piece in missing.pieces(SIGHTINGS_AT_ONCE):
            self._place_known(piece)
        return missing - self.held

    def _place_known(self, missing: UidSet) -> None:
        placed = []
        for uid, sighting in self.around.server.sightings(missing).items():
            if not sighting.email_id:
                continue
            # Another size than the one that is held: an id used for two messages, or a server that counts in its own
            # way (trap 43). The download tells, and costs no more than it would without ids.
            content_id = self.around.archive.content_of_email_id(sighting.email_id, sighting.declared_size)
            if content_id is not None:
                stored = self.around.archive.place(self.epoch, sighting, content_id)
                self._count(uid, 0, is_new=stored.is_new_placement)
                self.around.watcher.message_stored(0, stored)
                placed.append(uid)
                self._checkpoint_if_due()
        self.held |= UidSet.of(placed)

    def fetch(self, missing: UidSet) -> None:
        """Fetch in batches; a refused batch is halved until the messages that are the cause stand alone.

        Raises FolderRefused when the server refuses one message after the other, and the session's errors.
        """
        most = min(self._most, self.around.server.most_messages)
        batches = Batches(missing, lambda: self._estimate, most, is_over=self.around.should_give_way)
        while batches.has_more:
            self._fetch_batches(batches)
            self._see_to_refused(batches)
            if batches.has_more:
                self.around.give_way()
        self._most = batches.most
        if batches.absent:
            self._look_again(batches.absent)

    def retry(self, uid: Uid) -> None:
        """Fetch a message that failed before, alone; in pieces where it broke session after session."""
        if not self._put_together(uid, ways_instead(self.entries.get(uid))):
            self.fetch(UidSet.of([uid]))

    def prove(self, uids: UidSet) -> None:
        """Ask again for messages that were put together: one that comes whole is a version of its own, or a proof."""
        for uid in uids.first(MAX_PROOFS_A_PASS):
            refusal, undelivered = self._fetch_batch(UidSet.of([uid]))
            self._fail(undelivered, Reason.MESSAGE_REFUSED, refusal.text if refusal else EMPTY)
            self.assembled -= UidSet.of(self._arrived)

    def forget(self, uids: UidSet) -> None:
        """Drop ledger entries of UIDs that the server no longer has."""
        self.around.archive.drop_ledger(self.epoch, uids)
        for uid in uids:
            self.entries.pop(uid, None)

    def _fetch_batches(self, batches: Batches) -> None:
        """As many as there are at present, with the next one on the way while one is answered."""
        self._arrived.clear()
        self._replaced.clear()

        def answered(batch: UidSet, refusal: Refused | None) -> None:
            arrived, replaced = UidSet.of(self._arrived), UidSet.of(self._replaced)
            batches.answered(batch, batch - arrived - replaced, refusal)
            self.held |= arrived
            self._fail(replaced & batch, Reason.MESSAGE_REPLACED, REPLACED)
            # What is left is of the next batch.
            self._arrived, self._replaced = list(arrived - batch), list(replaced - batch)

        try:
            self.around.server.fetch_batches(batches.asked_for(), self._store, answered)
        except (ConnectionLost, ServerViolation) as error:
            for uid, refusal in batches.refused:
                self._fail([uid], Reason.MESSAGE_REFUSED, refusal.text)
            oldest = batches.under_way[0] if error.broke_at is None and batches.under_way else error.broke_at
            if oldest:
                self._suspect(oldest - self._answered, error)
            raise
        finally:
            self.held |= UidSet.of(self._arrived)

    def _see_to_refused(self, batches: Batches) -> None:
        """Messages refused alone: put together from parts, or failed. Raises FolderRefused when there is no hope."""
        refused, batches.refused = batches.refused, []
        for uid, refusal in refused:
            if self._put_together(uid, ways_after_refusal(refusal, self.entries.get(uid))):
                batches.refusals = 0
            else:
                self._fail([uid], Reason.MESSAGE_REFUSED, refusal.text)
        if batches.is_hopeless:
            text = (
                f"the server refused {batches.refusals} messages of this folder one after the other; "
                "the rest is tried later"
            )
            raise FolderRefused(text)

    def _fetch_batch(self, batch: UidSet) -> tuple[Refused | None, UidSet]:
        self._arrived.clear()
        self._replaced.clear()
        try:
            refusal = self.around.server.fetch(batch, self._store)
        except (ConnectionLost, ServerViolation) as error:
            self._suspect(batch - self._answered, error)
            raise
        finally:
            self.held |= UidSet.of(self._arrived)
        self._fail(self._replaced, Reason.MESSAGE_REPLACED, REPLACED)
        return refusal, batch - self._answered

    @property
    def _answered(self) -> UidSet:
        return UidSet.of((*self._arrived, *self._replaced))

    def _put_together(self, uid: Uid, ways: Sequence[str]) -> bool:
        """Try a message that the server does not give whole; False when that gives nothing either, or too often did."""
        if not ways or self._is_hopeless:
            return False
        self._arrived.clear()
        self._replaced.clear()
        try:
            self.around.server.assemble(uid, ways, self._store)
        except (ConnectionLost, ServerViolation) as error:
            self._suspect(UidSet.of([uid]), error)
            raise
        came = UidSet.of(self._arrived)
        self.held |= came
        self.assembled |= came
        self._fail(self._replaced, Reason.MESSAGE_REPLACED, REPLACED)
        self._hopeless = 0 if self._answered else self._hopeless + 1
        return bool(self._answered)

    def _suspect(self, undelivered: UidSet, error: NeedsTime) -> None:
        """The message the server was about to send may be what broke the session: others go first next time."""
        for uid in undelivered.first(1):  # even when the ledger is full, or each session would break there
            self._note_failure(uid, error.reason, error.text)

    def _look_again(self, absent: UidSet) -> None:
        """OK without octets: the message is gone, or the server hides it (trap 12, trap 34)."""
        still_there = absent & self.around.server.uids()
        self.gone |= absent - still_there
        self.forget(self.gone)
        for piece in still_there.pieces(FEW):  # a server may give fewer at once than it is asked for (trap 35)
            left = piece if self._is_hopeless else self._fetch_batch(piece)[1]
            self._fail((uid for uid in left if not self._got_alone(uid)), Reason.MESSAGE_EMPTY, EMPTY)
            self.around.give_way()

    def _got_alone(self, uid: Uid) -> bool:
        """Ask for one message whole, then for its parts."""
        if self._is_hopeless:
            return False
        if not self._fetch_batch(UidSet.of([uid]))[1]:
            self._hopeless = 0
            return True
        return self._put_together(uid, EVERY_WAY)

    @property
    def _is_hopeless(self) -> bool:
        return self._hopeless >= MAX_REFUSALS_IN_A_ROW

    def _store(self, message: FetchedMessage) -> None:
        if _is_substitute(message.body):  # trap 45
            self._replaced.append(message.sighting.uid)
            return
        stored = self.around.archive.store(self.epoch, message)
        self._arrived.append(message.sighting.uid)
        self._estimate = self._estimate.after(message.body.size)
        self._count(message.sighting.uid, message.body.size, is_new=stored.is_new_placement)
        self.around.watcher.message_stored(message.body.size, stored)
        self._checkpoint_if_due()

    def _count(self, uid: Uid, size: int, *, is_new: bool) -> None:
        self.entries.pop(uid, None)
        self.added += is_new
        self.around.tally.archived(self.folder, size)
        self.around.watcher.progressed(self.around.tally.progress)

    def _fail(self, uids: Iterable[Uid], reason: Reason, error: str) -> None:
        for uid in uids:
            if uid in self.entries or len(self.entries) < MAX_ENTRIES:
                self._note_failure(uid, reason, error)

    def _note_failure(self, uid: Uid, reason: Reason, error: str) -> None:
        entry = ledger_entry(self.entries.get(uid), uid, reason, error, self.around.clock())
        self.entries[uid] = entry
        self.around.archive.put_ledger(self.epoch, entry)
        self.around.watcher.imap_failed("fetch", reason)

    def _checkpoint_if_due(self) -> None:
        archive, tally, now = self.around.archive, self.around.tally, self.around.clock()
        if is_checkpoint_due(archive.unsaved_messages, archive.unsaved_bytes, now - tally.checkpointed_at):
            checkpoint(archive, self.around.watcher, self.around.clock)
            tally.checkpointed_at = now


def checkpoint(archive: AccountArchive, watcher: Watcher, clock: Clock) -> None:
    """Make durable what was taken in, and tell how long that took; nothing to save is nothing to tell."""
    is_worth_telling = archive.unsaved_messages > 0
    started = clock()
    octets = archive.checkpoint()
    if is_worth_telling:
        watcher.archive_written((clock() - started).total_seconds(), octets)


def _is_substitute(body: Body) -> bool:
    return body.size <= MAX_SUBSTITUTE_BYTES and is_substitute(b"".join(body.chunks()))
