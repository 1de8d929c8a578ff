"""Which batch to ask for next, and what became of those that were answered. Knows no server and no archive."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from archivmail.decide.batching import SizeEstimate, halves, messages_at_once, next_batch
from archivmail.model.message import Refused
from archivmail.model.uidset import Uid, UidSet

MAX_REFUSALS_IN_A_ROW = 50  # a folder that refuses this many messages one by one refuses them all


@dataclass(slots=True)
class Batches:
    """The messages of one fetch. A refused batch is halved until the messages that are the cause stand alone."""

    left: UidSet
    """Not asked for yet."""
    estimate: Callable[[], SizeEstimate]
    most: int
    """How many messages one command may ask for; fewer once the server did not understand so many (trap 49)."""
    is_over: Callable[[], bool] = lambda: False
    """No further batch is wanted: those under way are the last ones for now."""
    under_way: list[UidSet] = field(default_factory=list)
    """The server was asked for them and is not through with them; the oldest first."""
    absent: UidSet = UidSet()  # noqa: RUF009 - immutable
    """Answered with OK and without octets."""
    refused: list[tuple[Uid, Refused]] = field(default_factory=list)
    """Refused alone, and nobody has seen to them yet."""
    refusals: int = 0
    """Messages refused alone, in a row."""
    _halves: deque[UidSet] = field(default_factory=deque)
    """Of refused batches: they go first."""

    @property
    def has_more(self) -> bool:
        return bool(self.left or self._halves)

    @property
    def is_hopeless(self) -> bool:
        return self.refusals >= MAX_REFUSALS_IN_A_ROW

    def asked_for(self) -> Iterator[UidSet]:
        """What there is to ask for at present; a refusal may bring more once this has ended.

        `operator.length_hint` of it tells about how many batches are still to come.
        """
        return _AskedFor(self)

    def take(self) -> UidSet | None:
        """The next batch, which is under way from now on."""
        if not self.has_more or self.is_hopeless or self.is_over():
            return None
        batch = self._next()
        self.under_way.append(batch)
        return batch

    @property
    def to_come(self) -> int:
        """Batches, about."""
        return len(self._halves) + -(-len(self.left) // messages_at_once(self.estimate(), self.most))

    def answered(self, batch: UidSet, undelivered: UidSet, refusal: Refused | None) -> None:
        """The server is through with it."""
        self.under_way.remove(batch)
        if len(undelivered) < len(batch):
            self.refusals = 0
        if refusal is None:
            self.absent |= undelivered
        elif len(undelivered) == 1:
            self.refusals += 1
            self.refused.append((undelivered.highest, refusal))
        elif undelivered:
            if refusal.is_bad:
                self.most = min(self.most, max(1, len(batch) // 2))
            self._halves.extendleft(reversed(halves(undelivered)))

    def _next(self) -> UidSet:
        if not self._halves:
            batch = next_batch(self.left, self.estimate(), self.most)
            self.left -= batch
            return batch
        half = self._halves.popleft()
        batch = half.first(self.most)
        if len(batch) < len(half):
            self._halves.appendleft(half - batch)
        return batch


class _AskedFor:
    """An iterator that stays at its end once it has come to it."""

    def __init__(self, batches: Batches) -> None:
        self._batches: Batches | None = batches

    def __iter__(self) -> Iterator[UidSet]:
        return self

    def __next__(self) -> UidSet:
        batch = None if self._batches is None else self._batches.take()
        if batch is None:
            self._batches = None
            raise StopIteration
        return batch

    def __length_hint__(self) -> int:
        return 0 if self._batches is None else self._batches.to_come
