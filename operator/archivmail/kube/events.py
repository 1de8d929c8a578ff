"""Kubernetes Events for notices: queued, bounded, sent in the background. They are advice; losing one harms nothing.

Bounded for each account, so that one with a thousand folders in trouble leaves room for others, and for the process, so
that a fleet in trouble leaves the API server in peace. What is dropped is counted, and logged once a minute.
"""

import asyncio
import logging
import math
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC

from archivmail.decide.allowance import Bucket, Rate, filled, taken
from archivmail.decide.wording import fit_for_people
from archivmail.kube.api import GROUP, KIND, VERSION, ApiFault, ApiUnavailable, Document, KubeApi
from archivmail.model.account import AccountRef, ObjectUid
from archivmail.model.notices import Notice
from archivmail.observe.logs import without_secrets
from archivmail.sync.ports import Clock

COMPONENT = "archivmail"
MAX_QUEUED = 5000  # some 5 MB; all accounts of an operator may have news at once
MAX_MESSAGE_BYTES = 1000  # the API server takes 1024 bytes, not characters
MAX_NAME_PREFIX = 200  # of the 253 characters that a name may have
OF_ACCOUNT = Rate(burst=120, seconds_each=60)
"""A run may tell of a hundred folders whose UIDVALIDITY changed (`decide.notices.MAX_RESETS`), and of itself."""
OF_PROCESS = Rate(burst=5000, seconds_each=0.02)
MAX_BUCKETS = 20_000  # accounts with news in the last hours
LOG_LOSSES_EVERY_S = 60.0
RETRY_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Queued:
    namespace: str
    event: Document


class EventSender:
    """Sends what it is told, in order. Call `run` in a task; `drain` before the end."""

    def __init__(
        self, api: KubeApi, clock: Clock, *, instance: str, count_lost: Callable[[int], None] = lambda _: None
    ) -> None:
        """`count_lost` hears how many Events were given up."""
        self._count_lost = count_lost
        self._api = api
        self._clock = clock
        self._instance = instance[:128]
        self._queue: deque[_Queued] = deque()
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._of_process: Bucket | None = None
        self._of_accounts: dict[ObjectUid, Bucket] = {}
        self._logged_at = -math.inf
        self.lost = 0
        """Events that nobody will see."""

    def tell(self, ref: AccountRef, uid: ObjectUid, notice: Notice) -> None:
        """Queue one Event about an account, unless there were too many; a full queue gives the oldest one up."""
        if not self._is_allowed(uid):
            return
        if len(self._queue) >= MAX_QUEUED:
            del self._queue[1]  # the first one is under way
            self._lose("the queue is full")
        self._queue.append(_Queued(ref.namespace, self._event(ref, uid, notice)))
        self._empty.clear()
        self._filled.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._filled.wait()
            while self._queue:
                await self._send(self._queue[0])
            self._filled.clear()
            self._empty.set()

    async def drain(self, timeout_s: float) -> None:
        """Wait until everything is sent, or the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        except TimeoutError:
            self._lose(f"{len(self._queue)} left at the end", len(self._queue))

    def _is_allowed(self, uid: ObjectUid) -> bool:
        now_s = asyncio.get_running_loop().time()
        of_account = taken(filled(self._of_accounts.get(uid), OF_ACCOUNT, now_s))
        if of_account is None:
            self._lose("too many for one account")
            return False
        of_process = taken(filled(self._of_process, OF_PROCESS, now_s))
        if of_process is None:
            self._lose("too many for one operator")
            return False
        self._of_process = of_process
        self._of_accounts.pop(uid, None)
        self._of_accounts[uid] = of_account
        if len(self._of_accounts) > MAX_BUCKETS:  # who was silent for longest has a full bucket, or nearly so
            del self._of_accounts[next(iter(self._of_accounts))]
        return True

    async def _send(self, queued: _Queued) -> None:
        for pause_s in (*RETRY_PAUSES_S, None):
            try:
                await self._api.create_event(queued.namespace, queued.event)
            except ApiUnavailable as error:
                if pause_s is None:
                    self._lose(str(error))
                    break
                await asyncio.sleep(pause_s)
            except ApiFault as error:
                self._lose(str(error))
                break
            else:
                break
        self._queue.popleft()

    def _lose(self, why: str, count: int = 1) -> None:
        self.lost += count
        self._count_lost(count)
        now_s = asyncio.get_running_loop().time()
        if now_s - self._logged_at < LOG_LOSSES_EVERY_S:
            return
        self._logged_at = now_s
        _log.warning("event not delivered", extra={"why": without_secrets(why), "lost": self.lost})

    def _event(self, ref: AccountRef, uid: ObjectUid, notice: Notice) -> Document:
        now = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        prefix = ref.name[:MAX_NAME_PREFIX].rstrip("-.")
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{prefix}.{secrets.token_hex(8)}", "namespace": ref.namespace},
            "involvedObject": {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": KIND,
                "namespace": ref.namespace,
                "name": ref.name,
                "uid": uid,
            },
            "type": str(notice.severity),
            "reason": str(notice.reason),
            "message": bounded(fit_for_people(without_secrets(notice.text))),
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": self._instance,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }


def bounded(text: str) -> str:
    """At most MAX_MESSAGE_BYTES octets of UTF-8, no character cut in two."""
    octets = text.encode("utf-8", "backslashreplace")
    if len(octets) <= MAX_MESSAGE_BYTES:
        return octets.decode()
    return octets[: MAX_MESSAGE_BYTES - 3].decode("utf-8", "ignore") + "…"
