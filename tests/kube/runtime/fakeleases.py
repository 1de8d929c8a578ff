"""Leases in memory, for faults and for virtual time. Passes the same contract suite as the real client."""

from __future__ import annotations

import asyncio
import copy
import itertools
from typing import Any

from archivmail.kube.api import ApiConflict, ApiUnavailable, Document


class FakeLeases:
    """Satisfies LeaseApi."""

    def __init__(self) -> None:
        self._leases: dict[tuple[str, str], dict[str, Any]] = {}
        self._versions = itertools.count(1)
        self.writes: list[tuple[float, str]] = []
        """Loop time and holder of each write that was done."""
        self.is_down = False
        self.is_silent = False
        """No answer comes, and nothing is done."""
        self.answers_are_lost = False
        """What is asked is done, but no answer comes."""
        self.delay_s = 0.0

    async def get_lease(self, namespace: str, name: str) -> Document | None:
        await self._ask()
        return copy.deepcopy(self._leases.get((namespace, name)))

    async def create_lease(self, namespace: str, lease: Document) -> Document:
        await self._ask()
        key = (namespace, str(lease["metadata"]["name"]))
        if key in self._leases:
            raise ApiConflict("it is there already", 409)
        return await self._kept(key, lease)

    async def replace_lease(self, namespace: str, lease: Document) -> Document:
        await self._ask()
        key = (namespace, str(lease["metadata"]["name"]))
        if key not in self._leases:
            raise ApiConflict("precondition failed: no such uid", 409)
        if self._leases[key]["metadata"]["resourceVersion"] != lease["metadata"].get("resourceVersion"):
            raise ApiConflict("the object has been modified", 409)
        return await self._kept(key, lease)

    def touch(self, namespace: str, name: str, **metadata: Any) -> None:
        """Somebody labels or annotates it."""
        lease = self._leases[namespace, name]
        lease["metadata"] |= {**metadata, "resourceVersion": str(next(self._versions))}

    def remove(self, namespace: str, name: str) -> None:
        del self._leases[namespace, name]

    async def _ask(self) -> None:
        await asyncio.sleep(self.delay_s)
        if self.is_down:
            raise ApiUnavailable("the API server cannot be reached")
        if self.is_silent:
            await asyncio.Event().wait()

    async def _kept(self, key: tuple[str, str], lease: Document) -> Document:
        kept = copy.deepcopy(dict(lease))
        kept["metadata"] = {
            **kept["metadata"],
            "namespace": key[0],
            "uid": "u",
            "resourceVersion": str(next(self._versions)),
        }
        self._leases[key] = kept
        self.writes.append((asyncio.get_running_loop().time(), kept["spec"]["holderIdentity"]))
        if self.answers_are_lost:
            await asyncio.Event().wait()
        return copy.deepcopy(kept)
