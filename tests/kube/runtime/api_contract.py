"""What every KubeApi does, the real one and the one in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import pytest

from archivmail.kube.api import ApiConflict, ApiForbidden, ApiNotFound, ApiRefused, KubeApi
from archivmail.model.account import AccountRef


class Side(Protocol):
    """One implementation and what a user does beside it. `api()` is entered inside the event loop."""

    namespace: str

    def api(self) -> AbstractAsyncContextManager[KubeApi]: ...
    def create_account(self, name: str) -> None: ...
    def delete_account(self, name: str) -> None: ...
    def create_secret(self, name: str, data: dict[str, str]) -> None: ...
    def change_secret(self, name: str, data: dict[str, str]) -> None: ...
    def annotate_secret(self, name: str, annotations: dict[str, str]) -> None: ...
    def events(self) -> list[dict[str, Any]]: ...
    def forbid_secrets(self) -> None: ...
    def allow_changing_secrets(self) -> None: ...
    def forbid_changing_secrets(self) -> None: ...


def event(side: Side, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": side.namespace},
        "involvedObject": {"kind": "ImapAccount", "namespace": side.namespace, "name": "alice"},
        "type": "Normal",
        "reason": "Succeeded",
        "message": "It works.",
    }


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


class KubeApiContract:
    """A class that inherits these tests gives a fixture `side`."""

    def test_an_account_is_read_as_it_is(self, side: Side) -> None:
        """Metadata, spec and status; None when it is not there."""
        side.create_account("alice")

        async def story() -> None:
            async with side.api() as api:
                document = await api.get_account(AccountRef(side.namespace, "alice"))
                assert document is not None
                assert "alice" == document["metadata"]["name"]
                assert document["metadata"]["resourceVersion"]
                assert "imap.example.org" == document["spec"]["host"]
                assert -1 == document["status"]["observedGeneration"]
                assert await api.get_account(AccountRef(side.namespace, "nobody")) is None

        run(story())

    def test_every_account_is_listed_once(self, side: Side) -> None:
        """With what a single reading gives."""
        for name in ("alice", "bob"):
            side.create_account(name)

        async def story() -> None:
            async with side.api() as api:
                listed = [each async for each in api.list_accounts(side.namespace)]
                assert ["alice", "bob"] == sorted(each["metadata"]["name"] for each in listed)
                alice = await api.get_account(AccountRef(side.namespace, "alice"))
                assert alice in listed

        run(story())

    def test_a_secret_comes_decoded_with_its_version(self, side: Side) -> None:
        """The version changes with the content; None when the Secret is not there."""
        side.create_secret("alice", {"username": "alice", "password": "pä$$\n"})

        async def story() -> None:
            async with side.api() as api:
                before = await api.get_secret(side.namespace, "alice")
                assert before is not None
                assert {"username": b"alice", "password": "pä$$\n".encode()} == dict(before.data)
                assert "pä" not in repr(before)
                side.change_secret("alice", {"username": "alice", "password": "new"})
                after = await api.get_secret(side.namespace, "alice")
                assert after is not None
                assert before.resource_version != after.resource_version
                assert await api.get_secret(side.namespace, "nobody") is None

        run(story())

    def test_the_annotations_of_a_secret_come_with_it(self, side: Side) -> None:
        """And they change its version."""
        side.create_secret("alice", {"username": "alice"})

        async def story() -> None:
            async with side.api() as api:
                before = await api.get_secret(side.namespace, "alice")
                assert before is not None
                assert {} == before.annotations
                side.annotate_secret("alice", {"archivmail.io/allowed-hosts": "imap.example.org"})
                after = await api.get_secret(side.namespace, "alice")
                assert after is not None
                assert {"archivmail.io/allowed-hosts": "imap.example.org"} == after.annotations
                assert before.resource_version != after.resource_version

        run(story())

    def test_a_secret_is_changed_in_one_key_alone(self, side: Side) -> None:
        """And only as it was read: somebody else's change is not overwritten."""
        side.allow_changing_secrets()
        side.create_secret("alice", {"username": "alice", "refreshToken": "old"})

        async def story() -> None:
            async with side.api() as api:
                before = await api.get_secret(side.namespace, "alice")
                assert before is not None
                version = before.resource_version
                after = await api.patch_secret(side.namespace, "alice", version, {"refreshToken": b"n\xc3\xa9w\n"})
                assert {"username": b"alice", "refreshToken": b"n\xc3\xa9w\n"} == dict(after.data)
                assert after == await api.get_secret(side.namespace, "alice")
                with pytest.raises(ApiConflict):
                    await api.patch_secret(side.namespace, "alice", version, {"refreshToken": b"newer"})
                with pytest.raises(ApiNotFound):
                    await api.patch_secret(side.namespace, "nobody", version, {"refreshToken": b"newer"})

        run(story())

    def test_a_secret_that_may_not_be_changed_is_forbidden(self, side: Side) -> None:
        """The role of the operator has no such right unless somebody gives it."""
        side.create_secret("alice", {"username": "alice"})
        side.forbid_changing_secrets()

        async def story() -> None:
            async with side.api() as api:
                before = await api.get_secret(side.namespace, "alice")
                assert before is not None
                with pytest.raises(ApiForbidden):
                    await api.patch_secret(side.namespace, "alice", before.resource_version, {"refreshToken": b"n"})

        run(story())

    def test_status_is_merged_and_null_removes(self, side: Side) -> None:
        """RFC 7396: objects are merged, lists are replaced."""
        side.create_account("alice")
        ref = AccountRef(side.namespace, "alice")

        async def story() -> None:
            async with side.api() as api:
                document = await api.get_account(ref)
                assert document is not None
                first = {"lastResult": "Failed", "messages": {"server": 3, "pending": 1}}
                document = await api.patch_status(ref, document["metadata"]["resourceVersion"], first)
                second = {"lastResult": None, "messages": {"pending": 0}}
                answer = await api.patch_status(ref, document["metadata"]["resourceVersion"], second)
                assert {"observedGeneration": -1, "messages": {"server": 3, "pending": 0}} == answer["status"]
                assert answer == await api.get_account(ref)

        run(story())

    def test_a_status_patch_from_an_old_object_is_a_conflict(self, side: Side) -> None:
        """The precondition that keeps two writers apart."""
        side.create_account("alice")
        ref = AccountRef(side.namespace, "alice")

        async def story() -> None:
            async with side.api() as api:
                document = await api.get_account(ref)
                assert document is not None
                version = document["metadata"]["resourceVersion"]
                await api.patch_status(ref, version, {"lastResult": "Failed"})
                with pytest.raises(ApiConflict):
                    await api.patch_status(ref, version, {"lastResult": "Succeeded"})

        run(story())

    def test_a_status_that_the_schema_refuses_is_said_so(self, side: Side) -> None:
        """Repeating it would not help."""
        side.create_account("alice")
        ref = AccountRef(side.namespace, "alice")

        async def story() -> None:
            async with side.api() as api:
                document = await api.get_account(ref)
                assert document is not None
                with pytest.raises(ApiRefused, match="consecutiveFailures"):
                    await api.patch_status(ref, document["metadata"]["resourceVersion"], {"consecutiveFailures": "x"})

        run(story())

    def test_the_status_of_an_account_that_is_gone_is_not_found(self, side: Side) -> None:
        """Whatever the resourceVersion was."""
        side.create_account("alice")
        ref = AccountRef(side.namespace, "alice")

        async def story() -> None:
            async with side.api() as api:
                document = await api.get_account(ref)
                assert document is not None
                side.delete_account("alice")
                with pytest.raises(ApiNotFound):
                    await api.patch_status(ref, document["metadata"]["resourceVersion"], {"lastResult": "Failed"})

        run(story())

    def test_an_event_is_created_once(self, side: Side) -> None:
        """A name that is taken is a conflict."""

        async def story() -> None:
            async with side.api() as api:
                await api.create_event(side.namespace, event(side, "alice.1"))
                with pytest.raises(ApiConflict):
                    await api.create_event(side.namespace, event(side, "alice.1"))

        run(story())
        assert ["It works."] == [each["message"] for each in side.events()]

    def test_what_the_role_does_not_allow_is_forbidden(self, side: Side) -> None:
        """Not the same as missing, for other people must act."""
        side.create_secret("alice", {"username": "alice"})
        side.forbid_secrets()

        async def story() -> None:
            async with side.api() as api:
                with pytest.raises(ApiForbidden):
                    await api.get_secret(side.namespace, "alice")

        run(story())
