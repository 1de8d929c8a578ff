"""Two operators that share the accounts, on a real API server: each leaves the other's objects alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archivmail.decide.sharding import owner
from archivmail.kube.handlers import FINALIZER
from archivmail.model.account import AccountRef
from tests.kube.runtime.operating import SERVICE_ACCOUNT, Operator, allow_leases, is_ready
from tests.servers.api import ApiError
from tests.servers.controlplane import ControlPlane

pytestmark = pytest.mark.servers

LEASE_S = 5


@pytest.fixture
def replicas(cluster: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[list[Operator]]:
    both = [
        Operator(
            cluster,
            namespace,
            tmp_path / str(shard),
            shard=shard,
            shards=2,
            lease_namespace=namespace,
            lease_seconds=LEASE_S,
        )
        for shard in range(2)
    ]
    both[0].prepare()
    both[0].create_secret()
    both[1].kubeconfig = both[0].kubeconfig
    allow_leases(cluster, namespace)
    for each in both:
        each.start()
    for each in both:
        each.wait_ready()
    yield both
    for each in both:
        each.close()


def names_of(shard: int, namespace: str) -> list[str]:
    names = [f"account-{number}" for number in range(40)]
    return [each for each in names if owner(AccountRef(namespace, each), 2) == shard]


def is_there(replica: Operator, name: str) -> bool:
    try:
        replica.get(name)
    except ApiError as error:
        return error.code != 404
    return True


def patches_of(replica: Operator, name: str) -> list[dict[str, Any]]:
    """Changes of the object that are none of its status."""
    made = replica.plane.requests_of(replica.namespace, SERVICE_ACCOUNT)
    wanted = {"resource": "imapaccounts", "name": name}
    return [
        each
        for each in made
        if each["verb"] == "patch"
        and wanted.items() <= each["objectRef"].items()
        and "subresource" not in each["objectRef"]
    ]


def test_each_replica_serves_its_own_accounts(replicas: list[Operator]) -> None:
    """Every account runs once, where it belongs, and one replica puts the finalizer on it, in one request."""
    first, _ = replicas
    names = [name for shard in range(2) for name in names_of(shard, first.namespace)[:2]]
    for name in names:
        first.create_account(name)
    for name in names:
        first.wait_for(name, is_ready)

    for shard, replica in enumerate(replicas):
        assert names_of(shard, first.namespace)[:2] == sorted(
            {line["name"] for line in replica.journal()}, key=names.index
        )
        assert 1 == replica.scrape()[f'archivmail_lease_held{{shard="{shard}"}}']
        listed = [series for series in replica.scrape() if series.startswith("archivmail_account_ready{")]
        assert 2 == len(listed)
    for name in names:
        assert [FINALIZER] == first.get(name)["metadata"]["finalizers"]
        assert 1 == len(patches_of(first, name))


def test_an_account_is_released_by_the_replica_that_serves_it(replicas: list[Operator]) -> None:
    """While that one is away the object waits for it: the other one takes no finalizer off (#664), whatever it sees."""
    first, second = replicas
    (mine, *_), (theirs, later, *_) = (names_of(shard, first.namespace) for shard in range(2))
    for name in (mine, theirs):
        first.create_account(name)
    for name in (mine, theirs):
        first.wait_for(name, is_ready)
    assert first.process is not None
    first.process.stop(grace_s=15)

    second.plane.kubectl("delete", "imapaccount", mine, "-n", second.namespace, "--wait=false")
    second.create_account(later)
    second.wait_for(later, is_ready)  # so it has seen the deletion, too
    second.plane.kubectl("delete", "imapaccount", theirs, "-n", second.namespace, "--timeout=10s")
    assert is_there(second, mine)

    first.start()
    first.wait_ready()
    second.plane.kubectl("wait", "--for=delete", f"imapaccount/{mine}", "-n", second.namespace, "--timeout=15s")
    assert not is_there(second, theirs)
