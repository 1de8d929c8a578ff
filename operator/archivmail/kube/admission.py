"""How many new objects may be on their way at once, from the first sight to the finalizer that kopf stores.

Kopf sets no limit (its connector takes any number of connections): ten thousand objects at the first start would be
ten thousand TLS handshakes at once, in one event loop. Its own `worker_limit` is no way out (T18), and neither is a
limit of the connector, where waiting counts as the time of a request. So an object waits before kopf begins with it.
"""

import asyncio

from archivmail.model.account import ObjectUid

AT_ONCE = 32
PATIENCE_S = 10.0
"""One whose finalizer does not come, because the API server is slow or the right is missing, holds up nobody longer."""


class Admissions:
    """For one event loop; who waits longest is next."""

    def __init__(self, at_once: int = AT_ONCE, patience_s: float = PATIENCE_S) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._patience_s = patience_s
        self._inside: dict[ObjectUid, asyncio.TimerHandle] = {}

    async def enter(self, uid: ObjectUid) -> None:
        """Wait for a place. One that has a place keeps it."""
        if uid in self._inside:
            return
        await self._places.acquire()
        self._inside[uid] = asyncio.get_running_loop().call_later(self._patience_s, self.leave, uid)

    def leave(self, uid: ObjectUid) -> None:
        """Give the place back, if there is one."""
        expiry = self._inside.pop(uid, None)
        if expiry is not None:
            expiry.cancel()
            self._places.release()
