"""Secrets that are missing, refused or changed, on a real API server."""

from __future__ import annotations

import time

import pytest

from tests.kube.runtime.operating import Operator, condition, is_ready

pytestmark = pytest.mark.servers


def test_an_account_notices_that_its_missing_secret_has_come(operator: Operator) -> None:
    """S8: within 15 s, whatever the interval is."""
    operator.create_account("bob", auth={"secretRef": {"name": "bob"}})
    status = operator.wait_for("bob", lambda status: condition(status, "Ready").get("reason") == "SecretNotFound")
    assert not condition(status, "Stalled")

    operator.create_secret("bob")
    created = time.monotonic()
    operator.wait_for("bob", is_ready)

    assert time.monotonic() - created < 15


def test_refused_credentials_are_tried_once_for_each_version_of_the_secret(operator: Operator) -> None:
    """S5, S8: no hammering; a changed Secret is noticed within 15 s."""
    operator.fate("alice", "refuse")
    operator.create_account("alice")
    status = operator.wait_for("alice", lambda status: bool(condition(status, "Stalled")))
    assert "AuthenticationFailed" == condition(status, "Stalled")["reason"]

    operator.fate("alice", "succeed")
    operator.change_secret("alice", "battery staple")
    changed = time.monotonic()
    operator.wait_for("alice", is_ready)

    assert time.monotonic() - changed < 15
    assert ["correct horse", "battery staple"] == [run["password"] for run in operator.journal("alice", "began")]
    assert "correct horse" not in operator.log.read_text()


def test_each_run_reads_the_secret_afresh(operator: Operator) -> None:
    """S8: rotation without a restart."""
    operator.create_account("alice")
    operator.wait_for("alice", is_ready)

    operator.change_secret("alice", "rotated")
    operator.request("alice", "1")
    operator.wait_for("alice", lambda status: status.get("lastHandledReconcileAt") == "1")

    assert ["correct horse", "rotated"] == [run["password"] for run in operator.journal("alice", "began")]
