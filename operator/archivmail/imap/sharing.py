"""Batches from which two sessions take, each message and each batch told to the caller exactly once.

The first session has the last word: what the second one did not get in full, for whatever reason, is asked for again
by the first, so nothing counts as refused or absent because of a connection that one could do without.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import length_hint
from threading import Event, Lock

from archivmail.imap.dialing import STOPPED
from archivmail.imap.fetching import Deliver
from archivmail.imap.pipeline import Answered
from archivmail.model.errors import Aborted
from archivmail.model.message import FetchedMessage, Refused
from archivmail.model.uidset import Uid, UidSet


@dataclass(slots=True, eq=False)
class Lot:
    """A batch. `asked`: what the session that has it now is asked for, all of it or what another one left over."""

    whole: UidSet
    asked: UidSet
    came: list[Uid] = field(default_factory=list)

    @property
    def left(self) -> UidSet:
        return self.asked - UidSet.of(self.came)


class Shared:
    """The caller's side of one `fetch_batches`. Everything that is the caller's happens one at a time."""

    def __init__(
        self, batches: Iterator[UidSet], deliver: Deliver, answered: Answered, *, lock: Lock, failed: Event
    ) -> None:
        """`failed` is set when the caller's code raised, so that a session that only waits hears of it."""
        self.failure: BaseException | None = None
        """What the caller's code, or a bug in the second session, raised: the end of both."""
        self.deliver = deliver
        self.tell = answered
        self._batches = batches
        self._lock = lock
        self._failed = failed
        self._back: deque[Lot] = deque()
        self._is_over = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One's turn to call the caller. Raises Aborted when it is over: nobody calls it after a failure."""
        with self._lock:
            if self._is_over or self.failure is not None:
                raise Aborted(STOPPED)
            try:
                yield
            except BaseException as error:
                self._fail(error)
                raise

    def taken(self, *, is_first: bool) -> Lot | None:
        """The next batch; what came back goes first, and to the first session only."""
        with self.turn():
            if is_first and self._back:
                return self._back.popleft()
            batch = next(self._batches, None)
            return None if batch is None else Lot(batch, batch)

    def give_back(self, lots: list[Lot]) -> None:
        """What the second session did not get of them is for the first; what came in full needs nobody."""
        for lot in lots:
            left = lot.left
            if left:
                with self._lock:
                    self._back.append(Lot(lot.whole, left))
            else:
                with self.turn():
                    self.tell(lot.whole, None)

    def fail(self, error: BaseException) -> None:
        """A bug ends both."""
        with self._lock:
            self._fail(error)

    def end(self) -> None:
        """Wait for the call that is going on, and let nobody call any more."""
        with self._lock:
            self._is_over = True

    @property
    def has_more(self) -> bool:
        """Something came back."""
        with self._lock:
            return bool(self._back)

    @property
    def to_come(self) -> int:
        """Batches, about; 0 where nobody knows."""
        with self._lock:
            return length_hint(self._batches, 0)

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
            self._failed.set()


class Taker:
    """One session's part. What it has under way stands in `lots`, the oldest first."""

    def __init__(self, shared: Shared, *, is_first: bool, before: Callable[[], object] = lambda: None) -> None:
        """`before` is called before each batch is taken."""
        self.lots: list[Lot] = []
        self._shared = shared
        self._is_first = is_first
        self._before = before
        self.is_refused = False
        """The server minds a second connection, perhaps."""

    def batches(self) -> Iterator[UidSet]:
        while not self.is_refused:
            self._before()
            lot = self._shared.taken(is_first=self._is_first)
            if lot is None:
                return
            self.lots.append(lot)
            yield lot.asked

    def deliver(self, message: FetchedMessage) -> None:
        uid = message.sighting.uid
        with self._shared.turn():
            self._shared.deliver(message)
            next(lot for lot in self.lots if uid in lot.asked).came.append(uid)

    def answered(self, batch: UidSet, refusal: Refused | None) -> None:
        lot = next(lot for lot in self.lots if lot.asked == batch)
        if self._is_first or (refusal is None and not lot.left):
            with self._shared.turn():
                self._shared.tell(lot.whole, refusal)
            self.lots.remove(lot)
            return
        self.is_refused = refusal is not None
        self.lots.remove(lot)
        self._shared.give_back([lot])

    def give_back(self) -> None:
        """The session is through or lost: what it has under way is for the first one."""
        lots, self.lots = self.lots, []
        self._shared.give_back(lots)
