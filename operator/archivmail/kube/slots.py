"""A fair limit on how many runs there are at once: who waits longest is next. Knows nothing of accounts."""

import asyncio
from collections import deque
from collections.abc import Callable


class Slots:
    """`count` slots. For one event loop."""

    def __init__(self, count: int, heard: Callable[[int], None] = lambda _: None) -> None:
        """`heard` is told the number of slots in use whenever it changes."""
        if count < 1:
            raise ValueError("there must be at least one slot")
        self.count = count
        self.in_use = 0
        self._heard = heard
        self._queue: deque[asyncio.Future[None]] = deque()

    def ticket(self) -> "asyncio.Future[None]":
        """Queue up; the future is done when the slot is ours, and must then be given back by `release`."""
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(ticket)
        self._admit()
        return ticket

    def withdraw(self, ticket: "asyncio.Future[None]") -> None:
        """Leave the queue, or give the slot back when it came in the same moment."""
        if ticket.done() and not ticket.cancelled():
            self.release()
        else:
            ticket.cancel()

    def release(self) -> None:
        """Give one slot back."""
        self.in_use -= 1
        self._admit()
        self._heard(self.in_use)

    def _admit(self) -> None:
        while self._queue and self.in_use < self.count:
            ticket = self._queue.popleft()
            if not ticket.cancelled():
                self.in_use += 1
                ticket.set_result(None)
        self._heard(self.in_use)
