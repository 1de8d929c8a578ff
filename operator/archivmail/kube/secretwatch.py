"""Hear of changed Secrets at once, where that is wanted: Secrets with the label archivmail.io/watch=true.

RBAC knows no labels, so the leave to watch is the leave to read every Secret; hence it is off unless asked for
(ARCHIVMAIL_WATCH_SECRETS). Only metadata is asked for: what a Secret holds is read by the run that needs it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from archivmail.kube.api import ApiFault, ApiForbidden

LABEL = "archivmail.io/watch=true"
AGAIN_S = (1.0, 2.0, 5.0, 15.0, 30.0)
SHORT_S = 30.0
"""A watch that ends sooner (a proxy cuts it, or its version is too old each time) is begun ever more rarely, for each
begins with a listing of every Secret."""
_REFUSED = (
    "secrets may not be watched; grant the operator's ServiceAccount list and watch on secrets (chart value "
    "secrets.watch). Until then a changed Secret counts from the next run of its accounts on"
)
_LOST = "secrets cannot be watched at present"

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
        loop = asyncio.get_running_loop()
        failures, told = 0, ""
        while True:
            began = loop.time()
            try:
                async for each in self._watch(namespace, LABEL):
                    self._heard(each)
                failures, told = failures + 1 if loop.time() - began < SHORT_S else 0, ""
            except ApiFault as error:
                failures += 1
                # A listing may be allowed and its watch not: what was heard before the refusal is no recovery.
                if str(error) != told:
                    told = str(error)
                    _log.warning(_REFUSED if isinstance(error, ApiForbidden) else _LOST, extra=_facts(namespace, told))
            await asyncio.sleep(AGAIN_S[min(failures, len(AGAIN_S) - 1)])


def _facts(namespace: str | None, why: str) -> dict[str, object]:
    return {"namespace": namespace or "", "why": why}
