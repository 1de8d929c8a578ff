"""Messages that were read and wait for their SHA-256, which a thread takes while the next ones are read.

Hashing needs no interpreter, and on a near server it is what the reading thread would spend most of its time with.
Knows no server; bounded by a few groups of messages.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from archivmail.imap.bodies import SpooledBody
from archivmail.model.message import FetchedMessage

GROUP_BYTES = 512 * 1024
"""Hashed in one go: some twenty messages, so that handing them over costs little for each."""

MOST_GROUPS = 2
"""That wait for the thread; one more is being gathered."""


class Ahead:
    """Hands messages on in the order they came, all in the calling thread, and owns their bodies meanwhile.

    After `deliver` raised, nothing is delivered any more.
    """

    def __init__(self, deliver: Callable[[FetchedMessage], None]) -> None:
        self._deliver = deliver
        self._executor: ThreadPoolExecutor | None = None
        self._group: list[FetchedMessage] = []
        self._octets = 0
        self._under_way: deque[tuple[Future[None], list[FetchedMessage]]] = deque()

    def take(self, message: FetchedMessage) -> None:
        """Take a message in; older ones are delivered. Raises what `deliver` raises."""
        self._group.append(message)
        self._octets += message.body.size
        if isinstance(message.body, SpooledBody):
            self.settle()  # hashed already, and there is room for one such file only (chart: tmpSizeLimit)
            return
        if self._octets < GROUP_BYTES:
            return
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="imap-sha256")
        group, self._group, self._octets = self._group, [], 0
        self._under_way.append((self._executor.submit(_hash, group), group))
        while self._under_way and (len(self._under_way) > MOST_GROUPS or self._under_way[0][0].done()):
            self._deliver_oldest()

    def settle(self) -> None:
        """Deliver everything that was taken in. Few messages are not worth a thread."""
        while self._under_way:
            self._deliver_oldest()
        group, self._group, self._octets = self._group, [], 0
        self._hand_on(group)

    def close(self) -> None:
        """Drop what was not delivered, and end the thread. Never raises."""
        wait([hashed for hashed, _ in self._under_way])
        for message in [message for _, group in self._under_way for message in group] + self._group:
            message.body.close()
        self._under_way.clear()
        self._group.clear()
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None

    def _deliver_oldest(self) -> None:
        hashed, group = self._under_way.popleft()
        wait([hashed])
        self._hand_on(group)

    def _hand_on(self, group: list[FetchedMessage]) -> None:
        try:
            for message in group:
                self._deliver(message)
                message.body.close()
        except BaseException:
            for message in group:
                message.body.close()
            self.close()
            raise


def _hash(group: list[FetchedMessage]) -> None:
    for message in group:
        _ = message.body.content_id  # kept there
