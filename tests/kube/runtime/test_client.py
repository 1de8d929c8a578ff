"""The client against a real API server: the contract, and what only a network can do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from archivmail.kube.api import ApiForbidden, ApiNotFound, ApiUnavailable, KubeApi
from archivmail.kube.client import KubeClient
from archivmail.kube.connection import load_configuration
from archivmail.kube.secretwatch import SecretSeen
from archivmail.model.account import AccountRef
from archivmail.model.errors import SpecInvalid
from tests.kube.runtime.api_contract import KubeApiContract, Side
from tests.kube.runtime.operating import RULES, SERVICE_ACCOUNT, account, allow_changing_secrets, grant
from tests.servers.controlplane import ControlPlane

pytestmark = pytest.mark.servers


class RealSide:
    def __init__(self, plane: ControlPlane, namespace: str, kubeconfig: Path, use: Callable[[Path], None]) -> None:
        self.plane = plane
        self.namespace = namespace
        self.requests: list[tuple[str, str, str]] = []
        self._kubeconfig = kubeconfig
        self._use = use
        grant(plane, namespace)
        use(plane.service_account_kubeconfig(namespace, SERVICE_ACCOUNT, kubeconfig))

    @asynccontextmanager
    async def api(self, timeout_s: float = 10) -> AsyncIterator[KubeApi]:
        client = KubeClient(await load_configuration(), lambda *facts: self.requests.append(facts), timeout_s=timeout_s)
        try:
            yield client
        finally:
            await client.close()

    def create_account(self, name: str) -> None:
        self.plane.api.request("POST", self._path("imapaccounts"), account(name))

    def delete_account(self, name: str) -> None:
        self.plane.api.request("DELETE", f"{self._path('imapaccounts')}/{name}")

    def create_secret(self, name: str, data: dict[str, str]) -> None:
        body = {"metadata": {"name": name}, "stringData": data}
        self.plane.api.request("POST", f"/api/v1/namespaces/{self.namespace}/secrets", body)

    def change_secret(self, name: str, data: dict[str, str]) -> None:
        self.plane.api.merge_patch(f"/api/v1/namespaces/{self.namespace}/secrets/{name}", {"stringData": data})

    def annotate_secret(self, name: str, annotations: dict[str, str]) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/secrets/{name}"
        self.plane.api.merge_patch(path, {"metadata": {"annotations": annotations}})

    def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.plane.api.get(f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return found

    def forbid_secrets(self) -> None:
        self._use(self.plane.service_account_kubeconfig(self.namespace, "nobody", self._kubeconfig))

    def allow_changing_secrets(self) -> None:
        allow_changing_secrets(self.plane, self.namespace)

    def forbid_changing_secrets(self) -> None:
        """The rules of the operator do not have it."""

    def _path(self, plural: str) -> str:
        return f"/apis/archivmail.io/v1alpha1/namespaces/{self.namespace}/{plural}"


@pytest.fixture
def real(cluster: ControlPlane, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RealSide:
    return RealSide(
        cluster, namespace, tmp_path / "kubeconfig", lambda path: monkeypatch.setenv("KUBECONFIG", str(path))
    )


class TestRealClient(KubeApiContract):
    @pytest.fixture
    def side(self, real: RealSide) -> Side:
        return real


def test_every_request_is_counted_with_its_code(real: RealSide) -> None:
    """The words are those of RBAC."""

    async def story() -> None:
        async with real.api() as api:
            await api.get_account(AccountRef(real.namespace, "nobody"))
            await api.get_secret(real.namespace, "nobody")

    asyncio.run(story())

    assert [("get", "imapaccounts", "404"), ("get", "secrets", "404")] == real.requests


def test_a_listing_is_read_page_by_page(real: RealSide, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand accounts are never one answer."""
    monkeypatch.setattr("archivmail.kube.client.PAGE_SIZE", 2)
    for number in range(5):
        real.create_account(f"account-{number}")

    async def story() -> None:
        async with real.api() as api:
            assert 5 == len([each async for each in api.list_accounts(real.namespace)])

    asyncio.run(story())

    assert [("list", "imapaccounts", "200")] * 3 == real.requests


def test_a_server_that_is_away_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused connections, and connections that nobody answers: within the time limit, counted as error."""
    with ControlPlane() as plane:
        monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig(tmp_path / "kubeconfig")))
        counted: list[tuple[str, str, str]] = []

        async def ask(timeout_s: float) -> None:
            client = KubeClient(await load_configuration(), lambda *facts: counted.append(facts), timeout_s=timeout_s)
            try:
                with pytest.raises(ApiUnavailable):
                    await client.get_account(AccountRef("default", "alice"))
            finally:
                await client.close()

        plane.pause()
        asyncio.run(ask(0.5))
        plane.resume()
        plane.stop()
        asyncio.run(ask(10))

    assert [("get", "imapaccounts", "error")] * 2 == counted


def test_a_watch_that_is_cut_or_silent_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """S8: whatever happens to the connection is a fault that is tried again, and a hang ends by itself."""
    with ControlPlane() as plane:
        monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig(tmp_path / "kubeconfig")))
        monkeypatch.setattr("archivmail.kube.changes.SILENCE_S", 0.5)
        counted: list[tuple[str, ...]] = []

        async def follow(watching: asyncio.Event) -> list[SecretSeen]:
            def count(*facts: str) -> None:
                counted.append(facts)
                if facts[0] == "watch":
                    watching.set()

            client = KubeClient(await load_configuration(), count)
            try:
                return [each async for each in client.watch_secrets("default", "of=this-test")]
            finally:
                await client.close()

        body = {"metadata": {"name": "labelled", "labels": {"of": "this-test"}}}
        plane.api.request("POST", "/api/v1/namespaces/default/secrets", body)
        seen = asyncio.run(follow(asyncio.Event()))  # ends after half a second without a word
        assert ["labelled"] == [each.name for each in seen]
        assert [("list", "secrets", "200"), ("watch", "secrets", "200")] == counted
        monkeypatch.setattr("archivmail.kube.changes.SILENCE_S", 60)

        async def cut() -> None:
            watching = asyncio.Event()
            following = asyncio.ensure_future(follow(watching))
            await watching.wait()
            await asyncio.to_thread(plane.stop, grace_s=0)
            with pytest.raises(ApiUnavailable):
                await following

        asyncio.run(cut())


def test_a_refused_watch_is_forbidden_and_counted(real: RealSide) -> None:
    """Although the listing before it was allowed."""
    rules = [*RULES, {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{real.namespace}/roles/archivmail-{real.namespace}"
    real.plane.api.merge_patch(path, {"rules": rules})

    async def story() -> None:
        async with real.api() as api:
            assert isinstance(api, KubeClient)
            with pytest.raises(ApiForbidden, match="cannot watch resource"):
                [each async for each in api.watch_secrets(real.namespace, "a=b")]

    asyncio.run(story())

    assert [("list", "secrets", "200"), ("watch", "secrets", "403")] == real.requests


def test_a_missing_crd_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is not the same as no accounts; and none that is known is taken for gone, its deletion for a fact."""
    with ControlPlane() as plane:
        monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig(tmp_path / "kubeconfig")))

        async def story() -> None:
            client = KubeClient(await load_configuration(), lambda *_: None)
            try:
                with pytest.raises(ApiNotFound):
                    [each async for each in client.list_accounts(None)]
                alice = AccountRef("default", "alice")
                with pytest.raises(ApiUnavailable, match="answered 404"):
                    await client.get_account(alice)
                with pytest.raises(ApiUnavailable, match="answered 404"):
                    await client.patch_status(alice, "1", {})
            finally:
                await client.close()

        asyncio.run(story())


@pytest.mark.parametrize("content", [None, "", "no: kubeconfig"], ids=["missing", "empty", "other"])
def test_no_access_is_one_sentence(content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to set."""
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(path))

    with pytest.raises(SpecInvalid, match="set KUBECONFIG"):
        asyncio.run(_load())


async def _load() -> None:
    await load_configuration()
