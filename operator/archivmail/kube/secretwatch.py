"""Hear of changed Secrets at once, where that is wanted: Secrets with the label archivmail.io/watch=true.

RBAC knows no labels, so the leave to watch is the leave to read every Secret; hence it is off unless asked for
(ARCHIVMAIL_WATCH_SECRETS). Only metadata is asked for: what a Secret holds is read by the run that needs it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from archivmail.kube.api import ApiFault

LABEL = "archivmail.io/watch=true"
AGAIN_S = (1.0, 2.0, 5.0, 15.0, 30.0)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SecretSeen:
    """A Secret as a listing or a change shows it; `version` is "" when it is gone."""

    namespace: str
    name: str
    version: str


class WatchSecrets(Protocol):
    """Every Secret with the label, then each change, until the API server ends the watch. Raises ApiFault."""

    def __call__(self, namespace: str | None, label: str) -> AsyncIterator[SecretSeen]: ...


class SecretWatch:
    """One watch for each namespace, or one for all. For one event loop."""

    def __init__(self, watch: WatchSecrets, namespaces: Sequence[str], heard: Callable[[SecretSeen], None]) -> None:
        self._watch = watch
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._heard = heard

    async def run(self) -> None:
        """Watch until cancelled. A watch that ends is begun again with a listing, so no change is missed."""
        async with asyncio.TaskGroup() as group:
            for namespace in self._namespaces:
                group.create_task(self._follow(namespace))

    async def _follow(self, namespace: str | None) -> None:
        failures = 0
        while True:
            try:
                async for each in self._watch(namespace, LABEL):
                    failures = 0
                    self._heard(each)
            except ApiFault as error:
                if failures == 0:
                    _log.warning("secrets cannot be watched", extra={"namespace": namespace or "", "why": str(error)})
                failures += 1
            await asyncio.sleep(AGAIN_S[min(failures, len(AGAIN_S) - 1)])
