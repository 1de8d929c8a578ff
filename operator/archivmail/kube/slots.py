"""A fair limit on how many runs there are at once, in all and for each lane. Knows nothing of accounts.

A lane is what runs share besides the slots: the mail server. Who waits for a full lane holds no slot. The next slot
goes to the lane with the fewest runs, and there to who waits longest: many accounts of one slow server cannot keep
those of others waiting, and among equals it is first come, first served.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

STALE_ENTRIES = 1024  # what the heap may hold beyond one entry for each lane before it is made anew

Lane = Hashable


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """A place in the queue. `granted` is done when the slot is ours, which must then be given back by `release`."""

    lane: Lane
    number: int
    granted: "asyncio.Future[None]"


@dataclass(slots=True, eq=False)
class _Queue:
    lane: Lane
    tickets: deque[Ticket] = field(default_factory=deque)
    """Those that were withdrawn among them."""
    waiting: int = 0
    running: int = 0

    def head(self) -> Ticket | None:
        while self.tickets and self.tickets[0].granted.cancelled():
            self.tickets.popleft()
        return self.tickets[0] if self.tickets else None


class Slots:
    """`count` slots. For one event loop; `is_wanted` may be asked from any thread."""

    def __init__(
        self,
        count: int,
        heard: Callable[[int], None] = lambda _: None,
        room: Callable[[Lane], int | None] = lambda _: None,
    ) -> None:
        """`heard` is told the number of slots in use whenever it changes.

        `room` says how many runs a lane may have at present, None for any number; it always has room for one.
        """
        if count < 1:
            raise ValueError("there must be at least one slot")
        self.count = count
        self.in_use = 0
        self._heard = heard
        self._room = room
        self._queues: dict[Lane, _Queue] = {}
        self._next: list[tuple[int, int, _Queue]] = []
        """Heap of runs in the lane, number of its first ticket, lane. What is not so any more is passed over."""
        self._numbers = itertools.count()
        self._is_short = False
        self._pace_s: float | None = None
        """While held back: seconds from one beginning to the next."""
        self._is_resting = False

    def hold_back(self, *, pace_s: float, longest_s: float) -> None:
        """Let one run begin each `pace_s` and no more, until `open`; for `longest_s` at most."""
        self._pace_s = pace_s
        asyncio.get_running_loop().call_later(longest_s, self.open)

    def open(self) -> None:
        """Let as many runs begin as there are slots."""
        self._pace_s = None
        self._rested()

    def ticket(self, lane: Lane = None) -> Ticket:
        """Queue up in a lane."""
        queue = self._queues.setdefault(lane, _Queue(lane))
        ticket = Ticket(lane, next(self._numbers), asyncio.get_running_loop().create_future())
        queue.tickets.append(ticket)
        queue.waiting += 1
        if queue.waiting == 1:
            self._rank(queue)
        self._admit()
        return ticket

    def withdraw(self, ticket: Ticket) -> None:
        """Leave the queue, or give the slot back when it came in the same moment."""
        if ticket.granted.done():
            self.release(ticket)
            return
        ticket.granted.cancel()
        queue = self._queues[ticket.lane]
        queue.waiting -= 1
        self._rank(queue)
        self._admit()

    def release(self, ticket: Ticket) -> None:
        """Give one slot back."""
        queue = self._queues[ticket.lane]
        queue.running -= 1
        self.in_use -= 1
        self._rank(queue)
        self._admit()

    def is_wanted(self, ticket: Ticket) -> bool:
        """Would somebody run if this slot were given back?"""
        queue = self._queues.get(ticket.lane)
        return self._is_short or (queue is not None and queue.waiting > 0)

    def _rank(self, queue: _Queue) -> None:
        """To be called when the runs or the first ticket of a lane have changed."""
        head = queue.head()
        if head is None:
            if not queue.running:
                self._queues.pop(queue.lane, None)
            return
        if self._has_room(queue):
            heapq.heappush(self._next, (queue.running, head.number, queue))
        if len(self._next) > len(self._queues) + STALE_ENTRIES:
            self._next = [entry for entry in set(self._next) if self._holds(entry)]
            heapq.heapify(self._next)

    def _has_room(self, queue: _Queue) -> bool:
        room = self._room(queue.lane)
        return room is None or queue.running < max(1, room)

    def _holds(self, entry: tuple[int, int, _Queue]) -> bool:
        running, number, queue = entry
        head = queue.head()
        is_same = head is not None and head.number == number and queue.running == running
        return is_same and self._has_room(queue)

    def _first(self) -> _Queue | None:
        """The lane whose turn it is. One that is full comes back when one of its runs ends."""
        while self._next and not self._holds(self._next[0]):
            heapq.heappop(self._next)
        return self._next[0][2] if self._next else None

    def _may_begin(self) -> bool:
        if self._is_resting:
            return False
        if self._pace_s is not None:
            self._is_resting = True
            asyncio.get_running_loop().call_later(self._pace_s, self._rested)
        return True

    def _rested(self) -> None:
        self._is_resting = False
        self._admit()

    def _admit(self) -> None:
        while self.in_use < self.count and (queue := self._first()) is not None and self._may_begin():
            ticket = queue.tickets.popleft()
            queue.waiting -= 1
            queue.running += 1
            self.in_use += 1
            self._rank(queue)
            ticket.granted.set_result(None)
        self._is_short = self._first() is not None
        self._heard(self.in_use)
