"""A cluster that knows the CRD, and an operator in a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archivmail.kube.crd import render
from tests.kube.runtime.kopfengine import Engine, Things
from tests.kube.runtime.operating import Operator
from tests.servers.controlplane import ControlPlane

SHARED_NAMESPACES = 30  # one for each test that shares the operator, with some to spare
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/imapaccounts.archivmail.io"


@pytest.fixture(scope="session")
def cluster(control_plane: ControlPlane) -> ControlPlane:
    """The control plane with our CRD established."""
    control_plane.apply(render())
    control_plane.api.wait_for(CRD, _is_established)
    return control_plane


@pytest.fixture(scope="session")
def shared(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Operator, list[str]]]:
    """An operator for the tests that leave the process alone, and the namespaces that it watches."""
    watched = [cluster.create_namespace("shared") for _ in range(SHARED_NAMESPACES)]
    folder = tmp_path_factory.mktemp("operator")
    with Operator(cluster, watched[0], folder, is_clusterwide=True, watched=watched) as running:
        yield running, watched[1:]


@pytest.fixture
def accounts(shared: tuple[Operator, list[str]]) -> Operator:
    """The shared operator as seen from a namespace that no other test has, and a Secret `alice` there."""
    running, namespaces = shared
    view = running.in_namespace(namespaces.pop())
    view.create_secret()
    return view


@pytest.fixture
def operator(cluster: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    """An operator of the test's own, for its namespace alone, and a Secret `alice`."""
    with Operator(cluster, namespace, tmp_path) as running:
        running.create_secret()
        yield running


@pytest.fixture
def things(cluster: ControlPlane, namespace: str) -> Things:
    """ImapAccounts of a namespace that no operator of ours watches."""
    return Things(cluster, namespace)


@pytest.fixture
def engine(cluster: ControlPlane, namespace: str) -> Engine:
    """Kopf for that namespace, not started yet."""
    return Engine(cluster, namespace)


def _is_established(definition: dict[str, object]) -> bool:
    status = definition.get("status")
    conditions = (status.get("conditions") or []) if isinstance(status, dict) else []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
