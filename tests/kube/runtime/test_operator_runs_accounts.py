"""The operator process against a real API server: when accounts run, and what their status says."""

from __future__ import annotations

import pytest

from tests.kube.runtime.operating import Operator, condition, is_ready, wait_until

pytestmark = pytest.mark.servers


def test_a_new_account_runs_at_once_and_becomes_ready(accounts: Operator) -> None:
    """S1, S7: apply, run, result in status; one status write and one Event for it, and no annotation."""
    patches = 'archivmail_kube_requests_total{code="200",resource="imapaccounts/status",verb="patch"}'
    before = accounts.scrape().get(patches, 0)
    accounts.create_account("alice")

    status = accounts.wait_for("alice", is_ready)

    assert 1 == len(accounts.journal("alice", "began"))
    assert "Succeeded" == status["lastResult"]
    assert {"server": 3, "archived": 3, "pending": 0, "quarantined": 0, "addedLastRun": 3} == status["messages"]
    assert "True" == condition(status, "Complete")["status"]
    assert 1 == status["observedGeneration"]
    metadata = accounts.get("alice")["metadata"]
    assert ["archivmail.io/finalizer"] == metadata["finalizers"]
    assert "annotations" not in metadata
    accounts.wait_for_event("alice", "Succeeded")
    # The object can be seen before the operator has the answer that it counts.
    wait_until(lambda: accounts.scrape().get(patches, 0) > before, 10, "the write is counted")
    assert 1 == accounts.scrape()[patches] - before
    assert 1 == len(accounts.events("alice"))


def test_a_request_runs_the_account_and_is_echoed(accounts: Operator) -> None:
    """S4: any new value of the annotation acts at once."""
    accounts.create_account("alice")
    accounts.wait_for("alice", is_ready)

    accounts.request("alice", "please")
    accounts.wait_for("alice", lambda status: status.get("lastHandledReconcileAt") == "please")

    assert [False, True] == [run["forced"] for run in accounts.journal("alice", "began")]


def test_a_request_during_a_run_is_not_lost(accounts: Operator) -> None:
    """S4: the run that goes on does not answer it, the next one does."""
    accounts.fate("alice", "block")
    accounts.create_account("alice")
    accounts.wait_for_runs("alice", 1)

    accounts.request("alice", "again")
    accounts.fate("alice", "succeed")
    accounts.wait_for("alice", lambda status: status.get("lastHandledReconcileAt") == "again")

    assert [False, True] == [run["forced"] for run in accounts.journal("alice", "began")]


def test_suspension_aborts_the_run_and_resuming_runs_again(accounts: Operator) -> None:
    """S3, S6: seconds, not minutes; nothing stays in the state of running."""
    accounts.fate("alice", "block")
    accounts.create_account("alice")
    accounts.wait_for_runs("alice", 1)

    accounts.patch("alice", suspend=True)
    status = accounts.wait_for("alice", lambda status: status.get("lastResult") == "Interrupted", timeout_s=10)
    accounts.request("alice", "not now")
    accounts.fate("alice", "succeed")
    accounts.patch("alice", suspend=False)
    accounts.wait_for("alice", is_ready)

    assert "lastHandledReconcileAt" not in status
    assert 2 == len(accounts.journal("alice", "began"))
    accounts.wait_for_event("alice", "Suspended")
    accounts.wait_for_event("alice", "Resumed")


def test_a_changed_spec_acts_at_once(accounts: Operator) -> None:
    """S1: also in mid-run, for a run with the old spec is of no use."""
    accounts.fate("alice", "block")
    accounts.create_account("alice")
    accounts.wait_for_runs("alice", 1)

    accounts.patch("alice", host="imap.example.net")
    accounts.wait_for_runs("alice", 2)
    accounts.fate("alice", "succeed")
    status = accounts.wait_for("alice", is_ready)

    assert 2 == status["observedGeneration"]


def test_interval_zero_never_runs_by_itself(accounts: Operator) -> None:
    """S1: manual only; the status says that the spec was seen."""
    accounts.create_account("alice", interval="0s")
    status = accounts.wait_for("alice", lambda status: status.get("observedGeneration") == 1)

    assert [] == accounts.journal("alice")
    assert "nextSyncTime" not in status

    accounts.request("alice", "now")
    status = accounts.wait_for("alice", is_ready)

    assert 1 == len(accounts.journal("alice", "began"))
    assert "nextSyncTime" not in status


def test_a_bug_in_a_run_is_a_failed_run(accounts: Operator) -> None:
    """S6: no running state sticks; the run is tried again."""
    accounts.fate("alice", "crash")
    accounts.create_account("alice")
    accounts.wait_for("alice", lambda status: status.get("lastResult") == "Failed")

    accounts.fate("alice", "succeed")
    status = accounts.wait_for("alice", is_ready)

    assert 0 == status["consecutiveFailures"]


def test_status_removed_by_hand_comes_back(accounts: Operator) -> None:
    """Losing `.status` costs a look, not the account."""
    accounts.create_account("alice")
    accounts.wait_for("alice", is_ready)

    accounts.plane.api.request("PUT", accounts.path("alice") + "/status", accounts.get("alice") | {"status": {}})
    accounts.wait_for_runs("alice", 2)

    assert is_ready(accounts.wait_for("alice", is_ready))


def test_events_tell_transitions_only(accounts: Operator) -> None:
    """S21: the first success is news, the second is not."""
    accounts.create_account("alice")
    accounts.wait_for("alice", is_ready)
    accounts.request("alice", "1")
    accounts.wait_for("alice", lambda status: status.get("lastHandledReconcileAt") == "1")
    accounts.patch("alice", suspend=True)  # its Event comes after all others
    accounts.wait_for_event("alice", "Suspended")

    told = {each["reason"]: each for each in accounts.events("alice")}

    assert {"Succeeded", "Suspended"} == set(told)
    assert 2 == len(accounts.events("alice"))
    assert "Normal" == told["Succeeded"]["type"]
    assert "archivmail" == told["Succeeded"]["reportingComponent"]
    assert accounts.get("alice")["metadata"]["uid"] == told["Succeeded"]["involvedObject"]["uid"]
