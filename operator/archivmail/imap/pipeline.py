"""Batches of UID FETCH, the next one sent while the present one is answered, so that the wire is never idle.

RFC 9051 §5.5 lets a client send before it has heard; UID FETCH is unambiguous beside another one, as every response
tells its UID. A server that answers BAD to what came early is asked one by one from then on.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from archivmail.imap import replies
from archivmail.imap.ahead import Ahead
from archivmail.imap.bodies import WireBody, discard
from archivmail.imap.dialogue import FETCH_WORDS, Dialogue
from archivmail.imap.faults import violation
from archivmail.imap.fetching import Batch, Deliver, Fetching, command_sets
from archivmail.imap.limits import Limits
from archivmail.imap.replies import Data, Status
from archivmail.imap.usual import Usual, usual
from archivmail.model.errors import ArchivmailError, ConnectionLost
from archivmail.model.message import Refused, Sighting
from archivmail.model.uidset import Uid, UidSet

Answered = Callable[[UidSet, Refused | None], None]


@dataclass(slots=True)
class _Lot:
    """What the caller asked for at once: usually one command."""

    uids: UidSet
    commands: int
    """Not answered yet."""
    refused: Refused | None = None
    has_empty: bool = False


@dataclass(slots=True)
class _Asked:
    """One command. `early`: sent while another one was being answered."""

    lot: _Lot
    text: bytes
    batch: Batch
    early: bool = False


class Pipeline:
    """FETCH of many batches on one dialogue."""

    def __init__(
        self, dialogue: Dialogue, fetching: Fetching, limits: Limits, *, depth: int, minds: Callable[[], None]
    ) -> None:
        """`minds` is called when the server shows that it cannot take more than one command at once."""
        self.depth = depth
        """Commands on the way at once; falls to 1 for a server that minds."""
        self._minds = minds
        self._dialogue = dialogue
        self._fetching = fetching
        self._limits = limits
        self._waiting: dict[bytes, _Asked] = {}
        self._again: deque[_Asked] = deque()
        self._empties: list[_Asked] = []

    def fetch(self, batches: Iterator[UidSet], deliver: Deliver, answered: Answered) -> None:
        """See `MailServer.fetch_batches`."""
        self._dialogue.expect(self._wants)
        ahead = Ahead(deliver)
        commands = self._commands(batches, ahead.take)
        budget = self._limits.answers
        try:
            while True:
                while len(self._waiting) < self.depth and (asked := self._next(commands)) is not None:
                    asked.early = bool(self._waiting)
                    self._waiting[self._dialogue.ask(self._fetching.command(asked.text))] = asked
                if not self._waiting:
                    break
                answer = self._dialogue.response(self._waiting, self._hear, self._usually, self._take)
                budget -= 1
                if answer is not None:
                    budget = self._limits.answers
                    self._end(self._waiting.pop(answer[0]), answer[1], answered, ahead)
                elif not budget:
                    raise violation(f"sent more than {self._limits.answers} responses to one command")
            self._deliver_empties(deliver, answered)
        except ArchivmailError as error:
            is_early = any(asked.early for asked in self._waiting.values())
            if isinstance(error, ConnectionLost) and self._dialogue.is_silent and is_early:
                self._minds()  # it was sent before the last answer and may never have been read
            ahead.settle()  # what came whole is kept, and shows where it broke
            raise
        finally:
            ahead.close()
            for asked in self._waiting.values():
                asked.batch.close()
            self._waiting.clear()
            self._again.clear()
            self._empties.clear()

    # --- commands ----------------------------------------------------------------------------------------------------

    def _commands(self, batches: Iterator[UidSet], give: Deliver) -> Iterator[_Asked]:
        for uids in batches:
            sets = list(command_sets(uids, self._limits.command_chars))
            lot = _Lot(uids, len(sets))
            for wanted, text in sets:
                yield _Asked(lot, text, Batch(wanted, give, self._limits))

    def _next(self, commands: Iterator[_Asked]) -> _Asked | None:
        return self._again.popleft() if self._again else next(commands, None)

    def _end(self, asked: _Asked, answer: Status, answered: Answered, ahead: Ahead) -> None:
        try:
            asked.batch.finish()
        finally:
            asked.batch.close()
        ahead.settle()  # `answered` tells of what was delivered
        refused = self._fetching.refusal(answer)  # first: a BAD may ask to come back later
        if answer.word == "BAD" and asked.early:
            self._minds()
            self.depth = 1
            asked.early = False
            self._again.append(asked)  # what came of it is not asked for twice: the batch knows
            return
        lot = asked.lot
        lot.refused = lot.refused or refused
        lot.commands -= 1
        if asked.batch.empty:
            lot.has_empty = True
            self._empties.append(asked)
        if not lot.commands and not lot.has_empty:
            answered(lot.uids, lot.refused)

    def _deliver_empties(self, deliver: Deliver, answered: Answered) -> None:
        """Once nothing is on the way any more: it takes commands of its own."""
        told: set[int] = set()
        for asked in self._empties:
            self._fetching.deliver_empty(asked.batch, deliver)
        for asked in self._empties:
            if id(asked.lot) not in told:
                told.add(id(asked.lot))
                answered(asked.lot.uids, asked.lot.refused)

    # --- responses ---------------------------------------------------------------------------------------------------

    def _wants(self, uid: Uid | None) -> bool:
        return uid is None or self._owner(uid) is not None

    def _owner(self, uid: Uid) -> Batch | None:
        for asked in self._waiting.values():
            if asked.batch.wants(uid):
                return asked.batch
        return None

    def _hear(self, response: Status | Data) -> None:
        if not isinstance(response, Data) or response.word not in FETCH_WORDS:
            return
        uid = replies.uid_of(replies.items(response.values))
        owner = self._owner(uid) if uid is not None else None
        if owner is None:
            discard(response.values)  # nobody asked for it (trap 38)
        else:
            owner.hear(response)

    def _usually(self, line: bytes) -> Usual | None:
        known = usual(line, has_email_id=self._fetching.has_email_ids)
        if known is None:
            return None
        owner = self._owner(known.sighting.uid)
        return None if owner is None or owner.has_heard_of(known.sighting.uid) else known

    def _take(self, sighting: Sighting, body: WireBody) -> None:
        owner = self._owner(sighting.uid)
        assert owner is not None
        owner.take(sighting, body)
