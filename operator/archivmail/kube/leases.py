"""Hold the Lease of one shard: take it, renew it, know at every moment whether it is still ours, give it back.

The rules are those of decide/leases.py. Not the leader election of the official client, whose `aio` edition (37.0.2)
measures by the wall clock, bounds no request, ends in an exception when the API server refuses a connection, and goes
on for another renew deadline after a pause in which somebody else took the Lease.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from archivmail.decide.leases import Held, Terms, Watched, gives_up_at, may_take, runs_out_at, watch
from archivmail.kube.api import ApiConflict, ApiFault, ApiForbidden, ApiNotFound, ApiUnavailable, Document
from archivmail.sync.ports import Clock

RELEASE_S = 2.0
MAX_CONFLICTS = 5
JITTER = 0.2  # two that wait for one Lease shall not ask in step
NEVER = float("-inf")

_log = logging.getLogger(__name__)


class LeaseApi(Protocol):
    """Requests for Leases (coordination.k8s.io/v1). Each may raise ApiUnavailable, ApiForbidden and ApiRefused."""

    async def get_lease(self, namespace: str, name: str) -> Document | None:
        """As it is now; None when it is not there."""
        ...

    async def create_lease(self, namespace: str, lease: Document) -> Document:
        """Raises ApiConflict when it is there."""
        ...

    async def replace_lease(self, namespace: str, lease: Document) -> Document:
        """Raises ApiConflict when it is no longer the one that was read, or gone."""
        ...


class LeaseKeeper:
    """One Lease. For one event loop; `may_run` and `may_write` may be asked by any thread."""

    def __init__(
        self,
        api: LeaseApi,
        *,
        namespace: str,
        name: str,
        identity: str,
        terms: Terms,
        clock: Clock,
        heard: Callable[[bool], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`identity` is this process's alone; `heard` is told when the Lease becomes ours and when it is lost."""
        self._api, self._namespace, self.name, self._identity = api, namespace, name, identity
        self._terms, self._clock, self._heard, self._monotonic = terms, clock, heard, monotonic
        self._watched: Watched | None = None
        self._document: Document | None = None
        """The Lease as we wrote it last."""
        self._asked_at = NEVER
        """When we asked for what we hold; NEVER while we hold nothing."""
        self.problem = f"the Lease {name} has not been looked at yet"
        """Why the Lease is not ours, in one sentence."""

    # --- the hold ----------------------------------------------------------------------------------------------------

    def may_run(self) -> bool:
        """Whether a run may go on. Turns false by itself, early enough for runs to end before the Lease does."""
        return self._monotonic() < gives_up_at(self._asked_at, self._terms)

    def may_write(self) -> bool:
        """Whether results may be written: until the Lease may be somebody else's."""
        return self._monotonic() < runs_out_at(self._asked_at, self._terms)

    def seconds_left(self) -> float:
        """Until `may_write` turns false; 0 or less afterwards."""
        return runs_out_at(self._asked_at, self._terms) - self._monotonic()

    # --- the life of a hold ------------------------------------------------------------------------------------------

    async def take(self) -> None:
        """Wait until the Lease is ours; however long that lasts, and whatever the API server says."""
        told = ""
        while True:
            try:
                async with asyncio.timeout(self._terms.renew):
                    if await self._try_to_take():
                        break
            except TimeoutError:
                self.problem = f"the API server did not answer about the Lease {self.name}"
            except ApiForbidden as error:
                self.problem = f"the operator may not use Leases; grant its ServiceAccount the chart's role ({error})"
            except ApiFault as error:
                self.problem = f"the Lease {self.name} cannot be taken: {error}"
            if self.problem != told:
                told = self.problem
                _log.info("waiting for the lease", extra={"lease": self.name, "why": told})
            await asyncio.sleep(self._terms.retry * random.uniform(1, 1 + JITTER))  # noqa: S311 - spreads load
        _log.info("lease taken", extra={"lease": self.name, "identity": self._identity})
        self._heard(True)

    async def keep(self) -> str:
        """Renew until the Lease is lost; then say why. A pause of the process is noticed here at the latest."""
        why = "it was not renewed in time"
        while (left := self._renew_by() - self._monotonic()) > 0:
            await asyncio.sleep(min(self._terms.retry, left))
            left = self._renew_by() - self._monotonic()
            if left <= 0:
                break
            try:
                async with asyncio.timeout(min(left, self._terms.renew / 2)):  # time for a second attempt
                    if not await self._renewed():
                        why = self.problem
                        break
            except TimeoutError:
                why = "the API server did not answer in time"
            except ApiFault as error:
                why = str(error)
        if why != self.problem:
            self.problem = f"the Lease {self.name} was lost: {why}"
        _log.error("lease lost", extra={"lease": self.name, "why": why})
        self._heard(False)
        return why

    async def release(self) -> None:
        """Give the Lease back, so that the next holder need not wait for its end. Never raises; takes RELEASE_S."""
        if not self.may_write() or self._document is None:
            return
        try:
            async with asyncio.timeout(RELEASE_S):
                await self._give_back(self._document)
        except (ApiFault, TimeoutError) as error:
            _log.warning("lease not given back", extra={"lease": self.name, "why": str(error) or "no answer in time"})
        self._asked_at = NEVER
        self._heard(False)

    async def _give_back(self, document: Document) -> None:
        try:
            await self._api.replace_lease(self._namespace, self._written(document, holder="", duration=1))
        except ApiConflict:
            # The end of the process has cut off a renewal, which was done all the same.
            now = await self._api.get_lease(self._namespace, self.name)
            if now is not None and held(now).holder == self._identity:
                await self._api.replace_lease(self._namespace, self._written(now, holder="", duration=1))

    # --- requests ----------------------------------------------------------------------------------------------------

    async def _try_to_take(self) -> bool:
        document = await self._api.get_lease(self._namespace, self.name)
        if document is not None:
            self._watched = watch(self._watched, held(document), self._monotonic())
            if not may_take(self._watched, self._identity, self._monotonic()):
                self.problem = f"the Lease {self.name} is held by {self._watched.lease.holder}"
                return False
        try:
            await self._write(document)
        except (ApiConflict, ApiNotFound):
            self.problem = f"somebody else was quicker to take the Lease {self.name}"
            return False
        return True

    async def _renewed(self) -> bool:
        """False when the Lease is somebody else's."""
        for _ in range(MAX_CONFLICTS):
            try:
                await self._write(self._document)
            except (ApiConflict, ApiNotFound):
                # Somebody put a label on it or deleted it; or our last write was done though no answer came.
                self._document = await self._api.get_lease(self._namespace, self.name)
                if self._document is not None and held(self._document).holder != self._identity:
                    self.problem = f"the Lease {self.name} is held by {held(self._document).holder or 'nobody'}"
                    self._asked_at = NEVER  # there is nothing left to wait out
                    return False
            else:
                return True
        raise ApiUnavailable(f"the Lease {self.name} changed {MAX_CONFLICTS} times while it was being renewed")

    async def _write(self, before: Document | None) -> None:
        """Make the Lease ours from now on. `before`: as it stands there, None when it is not there."""
        asked_at = self._monotonic()
        wanted = self._written(before, holder=self._identity, duration=round(self._terms.duration))
        if before is None:
            document = await self._api.create_lease(self._namespace, wanted)
        else:
            document = await self._api.replace_lease(self._namespace, wanted)
        self._document, self._asked_at = document, asked_at

    def _written(self, before: Document | None, *, holder: str, duration: int) -> dict[str, Any]:
        """Labels and whatever else others have put there stay."""
        now = _micro_time(self._clock())
        spec: dict[str, Any] = dict((before or {}).get("spec") or {})
        if spec.get("holderIdentity", "") != holder:
            spec["acquireTime"] = now
            if holder:
                spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + (before is not None)
        spec |= {"holderIdentity": holder, "leaseDurationSeconds": duration, "renewTime": now}
        metadata = dict(before["metadata"]) if before else {"name": self.name, "namespace": self._namespace}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}

    def _renew_by(self) -> float:
        return gives_up_at(self._asked_at, self._terms)


def held(document: Document) -> Held:
    """What counts of a Lease. Never raises for what a user can write."""
    spec = document.get("spec") or {}
    return Held(
        holder=str(spec.get("holderIdentity") or ""),
        duration=float(spec.get("leaseDurationSeconds") or 0),
        version=str(document["metadata"]["resourceVersion"]),
        transitions=int(spec.get("leaseTransitions") or 0),
    )


def _micro_time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
