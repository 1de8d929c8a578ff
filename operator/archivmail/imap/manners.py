"""What this process has learnt of servers: how many commands each takes at once. Safe for any number of threads."""

from threading import Lock

from archivmail.decide.pipelining import depth_for
from archivmail.model.account import Origin

_MOST = 10_000  # servers; what was learnt is forgotten beyond, and learnt again

Server = tuple[str, int]


class Manners:
    """Of every server that an account of this process talks to."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._one_by_one: set[Server] = set()

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


def _server(origin: Origin) -> Server:
    return origin.host.lower().rstrip("."), origin.port
