"""UID FETCH: octets with their facts, each message handed over as soon as it is complete (RFC 9051 §6.4.5).

A message is told by its UID and by nothing else, and only when it was asked for: octets without a UID or under one that
nobody asked for are passed over (trap 38). BODY.PEEK[] in a folder opened by EXAMINE changes no flag (trap 32).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from archivmail.decide.limited import announced_limit
from archivmail.decide.replies import Meaning, read
from archivmail.imap import replies
from archivmail.imap.bodies import MemoryBody, WireBody, body_of, discard
from archivmail.imap.dialogue import FETCH_WORDS, Dialogue
from archivmail.imap.faults import Faults
from archivmail.imap.limits import Limits
from archivmail.imap.replies import BODY, Data, Status
from archivmail.model.message import FetchedMessage, Refused, Sighting
from archivmail.model.uidset import MAX_UID, Uid, UidSet

Deliver = Callable[[FetchedMessage], None]
_FACTS = frozenset({b"FLAGS", b"INTERNALDATE"})


def command_sets(uids: UidSet, max_chars: int) -> Iterator[tuple[UidSet, bytes]]:
    """The UIDs in ascending sets whose text stays within `max_chars` (trap 49)."""
    ranges: list[tuple[int, int]] = []
    text = ""
    for low, high in uids.ranges:
        piece = str(low) if low == high else f"{low}:{high}"
        if ranges and len(text) + 1 + len(piece) > max_chars:
            yield UidSet(ranges), text.encode("ascii")
            ranges, text = [], ""
        ranges.append((low, high))
        text = f"{text},{piece}" if text else piece
    if ranges:
        yield UidSet(ranges), text.encode("ascii")


def id_item(capabilities: frozenset[str]) -> bytes:
    """What to ask for the server's immutable id of a message, and labels; nothing where it has none."""
    if "OBJECTID" in capabilities:
        return b" EMAILID"  # RFC 8474
    return b" X-GM-MSGID X-GM-LABELS" if "X-GM-EXT-1" in capabilities else b""


class Fetching:
    """FETCH on one dialogue."""

    def __init__(self, dialogue: Dialogue, faults: Faults, limits: Limits, capabilities: frozenset[str]) -> None:
        self._dialogue = dialogue
        self._faults = faults
        self._limits = limits
        self._id_item = id_item(capabilities)
        self._most = announced_limit(capabilities) or MAX_UID
        """Messages that one command may be about (RFC 9738: Yahoo has 1,000)."""

    def sightings(self, uids: UidSet) -> dict[Uid, Sighting]:
        """Facts without octets. Empty, at no cost, when the server has no immutable ids."""
        found: dict[Uid, dict[bytes, object]] = {}
        if not self._id_item:
            return {}
        sets = (command_sets(piece, self._limits.command_chars) for piece in uids.pieces(self._most))
        for wanted, text in chain.from_iterable(sets):

            def hear(response: Status | Data, wanted: UidSet = wanted) -> None:
                told = _items(response)
                uid = replies.uid_of(told) if told else None
                if told and uid in wanted:
                    assert uid is not None
                    found.setdefault(uid, {}).update(told)

            answer = self._dialogue.run(
                b"UID FETCH %b (UID FLAGS INTERNALDATE RFC822.SIZE%b)" % (text, self._id_item), hear
            )
            self.refusal(answer)  # only session-wide ones count: what is not told is fetched
        return {uid: replies.sighting(uid, told) for uid, told in found.items()}

    def fetch(self, uids: UidSet, deliver: Deliver) -> Refused | None:
        """Octets and facts; see the port. The first refusal is the answer, but every set is asked for."""
        refused: Refused | None = None
        for wanted, text in command_sets(uids, self._limits.command_chars):
            batch = Batch(wanted, lambda message: _deliver(message, deliver), self._limits)
            try:
                answer = self._dialogue.run(self.command(text), batch.hear, wanted=batch.wants)
                batch.finish()
            finally:
                batch.close()
            refused = refused or self.refusal(answer)
            if batch.empty:
                self.deliver_empty(batch, deliver)
        return refused

    @property
    def has_email_ids(self) -> bool:
        """Does the server tell EMAILID?"""
        return self._id_item == b" EMAILID"

    def command(self, uids: bytes) -> bytes:
        """The one that gets octets and facts of these UIDs."""
        return b"UID FETCH %b (UID FLAGS INTERNALDATE%b BODY.PEEK[])" % (uids, self._id_item)

    def deliver_empty(self, batch: "Batch", deliver: Deliver) -> None:
        """No octets are a message only where the server says that its size is 0 (trap 34)."""
        confirmed: set[Uid] = set()

        def hear(response: Status | Data) -> None:
            told = _items(response)
            uid = replies.uid_of(told) if told else None
            if told and uid in batch.empty and told.get(b"RFC822.SIZE") == b"0":
                assert uid is not None
                confirmed.add(uid)

        for _, text in command_sets(UidSet.of(batch.empty), self._limits.command_chars):
            self.refusal(self._dialogue.run(b"UID FETCH %b (UID RFC822.SIZE)" % text, hear))
        for uid in sorted(confirmed):
            deliver(FetchedMessage(batch.empty[uid], MemoryBody(b"")))

    def refusal(self, answer: Status) -> Refused | None:
        """NO or BAD as a value. Raises what concerns the whole session."""
        if answer.is_ok:
            return None
        error = self._faults.whole_session(answer)
        if error is not None:
            raise error
        if read(answer.code, answer.text).meaning is Meaning.GONE:
            return None  # RFC 5530 EXPUNGEISSUED: what is missing is looked for by SEARCH
        return Refused(answer.code, self._faults.said(answer), is_bad=answer.word == "BAD")


@dataclass(slots=True)
class _Pending:
    """What was told of one UID so far; complete when nothing is missing."""

    told: dict[bytes, object]
    body: WireBody | None = None

    @property
    def is_complete(self) -> bool:
        return self.body is not None and self.told.keys() >= _FACTS


class Batch:
    """The messages of one command: items may come in any order and in several responses (trap 39)."""

    def __init__(self, wanted: UidSet, give: Deliver, limits: Limits) -> None:
        """`give` gets each message, and owns its body from then on."""
        self.empty: dict[Uid, Sighting] = {}
        """Messages that came with no octets at all."""
        self._open = set(wanted)
        """UIDs that are asked for and not handed over; a batch holds a few hundred."""
        self._give_away = give
        self._limits = limits
        self._pending: dict[Uid, _Pending] = {}
        self._waiting_bytes = 0
        self._facts_bytes = 0

    def wants(self, uid: Uid | None) -> bool:
        """Octets are worth reading when their UID is asked for, or not known yet."""
        return uid is None or uid in self._open

    def hear(self, response: Status | Data) -> None:
        told = _items(response)
        if told is None:
            return
        body = body_of(told.pop(BODY, None))
        assert isinstance(response, Data)
        discard(response.values, but=body)  # told twice, or where no octets are due
        uid = replies.uid_of(told)
        if uid is None or uid not in self._open:
            if body is not None:
                body.close()
            return
        pending = self._pending.get(uid)
        if pending is None:
            pending = self._pending[uid] = _Pending(told)
        else:
            pending.told.update(told)
        self._take(pending, body)
        if pending.is_complete:
            self._hand_over(uid)
            return
        self._facts_bytes += _weight(list(told.values()))
        if self._facts_bytes > self._limits.facts_bytes:
            raise replies.BadReply("told more of the messages than it gave octets of")
        if self._waiting_bytes > self._limits.waiting_bytes:
            self.finish()

    def take(self, sighting: Sighting, body: WireBody) -> None:
        """A message that came as a whole, of which nothing was told before."""
        self._open.discard(sighting.uid)
        self._give(sighting, body)

    def has_heard_of(self, uid: Uid) -> bool:
        """Was anything told of it that is not handed over yet?"""
        return uid in self._pending

    def finish(self) -> None:
        """Hand over what is as complete as it gets."""
        for uid in [uid for uid, pending in self._pending.items() if pending.body is not None]:
            self._hand_over(uid)

    def close(self) -> None:
        """Give back what was not handed over."""
        for pending in self._pending.values():
            if pending.body is not None:
                pending.body.close()
        self._pending.clear()

    def _take(self, pending: _Pending, body: WireBody | None) -> None:
        if body is None:
            return
        if pending.body is not None:
            body.close()  # told twice: the first counts
            return
        pending.body = body
        self._waiting_bytes += body.size

    def _hand_over(self, uid: Uid) -> None:
        pending = self._pending.pop(uid)
        body = pending.body
        assert body is not None
        self._waiting_bytes -= body.size
        self._open.discard(uid)
        self._give(replies.sighting(uid, pending.told), body)

    def _give(self, sighting: Sighting, body: WireBody) -> None:
        if not body.size:
            self.empty[sighting.uid] = sighting
            return
        self._give_away(FetchedMessage(sighting, body))


def _deliver(message: FetchedMessage, deliver: Deliver) -> None:
    try:
        deliver(message)
    finally:
        message.body.close()


def _weight(values: list[object]) -> int:
    """About the memory that these words take."""
    return sum(
        _weight(value) if isinstance(value, list) else len(value) + 40
        for value in values
        if isinstance(value, list | bytes)
    )


def _items(response: Status | Data) -> dict[bytes, object] | None:
    return replies.items(response.values) if isinstance(response, Data) and response.word in FETCH_WORDS else None
