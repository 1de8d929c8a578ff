"""Faults between the operator and the API server: watches cut and expired, silence, conflicts, texts too long."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archivmail.kube.events import MAX_MESSAGE_BYTES
from tests.kube.runtime.operating import Operator, condition, is_ready, wait_until
from tests.servers.api import ApiError
from tests.servers.controlplane import ControlPlane
from tests.servers.faultproxy import FaultProxy

pytestmark = pytest.mark.servers

GONE = 410
TOO_EARLY = 429


class ProxiedOperator(Operator):
    """Reaches the API server through a proxy."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path, proxy: FaultProxy) -> None:
        super().__init__(plane, namespace, folder)
        self.proxy = proxy

    def prepare(self) -> None:
        super().prepare()
        text = self.kubeconfig.read_text()
        self.kubeconfig.write_text(text.replace(self.plane.url, f"https://127.0.0.1:{self.proxy.port}"))


@pytest.fixture
def proxied(cluster: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[ProxiedOperator]:
    with FaultProxy(cluster.port) as proxy, ProxiedOperator(cluster, namespace, tmp_path, proxy) as running:
        running.create_secret()
        yield running


def first_of_watch(plane: ControlPlane, namespace: str, since: str) -> dict[str, Any]:
    """What the API server answers to a watch from that version on, once it has got over its start (429)."""
    path = f"/apis/archivmail.io/v1alpha1/namespaces/{namespace}/imapaccounts"
    query = f"{path}?watch=1&resourceVersion={since}&timeoutSeconds=10"
    found: list[bytes] = []

    def is_answered() -> bool:
        try:
            found.append(plane.api.raw("GET", query))
        except ApiError as error:
            if error.code != TOO_EARLY:
                raise
        return bool(found)

    wait_until(is_answered, 20, "the API server watches")
    event: dict[str, Any] = json.loads(found[0].splitlines()[0])
    return event


def test_a_watch_that_is_cut_misses_nothing(proxied: ProxiedOperator) -> None:
    """S1, S4: what came, changed and went while nobody was connected."""
    for name in ("changed", "gone"):
        proxied.create_account(name)
        proxied.wait_for(name, is_ready)

    proxied.proxy.mode = "refuse"
    proxied.proxy.cut()
    proxied.create_account("new")
    proxied.patch("changed", host="imap.example.net")
    proxied.plane.kubectl("delete", "imapaccount", "gone", "-n", proxied.namespace, "--wait=false")
    wait_until(lambda: proxied.proxy.faults > 0, 20, "the operator has tried in vain")
    proxied.proxy.mode = "pass"

    proxied.wait_for("new", is_ready)
    proxied.wait_for("changed", lambda status: status.get("observedGeneration") == 2)
    proxied.plane.api.wait_for(proxied.path("gone"), lambda body: not body)
    assert 1 == len(proxied.journal("gone", "began"))
    assert 1 == len(proxied.journal("new", "began"))


def test_a_watch_that_has_expired_is_begun_anew(proxied: ProxiedOperator) -> None:
    """S1: the API server knows the version no more (410 Gone): everything is listed again."""
    proxied.create_account("changed")
    proxied.create_account("gone")
    proxied.wait_for("gone", is_ready)
    since = proxied.plane.api.get(proxied.path("").rstrip("/"))["metadata"]["resourceVersion"]
    proxied.wait_for("changed", is_ready)

    proxied.proxy.mode = "refuse"
    proxied.proxy.cut()
    proxied.create_account("new")
    proxied.patch("changed", host="imap.example.net")
    proxied.plane.kubectl("delete", "imapaccount", "gone", "-n", proxied.namespace, "--wait=false")
    proxied.plane.restart()  # it keeps versions in memory, and has none from before
    expired = first_of_watch(proxied.plane, proxied.namespace, since)
    proxied.proxy.mode = "pass"

    assert ("ERROR", GONE) == (expired["type"], expired["object"]["code"])
    proxied.wait_for("new", is_ready)
    proxied.wait_for("changed", lambda status: status.get("observedGeneration") == 2)
    proxied.plane.api.wait_for(proxied.path("gone"), lambda body: not body)
    assert proxied.process is not None
    assert proxied.process.is_running


def test_an_api_server_that_falls_silent_in_mid_run_delays_the_result(proxied: ProxiedOperator) -> None:
    """S7: connections stay open and nothing answers; the run goes on, the result comes when the server does."""
    proxied.fate("alice", "block")
    proxied.create_account("alice")
    proxied.wait_for_runs("alice", 1)

    proxied.plane.pause()
    try:
        proxied.fate("alice", "succeed")
        proxied.wait_for_runs("alice", 1, "ended")
        wait_until(lambda: saved(proxied, "alice").get("lastResult") == "Succeeded", 20, "the catalog has the result")
        assert 200 == proxied.probe("/healthz")[0]
    finally:
        proxied.plane.resume()

    proxied.wait_for("alice", is_ready, timeout_s=60)
    assert 1 == len(proxied.journal("alice", "began"))


def saved(operator: Operator, name: str) -> dict[str, object]:
    """The status as the catalog was given it."""
    path = operator.folder / f"status-{operator.namespace}.{name}.json"
    try:
        found: dict[str, object] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def test_a_result_is_written_although_others_write_in_mid_run(accounts: Operator) -> None:
    """S7: the API server refuses what was made from an older object (409); nobody's fields are lost."""
    conflicts = 'archivmail_kube_requests_total{code="409",resource="imapaccounts/status",verb="patch"}'
    before = accounts.scrape().get(conflicts, 0)
    accounts.fate("alice", "block")
    accounts.create_account("alice")
    accounts.wait_for_runs("alice", 1)

    accounts.plane.api.merge_patch(accounts.path("alice"), {"metadata": {"labels": {"team": "a"}}})
    accounts.fate("alice", "succeed")
    accounts.wait_for("alice", is_ready)

    assert accounts.scrape()[conflicts] > before
    assert {"team": "a"} == accounts.get("alice")["metadata"]["labels"]
    assert 1 == len(accounts.journal("alice", "began"))


def test_an_event_of_many_wide_characters_arrives(accounts: Operator) -> None:
    """S21: the API server takes 1,024 bytes, and a character may be three or four."""
    text = "件名フォルダー𠮷野家" * 150
    accounts.fate("alice", f"refuse {text}")
    accounts.create_account("alice")

    accounts.wait_for_event("alice", "AuthenticationFailed")

    (told,) = (each["message"] for each in accounts.events("alice") if each["reason"] == "AuthenticationFailed")
    assert len(told) < len(told.encode()) <= MAX_MESSAGE_BYTES
    assert "件名フォルダー" in told
    status = accounts.wait_for("alice", lambda seen: seen.get("lastResult") == "Failed")
    assert "件名" in condition(status, "Ready")["message"]
