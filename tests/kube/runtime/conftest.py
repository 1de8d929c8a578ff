"""A cluster that knows the CRD, and an operator in a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archivmail.kube.crd import render
from tests.kube.runtime.operating import Operator
from tests.servers.controlplane import ControlPlane

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/imapaccounts.archivmail.io"


@pytest.fixture(scope="session")
def cluster(control_plane: ControlPlane) -> ControlPlane:
    """The control plane with our CRD established."""
    control_plane.apply(render())
    control_plane.api.wait_for(CRD, _is_established)
    return control_plane


@pytest.fixture
def operator(cluster: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    """An operator that runs, and a Secret `alice`."""
    with Operator(cluster, namespace, tmp_path) as running:
        running.create_secret()
        yield running


def _is_established(definition: dict[str, object]) -> bool:
    status = definition.get("status")
    conditions = (status.get("conditions") or []) if isinstance(status, dict) else []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
