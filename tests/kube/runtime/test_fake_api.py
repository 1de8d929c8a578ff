"""The API server in memory does what the real one does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from archivmail.kube.api import KubeApi
from archivmail.model.account import AccountRef
from tests.kube.runtime.api_contract import KubeApiContract, Side
from tests.kube.runtime.fakeapi import FakeApi


class FakeSide:
    namespace = "team-a"

    def __init__(self) -> None:
        self._api = FakeApi()

    @asynccontextmanager
    async def api(self) -> AsyncIterator[KubeApi]:
        yield self._api

    def create_account(self, name: str) -> None:
        self._api.create_account(AccountRef(self.namespace, name))

    def delete_account(self, name: str) -> None:
        self._api.remove(AccountRef(self.namespace, name))

    def create_secret(self, name: str, data: dict[str, str]) -> None:
        self._api.put_secret(self.namespace, name, **data)

    def change_secret(self, name: str, data: dict[str, str]) -> None:
        self._api.put_secret(self.namespace, name, **data)

    def annotate_secret(self, name: str, annotations: dict[str, str]) -> None:
        self._api.annotate_secret(self.namespace, name, annotations)

    def events(self) -> list[dict[str, Any]]:
        return self._api.events

    def forbid_secrets(self) -> None:
        self._api.may_read_secrets = False

    def allow_changing_secrets(self) -> None:
        self._api.may_change_secrets = True

    def forbid_changing_secrets(self) -> None:
        self._api.may_change_secrets = False


class TestFakeApi(KubeApiContract):
    @pytest.fixture
    def side(self) -> Side:
        return FakeSide()
