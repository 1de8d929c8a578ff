"""Fixtures of the end-to-end tests: the CRD on the API server, an operator, an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.operating import CRD, Account, Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.controlplane import ControlPlane
    from tests.servers.fixtures import Mailbox


@pytest.fixture(scope="session")
def cluster(control_plane: ControlPlane) -> ControlPlane:
    """The API server with our CRD."""
    control_plane.apply(CRD.read_text())
    control_plane.kubectl("wait", "--for=condition=Established", "crd/imapaccounts.archivmail.io", "--timeout=30s")
    return control_plane


@pytest.fixture
def account(cluster: ControlPlane, namespace: str, mailbox: Mailbox) -> Account:
    """Not applied yet."""
    return Account(cluster, namespace, mailbox)


@pytest.fixture
def start_operator(cluster: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Start operators over the test's namespace and archive; all are ended with the test."""
    running: list[Operator] = []
    kubeconfig = cluster.kubeconfig(tmp_path / "kubeconfig")

    def start(**settings: str) -> Operator:
        log = tmp_path / f"operator-{len(running)}.log"
        operator = Operator(kubeconfig, tmp_path / "archive", namespace=namespace, log=log, **settings)
        running.append(operator)
        operator.start()
        return operator

    yield start
    for operator in running:
        operator.__exit__(None, None, None)


@pytest.fixture
def operator(start_operator: Callable[..., Operator]) -> Operator:
    return start_operator()
