"""What this process has learnt of servers and accounts, so that a session need not learn it again.

How many commands a server takes at once, what it does not understand although it offers it, and how much it bears of
one account. In memory only; safe for any number of threads.
"""

import time
from collections.abc import Callable
from threading import Lock

from archivmail.decide.pacing import Pace, most_messages, slower
from archivmail.decide.pipelining import depth_for
from archivmail.model.account import Origin

_MOST = 10_000  # servers, accounts; what was learnt is forgotten beyond, and learnt again

Server = tuple[str, int]


class Manners:
    """Of every server that an account of this process talks to."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._one_by_one: set[Server] = set()
        self._avoided: dict[Server, frozenset[str]] = {}
        self._paces: dict[Origin, Pace] = {}

    def depth(self, origin: Origin, greeting: str) -> int:
        """Commands that may be on the way at once."""
        with self._lock:
            return 1 if _server(origin) in self._one_by_one else depth_for(greeting)

    def minds(self, origin: Origin) -> None:
        """The server could not take a command before it had answered the last."""
        with self._lock:
            if len(self._one_by_one) >= _MOST:
                self._one_by_one.clear()
            self._one_by_one.add(_server(origin))

    def useful(self, origin: Origin, capabilities: frozenset[str]) -> frozenset[str]:
        """What the server offers, without what it answered BAD to."""
        with self._lock:
            return capabilities - self._avoided.get(_server(origin), frozenset())

    def avoid(self, origin: Origin, capabilities: frozenset[str]) -> None:
        """The server offers these, but did not understand them."""
        with self._lock:
            if len(self._avoided) >= _MOST:
                self._avoided.clear()
            self._avoided[_server(origin)] = self._avoided.get(_server(origin), frozenset()) | capabilities

    def most_messages(self, origin: Origin) -> int:
        """How many messages one command may ask for now."""
        with self._lock:
            return most_messages(self._paces.get(origin, Pace()), self._clock())

    def slow_down(self, origin: Origin) -> None:
        """The server complained that this account asks for too much."""
        with self._lock:
            if len(self._paces) >= _MOST:
                self._paces.clear()
            self._paces[origin] = slower(self._paces.get(origin, Pace()), self._clock())


def _server(origin: Origin) -> Server:
    return origin.host.lower().rstrip("."), origin.port
