"""What the operator never connects an account to, as it is told by whoever knows."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from archivmail.kube.api import ApiForbidden, ApiUnavailable, Document
from archivmail.kube.client import KubeClient
from archivmail.kube.clusteraddresses import ClusterAddresses
from archivmail.kube.connection import load_configuration
from tests.kube.runtime.operating import SERVICE_ACCOUNT, grant
from tests.servers.controlplane import ControlPlane


class Told:
    """An API server that gives these documents, by resource."""

    def __init__(self, **documents: Any) -> None:
        self.documents = documents
        self.asked: list[str] = []

    async def read(self, verb: str, resource: str, path: str) -> Document:
        self.asked.append(resource)
        found = self.documents.get(resource, ApiForbidden("no", 403))
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]


def found(client: Any, server: str = "https://192.0.2.1:6443", **environment: str) -> frozenset[str]:
    return asyncio.run(ClusterAddresses(client, server, environment).find())


@pytest.mark.servers
def test_the_api_server_tells_its_address_to_every_service_account(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discovery needs no more than the chart's role; EndpointSlices, which that role may not list, are no fault."""
    grant(control_plane, namespace)
    kubeconfig = control_plane.service_account_kubeconfig(namespace, SERVICE_ACCOUNT, tmp_path / "kubeconfig")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))

    async def ask() -> frozenset[str]:
        client = KubeClient(await load_configuration(), lambda *_: None)
        try:
            return await ClusterAddresses(client, "https://192.0.2.1:6443", {}).find()
        finally:
            await client.close()

    assert {"127.0.0.1", "192.0.2.1"} == asyncio.run(ask())


def test_every_source_counts() -> None:
    """The client's own URL, the environment, discovery, EndpointSlices."""
    discovery = {"serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "192.0.2.2:6443"}]}
    slices = {"items": [{"endpoints": [{"addresses": ["192.0.2.3"]}, {"addresses": ["2001:db8::3"]}]}]}
    client = Told(api=discovery, endpointslices=slices)

    told = found(client, KUBERNETES_SERVICE_HOST="192.0.2.4", HOSTNAME="localhost")

    assert {"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::3", "192.0.2.4", "127.0.0.1"} <= told


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(ApiUnavailable("gone"), id="no-answer"),
        pytest.param({}, id="empty"),
        pytest.param({"items": "x", "serverAddressByClientCIDRs": {"a": 1}}, id="other-types"),
        pytest.param({"items": [1, {"endpoints": [None, {"addresses": None}]}]}, id="other-types-within"),
        pytest.param({"serverAddressByClientCIDRs": [{}, {"serverAddress": ":6443"}]}, id="no-host"),
    ],
)
def test_an_odd_answer_is_no_reason_not_to_start(document: Any) -> None:
    """What else is known still counts."""
    assert {"192.0.2.1"} == found(Told(api=document, endpointslices=document)) - {"0.0.0.0"}  # noqa: S104


def test_a_host_without_an_address_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The DNS of a cluster that is just starting."""

    def fail(*_: object, **__: object) -> Any:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert {"192.0.2.1", "192.0.2.4"} == found(Told(), KUBERNETES_SERVICE_HOST="192.0.2.4", HOSTNAME="archivmail-0")


def test_what_the_role_forbids_is_asked_for_once() -> None:
    """Or the audit log of the cluster would have a refusal every few minutes."""
    client = Told(api={"serverAddressByClientCIDRs": []})
    addresses = ClusterAddresses(client, "https://192.0.2.1:6443", {})

    async def twice() -> None:
        await addresses.find()
        await addresses.find()

    asyncio.run(twice())
    assert ["api", "endpointslices", "api"] == client.asked


def test_an_outage_opens_no_door() -> None:
    """What a source told before stays refused while it does not answer, and goes when it tells otherwise."""
    slices = {"items": [{"endpoints": [{"addresses": ["192.0.2.3"]}]}]}
    client = Told(api={}, endpointslices=slices)
    addresses = ClusterAddresses(client, "https://192.0.2.1:6443", {})

    async def story() -> list[frozenset[str]]:
        seen = [await addresses.find()]
        client.documents["endpointslices"] = ApiUnavailable("gone")
        seen += [await addresses.find(), await addresses.find()]
        client.documents["endpointslices"] = {"items": []}
        return [*seen, await addresses.find()]

    both, own = frozenset({"192.0.2.1", "192.0.2.3"}), frozenset({"192.0.2.1"})
    assert [both, both, both, own] == asyncio.run(story())
