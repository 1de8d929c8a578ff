"""What kstatus, kubectl and so Flux make of accounts: the library itself, on objects read back from the API server."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.kube.runtime.operating import Operator, account, condition, is_ready
from tests.servers.binaries import find_program
from tests.servers.controlplane import ControlPlane

pytestmark = pytest.mark.servers


def verdict(found: dict[str, Any]) -> str:
    """InProgress, Failed, Current or Terminating."""
    done = subprocess.run(
        [find_program("kstatus")], input=json.dumps(found), capture_output=True, text=True, check=True
    )
    return str(json.loads(done.stdout)["status"])


def test_an_account_that_nobody_has_seen_is_in_progress(unattended: Operator) -> None:
    """Table row 1: `observedGeneration: -1` by the schema's default; without it kstatus would say Current."""
    unattended.create_account("alice")

    assert verdict(unattended.get("alice")) == "InProgress"


def test_an_account_that_runs_for_the_first_time_is_in_progress_and_then_current(accounts: Operator) -> None:
    """Table rows 1 and 3, and what `kubectl wait` says meanwhile."""
    accounts.fate("alice", "block")
    accounts.create_account("alice")
    accounts.wait_for("alice", lambda status: condition(status, "Reconciling").get("status") == "True")
    assert verdict(accounts.get("alice")) == "InProgress"
    assert waited(accounts, "Ready", timeout_s=1).returncode != 0

    accounts.fate("alice", "succeed")

    for kind in ("Ready", "Complete"):
        done = waited(accounts, kind, timeout_s=30)
        assert (0, "imapaccount.archivmail.io/alice condition met\n") == (done.returncode, done.stdout)
    assert verdict(accounts.get("alice")) == "Current"


def test_a_requested_run_is_in_progress(accounts: Operator) -> None:
    """Table row 1: Reconciling, while Ready stays True."""
    accounts.create_account("alice")
    accounts.wait_for("alice", is_ready)
    accounts.fate("alice", "block")
    accounts.request("alice", "now")
    status = accounts.wait_for("alice", lambda status: condition(status, "Reconciling").get("status") == "True")
    try:
        assert verdict(accounts.get("alice")) == "InProgress"
        assert is_ready(status)
    finally:
        accounts.fate("alice", "succeed")


def test_refused_credentials_are_failed(accounts: Operator) -> None:
    """Table row 6: a Kustomization with `wait: true` fails at once in place of hanging until its time-out."""
    accounts.fate("alice", "refuse")
    accounts.create_account("alice")
    accounts.wait_for("alice", lambda status: condition(status, "Stalled").get("status") == "True")

    assert verdict(accounts.get("alice")) == "Failed"


def test_a_missing_secret_is_in_progress(accounts: Operator) -> None:
    """Table row 7: it may come with the same commit."""
    accounts.create_account("alice", auth={"secretRef": {"name": "not-there"}})
    accounts.wait_for("alice", lambda status: condition(status, "Ready").get("reason") == "SecretNotFound")

    assert verdict(accounts.get("alice")) == "InProgress"


def test_a_suspended_account_is_what_it_was(accounts: Operator) -> None:
    """Table row 10: the generation that suspends it is seen, or a Kustomization would wait for it for ever."""
    accounts.create_account("alice")
    accounts.wait_for("alice", is_ready)
    accounts.patch("alice", suspend=True)
    accounts.wait_for("alice", lambda status: status["observedGeneration"] == 2)

    assert verdict(accounts.get("alice")) == "Current"


def test_a_changed_spec_is_in_progress_before_anybody_has_seen_it(accounts: Operator, unattended: Operator) -> None:
    """Table row 1: by the generation alone; the conditions are still those of the former spec."""
    accounts.create_account("alice")
    status = accounts.wait_for("alice", is_ready)
    unattended.create_account("alice")
    unattended.plane.api.merge_patch(unattended.path("alice") + "/status", {"status": status})
    assert verdict(unattended.get("alice")) == "Current"

    unattended.patch("alice", interval="1h")

    assert verdict(unattended.get("alice")) == "InProgress"


def test_an_account_that_is_being_deleted_is_terminating(unattended: Operator) -> None:
    """While a finalizer holds it."""
    body = account("alice")
    body["metadata"]["finalizers"] = ["archivmail.io/finalizer"]
    unattended.plane.api.request("POST", unattended.path("").rstrip("/"), body)
    unattended.plane.api.request("DELETE", unattended.path("alice"))

    assert verdict(unattended.get("alice")) == "Terminating"
    unattended.plane.api.merge_patch(unattended.path("alice"), {"metadata": {"finalizers": None}})


def waited(operator: Operator, kind: str, *, timeout_s: int) -> subprocess.CompletedProcess[str]:
    return operator.plane.kubectl(
        "wait",
        f"--for=condition={kind}",
        "imap/alice",
        "-n",
        operator.namespace,
        f"--timeout={timeout_s}s",
        check=False,
    )


@pytest.fixture
def unattended(shared: tuple[Operator, list[str]], cluster: ControlPlane) -> Operator:
    """A namespace that no operator watches: what an object is by itself."""
    return shared[0].in_namespace(cluster.create_namespace("unattended"))
