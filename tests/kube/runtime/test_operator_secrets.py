"""Secrets that are missing, refused or changed, on a real API server."""

from __future__ import annotations

import time

import pytest

from tests.kube.runtime.operating import Operator, condition, is_ready

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
