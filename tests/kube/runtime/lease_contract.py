"""What every LeaseApi does, the real one and the one in memory."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import pytest

from archivmail.kube.api import ApiConflict
from archivmail.kube.leases import LeaseApi

NAME = "archivmail-shard-0"


class Side(Protocol):
    """One implementation. `api()` is entered inside the event loop."""

    namespace: str

    def api(self) -> AbstractAsyncContextManager[LeaseApi]: ...
    def remove(self, name: str) -> None: ...


def lease(holder: str, **metadata: str) -> dict[str, Any]:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": "2026-11-20T10:00:00.000000Z"}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": NAME, **metadata},
        "spec": spec,
    }


class LeaseContract:
    """A class that inherits these tests gives a fixture `side`."""

    def test_a_lease_is_made_once(self, side: Side) -> None:
        """The second one who tries hears of the first one."""

        async def story() -> None:
            async with side.api() as api:
                assert await api.get_lease(side.namespace, NAME) is None
                made = await api.create_lease(side.namespace, lease("me"))
                assert "me" == made["spec"]["holderIdentity"]
                assert made["metadata"]["resourceVersion"]
                with pytest.raises(ApiConflict):
                    await api.create_lease(side.namespace, lease("you"))
                found = await api.get_lease(side.namespace, NAME)
                assert found is not None
                assert "me" == found["spec"]["holderIdentity"]

        asyncio.run(story())

    def test_a_lease_is_replaced_only_as_it_was_read(self, side: Side) -> None:
        """Of two who read the same one, one gets it."""

        async def story() -> None:
            async with side.api() as api:
                made = await api.create_lease(side.namespace, lease("me"))
                version = made["metadata"]["resourceVersion"]
                mine = await api.replace_lease(side.namespace, lease("me again", resourceVersion=version))
                assert version != mine["metadata"]["resourceVersion"]
                with pytest.raises(ApiConflict):
                    await api.replace_lease(side.namespace, lease("you", resourceVersion=version))

        asyncio.run(story())

    def test_a_lease_that_was_deleted_is_not_replaced(self, side: Side) -> None:
        """By its uid: of two who make it anew, one is told so."""

        async def story() -> None:
            async with side.api() as api:
                made = await api.create_lease(side.namespace, lease("me"))
                side.remove(NAME)
                assert await api.get_lease(side.namespace, NAME) is None
                with pytest.raises(ApiConflict):
                    await api.replace_lease(side.namespace, made)

        asyncio.run(story())
