"""Secrets that are missing, refused or changed, on a real API server."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.kube.runtime.operating import Operator, allow_watching_secrets, condition, is_ready, wait_until
from tests.servers.controlplane import ControlPlane

pytestmark = pytest.mark.servers


def test_an_account_notices_that_its_missing_secret_has_come(accounts: Operator) -> None:
    """S8: within 15 s, whatever the interval is."""
    accounts.create_account("bob", auth={"secretRef": {"name": "bob"}})
    status = accounts.wait_for("bob", lambda status: condition(status, "Ready").get("reason") == "SecretNotFound")
    assert not condition(status, "Stalled")

    accounts.create_secret("bob")
    created = time.monotonic()
    accounts.wait_for("bob", is_ready)

    assert time.monotonic() - created < 15


def test_refused_credentials_are_tried_once_for_each_version_of_the_secret(accounts: Operator) -> None:
    """S5, S8: no hammering; a changed Secret is noticed within 15 s."""
    accounts.fate("alice", "refuse")
    accounts.create_account("alice")
    status = accounts.wait_for("alice", lambda status: bool(condition(status, "Stalled")))
    assert "AuthenticationFailed" == condition(status, "Stalled")["reason"]

    accounts.fate("alice", "succeed")
    accounts.change_secret("alice", "battery staple")
    changed = time.monotonic()
    accounts.wait_for("alice", is_ready)

    assert time.monotonic() - changed < 15
    assert ["correct horse", "battery staple"] == [run["password"] for run in accounts.journal("alice", "began")]
    assert "correct horse" not in accounts.log.read_text()


def test_each_run_reads_the_secret_afresh(accounts: Operator) -> None:
    """S8: rotation without a restart."""
    accounts.create_account("alice")
    accounts.wait_for("alice", is_ready)

    accounts.change_secret("alice", "rotated")
    accounts.request("alice", "1")
    accounts.wait_for("alice", lambda status: status.get("lastHandledReconcileAt") == "1")

    assert ["correct horse", "rotated"] == [run["password"] for run in accounts.journal("alice", "began")]


def test_a_watched_secret_runs_its_account_at_once(cluster: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """S8: by its label, whatever the interval; a Secret without the label is read by the next run. S7: until the
    operator may watch, its owner can see in log and metrics that it may not."""
    with Operator(cluster, namespace, tmp_path, watch_secrets=True) as operator:
        allow_watching_secrets(cluster, namespace, "list")
        refused = 'archivmail_kube_requests_total{code="403",resource="secrets",verb="watch"}'
        wait_until(lambda: operator.scrape()[refused] > 1, 30, "two refused watches")
        assert 1 == operator.log.read_text().count('cannot watch resource \\"secrets\\"')
        allow_watching_secrets(cluster, namespace)
        operator.create_secret()
        operator.create_secret("unlabelled")
        path = f"/api/v1/namespaces/{namespace}/secrets/alice"
        cluster.api.merge_patch(path, {"metadata": {"labels": {"archivmail.io/watch": "true"}}})
        operator.create_account("alice")
        operator.create_account("other", auth={"secretRef": {"name": "unlabelled"}})
        operator.wait_for("alice", is_ready)
        operator.wait_for("other", is_ready)

        operator.change_secret("unlabelled", "new")
        operator.change_secret("alice", "new")
        wait_until(lambda: operator.journal("alice", "began")[-1]["password"] == "new", 30, "a run as it is now")

        assert 1 == len(operator.journal("other", "began"))


def test_a_secret_that_changed_while_no_operator_ran_counts_at_its_start(
    cluster: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """S8: the listing of the watch comes after that of the accounts, however late that is allowed."""
    with Operator(cluster, namespace, tmp_path, watch_secrets=True) as operator:
        assert operator.process is not None
        allow_watching_secrets(cluster, namespace)
        operator.create_secret()
        path = f"/api/v1/namespaces/{namespace}/secrets/alice"
        cluster.api.merge_patch(path, {"metadata": {"labels": {"archivmail.io/watch": "true"}}})
        operator.create_account("alice")
        operator.wait_for("alice", is_ready)
        operator.process.stop(grace_s=15)
        operator.change_secret("alice", "new")
        allow_watching_secrets(cluster, namespace, "list", "watch", accounts=False)

        operator.start()
        wait_until(lambda: "accounts could not be listed" in operator.log.read_text(), 30, "a refused listing")
        allow_watching_secrets(cluster, namespace)

        wait_until(lambda: operator.journal("alice", "began")[-1]["password"] == "new", 30, "a run as it is now")
