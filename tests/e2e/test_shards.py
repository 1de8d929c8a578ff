"""Several replicas share the accounts: one is killed, one is paused, their number changes. Nothing lost or doubled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpus.realistic import messages
from tests.e2e.operating import Account
from tests.e2e.sharding import Shards
from tests.servers.controlplane import ControlPlane
from tests.servers.dovecot import Dovecot
from tests.servers.postgresql import PostgreSqlDatabase
from tests.servers.s3 import S3Bucket

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(300)]

TAKEN_OVER_S = 30


@pytest.fixture
def shards(
    cluster: ControlPlane,
    namespace: str,
    tmp_path: Path,
    postgresql_catalog: PostgreSqlDatabase,
    s3_bucket: S3Bucket,
    dovecot: Dovecot,
) -> Iterator[Shards]:
    with Shards(
        cluster, namespace, tmp_path, catalog=postgresql_catalog, bucket=s3_bucket, dovecot=dovecot
    ) as replicas:
        yield replicas


def test_a_replica_that_was_killed_is_replaced_within_30_s(shards: Shards) -> None:
    """SIGKILL: the Lease is left behind, with its default of 15 s. The others go on; its accounts wait that long."""
    shards.add_accounts(*shards.names(3, per_shard=3), messages=list(messages(30, seed=1, small=True)))
    for ordinal in range(3):
        shards.start(ordinal, 3, wait=False, lease_s=15)
    shards.sync_all("first")
    victim = shards.running[1]

    killed_at = time.monotonic()
    victim.kill()
    shards.deliver(b"Subject: while nobody served the shard\r\n\r\n")
    for account in shards.accounts:
        account.request("second")
    successor = shards.start(1, 3, wait=False, lease_s=15)
    shards.wait_for_all("second", timeout_s=TAKEN_OVER_S - (time.monotonic() - killed_at))

    assert successor.is_ready()
    assert 1 == successor.metrics()['archivmail_lease_held{shard="1"}']
    shards.assert_nothing_lost_nothing_twice()
    shards.assert_runs_never_overlapped()


def test_a_replica_that_was_paused_saves_nothing_for_others_accounts(shards: Shards, dovecot: Dovecot) -> None:
    """SIGSTOP in mid-run, for longer than its Lease and until the catalog has given up its sessions. A successor takes
    the run over. Back again it saves nothing and ends, for its run outlived its Lease; the kubelet starts it anew,
    and it stands by until the successor dies."""
    shards.add_accounts(*shards.names(2, per_shard=2), messages=list(messages(20, seed=3, small=True)))
    big = shards.of_shard(0, 2)[0]
    dovecot.bulk_append(big.name, "INBOX", messages(8000, seed=2, small=True))
    shards.start_all(2)
    paused = shards.running[0]
    for account in shards.accounts:
        account.request("first")
    shards.wait_for_packs(big)
    paused.process.pause()
    assert shards.packs_of(big) < 4, "the run was over before it could be paused"
    shards.cut_off(paused)
    successor = shards.start(0, 2)
    shards.wait_for_all("first", timeout_s=90)
    saved = shards.commits()

    paused.process.resume()
    assert 3 == paused.process.wait(30)
    standby = shards.start(0, 2, wait=False)
    standby.process.wait_until(lambda: "is held by archivmail-0_" in standby.why_not_ready())
    shards.deliver(b"Subject: after the pause\r\n\r\n")
    shards.sync_all("second")
    names = {shards.application(each) for each in (paused, successor)}
    assert names == {replica for replica, _ in saved[big.name]}
    late = [replica for replica, _ in shards.commits()[big.name][len(saved[big.name]) :]]
    assert {shards.application(successor)} == set(late)

    successor.kill()
    shards.deliver(b"Subject: taken back\r\n\r\n")
    shards.sync_all("third")
    assert standby.is_ready()
    shards.assert_nothing_lost_nothing_twice()
    shards.assert_runs_never_overlapped()


def test_the_number_of_replicas_changes_under_way(shards: Shards) -> None:
    """3, 5, 2, by rolling updates as a StatefulSet makes them. Meanwhile replicas disagree about who serves whom."""
    shards.add_accounts(*shards.names(3, 5, 2), messages=list(messages(60, seed=4, small=True)))
    shards.start_all(3)
    requested = _ask(shards.accounts, "three")

    shards.start_in_parallel(range(3, 5), 5)
    for ordinal in (2, 1, 0):
        shards.deliver(b"Subject: from 3 to 5, %d\r\n\r\n" % ordinal)
        requested = _ask(shards.accounts, f"three to five, {ordinal}")
        shards.roll(ordinal, 5)
    shards.wait_for_all(requested)

    for ordinal in (4, 3, 2):
        shards.stop(ordinal)
    for ordinal in (1, 0):
        shards.deliver(b"Subject: from 5 to 2, %d\r\n\r\n" % ordinal)
        requested = _ask(shards.accounts, f"five to two, {ordinal}")
        shards.roll(ordinal, 2)
    shards.wait_for_all(requested)

    assert all(each.is_ready() for each in shards.running.values())
    shards.assert_nothing_lost_nothing_twice()
    shards.assert_runs_never_overlapped()


def _ask(accounts: list[Account], value: str) -> str:
    for account in accounts:
        account.request(value)
    return value
