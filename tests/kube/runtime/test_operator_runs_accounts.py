"""The operator process against a real API server: when accounts run, and what their status says."""

from __future__ import annotations

import pytest

from tests.kube.runtime.operating import Operator, condition, is_ready

pytestmark = pytest.mark.servers


def test_a_new_account_runs_at_once_and_becomes_ready(operator: Operator) -> None:
    """S1, S7: apply, run, result in status; two status writes for it, and no annotation."""
    operator.create_account("alice")

    status = operator.wait_for("alice", is_ready)

    assert 1 == len(operator.journal("alice", "began"))
    assert "Succeeded" == status["lastResult"]
    assert {"server": 3, "archived": 3, "pending": 0, "quarantined": 0, "addedLastRun": 3} == status["messages"]
    assert "True" == condition(status, "Complete")["status"]
    assert 1 == status["observedGeneration"]
    metadata = operator.get("alice")["metadata"]
    assert ["archivmail.io/finalizer"] == metadata["finalizers"]
    assert "annotations" not in metadata
    patches = 'archivmail_kube_requests_total{code="200",resource="imapaccounts/status",verb="patch"}'
    assert 2 == operator.scrape()[patches]


def test_a_request_runs_the_account_and_is_echoed(operator: Operator) -> None:
    """S4: any new value of the annotation acts at once."""
    operator.create_account("alice")
    operator.wait_for("alice", is_ready)

    operator.request("alice", "please")
    operator.wait_for("alice", lambda status: status.get("lastHandledReconcileAt") == "please")

    assert [False, True] == [run["forced"] for run in operator.journal("alice", "began")]


def test_a_request_during_a_run_is_not_lost(operator: Operator) -> None:
    """S4: the run that goes on does not answer it, the next one does."""
    operator.fate("alice", "block")
    operator.create_account("alice")
    operator.wait_for_runs("alice", 1)

    operator.request("alice", "again")
    operator.fate("alice", "succeed")
    operator.wait_for("alice", lambda status: status.get("lastHandledReconcileAt") == "again")

    assert [False, True] == [run["forced"] for run in operator.journal("alice", "began")]


def test_suspension_aborts_the_run_and_resuming_runs_again(operator: Operator) -> None:
    """S3, S6: seconds, not minutes; nothing stays in the state of running."""
    operator.fate("alice", "block")
    operator.create_account("alice")
    operator.wait_for_runs("alice", 1)

    operator.patch("alice", suspend=True)
    status = operator.wait_for("alice", lambda status: status.get("lastResult") == "Interrupted", timeout_s=10)
    operator.request("alice", "not now")
    operator.fate("alice", "succeed")
    operator.patch("alice", suspend=False)
    operator.wait_for("alice", is_ready)

    assert "lastHandledReconcileAt" not in status
    assert 2 == len(operator.journal("alice", "began"))
    operator.wait_for_event("alice", "Suspended")
    operator.wait_for_event("alice", "Resumed")


def test_a_changed_spec_acts_at_once(operator: Operator) -> None:
    """S1: also in mid-run, for a run with the old spec is of no use."""
    operator.fate("alice", "block")
    operator.create_account("alice")
    operator.wait_for_runs("alice", 1)

    operator.patch("alice", host="imap.example.net")
    operator.wait_for_runs("alice", 2)
    operator.fate("alice", "succeed")
    status = operator.wait_for("alice", is_ready)

    assert 2 == status["observedGeneration"]


def test_interval_zero_never_runs_by_itself(operator: Operator) -> None:
    """S1: manual only; the status says that the spec was seen."""
    operator.create_account("alice", interval="0s")
    status = operator.wait_for("alice", lambda status: status.get("observedGeneration") == 1)

    assert [] == operator.journal("alice")
    assert "nextSyncTime" not in status

    operator.request("alice", "now")
    status = operator.wait_for("alice", is_ready)

    assert 1 == len(operator.journal("alice", "began"))
    assert "nextSyncTime" not in status


def test_a_bug_in_a_run_is_a_failed_run(operator: Operator) -> None:
    """S6: no running state sticks; the run is tried again."""
    operator.fate("alice", "crash")
    operator.create_account("alice")
    operator.wait_for("alice", lambda status: status.get("lastResult") == "Failed")

    operator.fate("alice", "succeed")
    status = operator.wait_for("alice", is_ready)

    assert 0 == status["consecutiveFailures"]


def test_status_removed_by_hand_comes_back(operator: Operator) -> None:
    """Losing `.status` costs a look, not the account."""
    operator.create_account("alice")
    operator.wait_for("alice", is_ready)

    operator.plane.api.request("PUT", operator.path("alice") + "/status", operator.get("alice") | {"status": {}})
    operator.wait_for_runs("alice", 2)

    assert is_ready(operator.wait_for("alice", is_ready))


def test_events_tell_transitions_only(operator: Operator) -> None:
    """S21: the first success is news, the second is not."""
    operator.create_account("alice")
    operator.wait_for("alice", is_ready)
    operator.request("alice", "1")
    operator.wait_for("alice", lambda status: status.get("lastHandledReconcileAt") == "1")
    operator.patch("alice", suspend=True)  # its Event comes after all others
    operator.wait_for_event("alice", "Suspended")

    told = {each["reason"]: each for each in operator.events("alice")}

    assert {"Succeeded", "FullyArchived", "Suspended"} == set(told)
    assert 3 == len(operator.events("alice"))
    assert "Normal" == told["Succeeded"]["type"]
    assert "archivmail" == told["Succeeded"]["reportingComponent"]
    assert operator.get("alice")["metadata"]["uid"] == told["Succeeded"]["involvedObject"]["uid"]
