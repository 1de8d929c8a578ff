"""An API server in memory, for faults and for virtual time. Passes the same contract suite as the real client.

`is_down` makes every request fail as in an outage, `conflicts` makes that many status patches come too late.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from archivmail.kube.api import (
    ApiConflict,
    ApiForbidden,
    ApiNotFound,
    ApiRefused,
    ApiUnavailable,
    Document,
    SecretDocument,
)
from archivmail.model.account import AccountRef

Watch = Callable[[str, Document], None]


class FakeApi:
    """Satisfies KubeApi; what a user would do has methods of its own."""

    def __init__(self) -> None:
        self._accounts: dict[AccountRef, dict[str, Any]] = {}
        self._secrets: dict[tuple[str, str], SecretDocument] = {}
        self._versions = itertools.count(1)
        self._watches: list[Watch] = []
        self.events: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.is_down = False
        self.may_read_secrets = True
        self.may_change_secrets = True
        self.conflicts = 0
        self.secret_conflicts = 0
        self.delay_s = 0.0

    # --- KubeApi -----------------------------------------------------------------------------------------------------

    async def get_account(self, ref: AccountRef) -> Document | None:
        await self._ask("get account")
        return copy.deepcopy(self._accounts.get(ref))

    async def list_accounts(self, namespace: str | None) -> AsyncIterator[Document]:
        await self._ask("list accounts")
        for ref, document in list(self._accounts.items()):
            if namespace in {None, ref.namespace}:
                yield copy.deepcopy(document)

    async def get_secret(self, namespace: str, name: str) -> SecretDocument | None:
        await self._ask("get secret")
        if not self.may_read_secrets:
            raise ApiForbidden("secrets are forbidden", 403)
        return self._secrets.get((namespace, name))

    async def patch_secret(
        self, namespace: str, name: str, resource_version: str, data: Mapping[str, bytes]
    ) -> SecretDocument:
        await self._ask("patch secret")
        if not self.may_change_secrets:
            raise ApiForbidden("secrets are forbidden", 403)
        found = self._secrets.get((namespace, name))
        if found is None:
            raise ApiNotFound("not found", 404)
        if self.secret_conflicts or found.resource_version != resource_version:
            self.secret_conflicts = max(0, self.secret_conflicts - 1)
            raise ApiConflict("conflict", 409)
        changed = SecretDocument(str(next(self._versions)), {**found.data, **data}, found.annotations)
        self._secrets[namespace, name] = changed
        return changed

    async def patch_status(self, ref: AccountRef, resource_version: str, status: Document) -> Document:
        await self._ask("patch status")
        document = self._accounts.get(ref)
        if document is None:
            raise ApiNotFound("not found", 404)
        if self.conflicts or document["metadata"]["resourceVersion"] != resource_version:
            self.conflicts = max(0, self.conflicts - 1)
            raise ApiConflict("conflict", 409)
        if not isinstance(status.get("consecutiveFailures", 0) or 0, int):
            raise ApiRefused("status.consecutiveFailures must be an integer", 422)
        _merge(document.setdefault("status", {}), status)
        return self._changed("MODIFIED", document)

    async def create_event(self, namespace: str, event: Document) -> None:
        await self._ask("create event")
        if any(each["metadata"]["name"] == event["metadata"]["name"] for each in self.events):
            raise ApiConflict("already exists", 409)
        self.events.append(copy.deepcopy(dict(event)))

    # --- what users do -----------------------------------------------------------------------------------------------

    def watch(self, watch: Watch, *, alone: bool = False) -> None:
        """`watch(type, document)` hears of every change from now on; `alone`: who watched before does not."""
        self._watches = [watch] if alone else [*self._watches, watch]

    def documents(self) -> list[Document]:
        """Every object as it is now."""
        return copy.deepcopy(list(self._accounts.values()))

    def create_account(self, ref: AccountRef, **spec: Any) -> Document:
        number = next(self._versions)
        document: dict[str, Any] = {
            "apiVersion": "archivmail.io/v1alpha1",
            "kind": "ImapAccount",
            "metadata": {
                "namespace": ref.namespace,
                "name": ref.name,
                "uid": f"uid-{number}",
                "generation": 1,
                "creationTimestamp": datetime(2026, 11, 20, tzinfo=UTC).isoformat(),
            },
            "spec": {"host": "imap.example.org", "auth": {"secretRef": {"name": "alice"}}, "interval": "10m"} | spec,
            "status": {"observedGeneration": -1},
        }
        self._accounts[ref] = document
        return self._changed("ADDED", document)

    def change_spec(self, ref: AccountRef, **spec: Any) -> None:
        document = self._accounts[ref]
        document["spec"] |= spec
        document["metadata"]["generation"] += 1
        self._changed("MODIFIED", document)

    def annotate(self, ref: AccountRef, value: str) -> None:
        document = self._accounts[ref]
        document["metadata"]["annotations"] = {"archivmail.io/requestedAt": value}
        self._changed("MODIFIED", document)

    def put_status(self, ref: AccountRef, status: dict[str, Any]) -> None:
        self._accounts[ref]["status"] = status
        self._changed("MODIFIED", self._accounts[ref])

    def begin_deletion(self, ref: AccountRef) -> None:
        """As with a finalizer in place."""
        document = self._accounts[ref]
        document["metadata"]["deletionTimestamp"] = datetime(2026, 11, 20, tzinfo=UTC).isoformat()
        self._changed("MODIFIED", document)

    def remove(self, ref: AccountRef) -> None:
        """The object goes, as without a finalizer."""
        document = self._accounts.pop(ref)
        self._changed("DELETED", document)

    def put_secret(self, namespace: str, name: str, **data: str) -> None:
        encoded = {key: value.encode() for key, value in data.items()}
        self._secrets[namespace, name] = SecretDocument(str(next(self._versions)), encoded)

    def annotate_secret(self, namespace: str, name: str, annotations: dict[str, str]) -> None:
        found = self._secrets[namespace, name]
        self._secrets[namespace, name] = SecretDocument(str(next(self._versions)), found.data, annotations)

    def remove_secret(self, namespace: str, name: str) -> None:
        del self._secrets[namespace, name]

    def status(self, ref: AccountRef) -> dict[str, Any]:
        found: dict[str, Any] = copy.deepcopy(self._accounts[ref].get("status") or {})
        return found

    async def _ask(self, request: str) -> None:
        self.requests.append(request)
        await asyncio.sleep(self.delay_s)
        if self.is_down:
            raise ApiUnavailable("the API server cannot be reached")

    def _changed(self, kind: str, document: dict[str, Any]) -> Document:
        document["metadata"]["resourceVersion"] = str(next(self._versions))
        for watch in self._watches:
            watch(kind, copy.deepcopy(document))
        return copy.deepcopy(document)


def _merge(target: dict[str, Any], patch: Document) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = copy.deepcopy(value)
