"""Permits to have a connection open: shared by every account of the process, counted for each server (trap 89).

First come, first served. Knows hosts, ports, users and threads; opens nothing itself.
"""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition, Lock
from types import TracebackType
from typing import Self

from archivmail.decide.connections import (
    DEFAULT_PER_SERVER,
    LONGEST_WAIT_S,
    PER_ACCOUNT,
    Allowance,
    after_complaint,
    allowed,
    concerns_account,
)
from archivmail.imap.dialing import STOPPED
from archivmail.model.account import Origin
from archivmail.model.errors import Aborted, ServerBusy
from archivmail.model.reasons import Reason

_SLICE_S = 0.25  # how often a wait asks whether it should stop; a permit that comes free wakes it at once

Server = tuple[str, int]


@dataclass(slots=True)
class _Queue:
    """Who has a permit for one server, and who waits for one. Only under the lock of `Permits`."""

    allowance: Allowance
    changed: Condition
    open: Counter[str] = field(default_factory=Counter)
    """By user."""
    accounts: dict[str, Allowance] = field(default_factory=dict)
    """Of users of whom the server complained."""
    waiting: deque[object] = field(default_factory=deque)

    def has_room(self, now_s: float) -> bool:
        return self.open.total() < allowed(self.allowance, now_s)

    def has_room_for_more(self, user: str, now_s: float) -> bool:
        """May this user have one connection more than he needs?"""
        most = allowed(self.accounts.get(user, Allowance(PER_ACCOUNT)), now_s)
        return not self.waiting and self.has_room(now_s) and self.open[user] < most

    def is_idle(self, now_s: float) -> bool:
        """Nothing would be lost by forgetting it."""
        self.accounts = {user: each for user, each in self.accounts.items() if allowed(each, now_s) < each.ceiling}
        is_used = self.open or self.waiting or self.accounts
        return not is_used and allowed(self.allowance, now_s) == self.allowance.ceiling


class Permits:
    """The permits of one process. Safe for any number of threads."""

    def __init__(
        self,
        per_server: int = DEFAULT_PER_SERVER,
        *,
        longest_wait_s: float = LONGEST_WAIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_server = per_server
        self._longest_wait_s = longest_wait_s
        self._clock = clock
        self._lock = Lock()
        self._queues: dict[Server, _Queue] = {}

    def take(self, origin: Origin, *, should_stop: Callable[[], bool]) -> "Permit":
        """Wait in turn for a permit. Raises Aborted when told to stop, ServerBusy after the longest wait."""
        ticket = object()
        deadline = self._clock() + self._longest_wait_s
        with self._lock:
            queue = self._queue(origin)
            queue.waiting.append(ticket)
        try:
            while True:
                permit = self._awaited(origin, queue, ticket)
                if permit is not None:
                    return permit
                if should_stop():  # without the lock: it may take its time
                    raise Aborted(STOPPED)
                if self._clock() >= deadline:
                    raise self._too_long(origin, queue)
        finally:
            with self._lock:
                queue.waiting.remove(ticket)
                self._settle(origin, queue)

    def try_take(self, origin: Origin) -> "Permit | None":
        """A permit for a connection that one can do without: only if one is free and nobody waits."""
        with self._lock:
            queue = self._queue(origin)
            if queue.has_room_for_more(origin.user, self._clock()):
                return self._granted(origin, queue)
            self._settle(origin, queue)
            return None

    def allowed(self, origin: Origin) -> int:
        """Connections to that server that may be open at present."""
        with self._lock:
            queue = self._queues.get(_server(origin))
            return allowed(queue.allowance, self._clock()) if queue else self._per_server

    # --- for permits -------------------------------------------------------------------------------------------------

    def give_back(self, origin: Origin, queue: _Queue) -> None:
        """Only for `Permit`."""
        with self._lock:
            queue.open[origin.user] -= 1
            queue.open += Counter()  # drops users without any
            self._settle(origin, queue)

    def complain(self, origin: Origin, queue: _Queue, text: str) -> None:
        """Only for `Permit`."""
        now_s, user = self._clock(), origin.user
        with self._lock:
            if concerns_account(text):
                before = queue.accounts.get(user, Allowance(PER_ACCOUNT))
                queue.accounts[user] = after_complaint(before, queue.open[user], now_s)
            else:
                queue.allowance = after_complaint(queue.allowance, queue.open.total(), now_s)

    def is_wanted(self, queue: _Queue) -> bool:
        """Only for `Permit`."""
        with self._lock:
            return bool(queue.waiting) and not queue.has_room(self._clock())

    # --- within ------------------------------------------------------------------------------------------------------

    def _awaited(self, origin: Origin, queue: _Queue, ticket: object) -> "Permit | None":
        """Wait for a moment until it is this ticket's turn and there is room."""

        def is_next() -> bool:
            return queue.waiting[0] is ticket and queue.has_room(self._clock())

        with self._lock:
            if is_next() or queue.changed.wait_for(is_next, _SLICE_S):
                return self._granted(origin, queue)
        return None

    def _granted(self, origin: Origin, queue: _Queue) -> "Permit":
        queue.open[origin.user] += 1
        return Permit(self, origin, queue)

    def _queue(self, origin: Origin) -> _Queue:
        server = _server(origin)
        queue = self._queues.get(server)
        if queue is None:
            queue = self._queues[server] = _Queue(Allowance(self._per_server), Condition(self._lock))
        return queue

    def _settle(self, origin: Origin, queue: _Queue) -> None:
        """Wake who waits, and keep nothing of servers that nobody talks to."""
        queue.changed.notify_all()
        server = _server(origin)
        if queue.is_idle(self._clock()) and self._queues.get(server) is queue:
            del self._queues[server]

    def _too_long(self, origin: Origin, queue: _Queue) -> ServerBusy:
        with self._lock:
            number = allowed(queue.allowance, self._clock())
        return ServerBusy(
            f"all {number} connections to {origin.host} that may be open at once are in use by other accounts; it is "
            "tried again by itself, and ARCHIVMAIL_HOST_CONNECTIONS allows more where the server takes them",
            reason=Reason.TOO_MANY_CONNECTIONS,
        )


class Permit:
    """Leave to have one connection open, until `release`. A context manager."""

    def __init__(self, permits: Permits, origin: Origin, queue: _Queue) -> None:
        self._permits = permits
        self._origin = origin
        self._queue: _Queue | None = queue

    @property
    def is_wanted(self) -> bool:
        """Somebody waits for a permit and none is left: who can do without this connection should end it soon."""
        return self._queue is not None and self._permits.is_wanted(self._queue)

    def complain(self, text: str) -> None:
        """Tell that the server found the connections too many, and in which words."""
        if self._queue is not None:
            self._permits.complain(self._origin, self._queue, text)

    def release(self) -> None:
        """Give it back. Harmless when repeated."""
        queue, self._queue = self._queue, None
        if queue is not None:
            self._permits.give_back(self._origin, queue)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _server(origin: Origin) -> Server:
    return origin.host.lower().rstrip("."), origin.port
