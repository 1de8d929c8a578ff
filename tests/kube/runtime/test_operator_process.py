"""Start, stop, restart and outages of the operator process, on a real API server."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from archivmail.kube.crd import render
from tests.kube.runtime.operating import Operator, is_ready, wait_until
from tests.servers.api import ApiError
from tests.servers.controlplane import ControlPlane

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_operator_and_its_runs(operator: Operator, number: signal.Signals) -> None:
    """S3: within 10 s, exit code 0, the interruption in the status."""
    operator.fate("alice", "block")
    operator.create_account("alice")
    operator.wait_for_runs("alice", 1)
    assert operator.process is not None

    began = time.monotonic()
    operator.process.signal(number)
    code = operator.process.wait(15)

    assert time.monotonic() - began < 10
    assert 0 == code
    assert "Interrupted" == operator.get("alice")["status"]["lastResult"]
    assert "never retrieved" not in operator.log.read_text()
    assert "never awaited" not in operator.log.read_text()


def test_a_signal_ends_the_operator_although_a_run_hangs(operator: Operator) -> None:
    """S3: a thread that does not hear is left alone."""
    operator.fate("alice", "hang")
    operator.create_account("alice")
    operator.wait_for_runs("alice", 1)
    assert operator.process is not None

    began = time.monotonic()
    operator.process.signal(signal.SIGTERM)
    code = operator.process.wait(15)

    assert time.monotonic() - began < 10
    assert 0 == code
    assert "Interrupted" == operator.get("alice")["status"]["lastResult"]


def test_a_signal_ends_the_operator_although_the_api_server_hangs(operator: Operator) -> None:
    """S3: what cannot be written to the cluster in time stands in the catalog."""
    operator.fate("alice", "block")
    operator.create_account("alice")
    operator.wait_for_runs("alice", 1)
    assert operator.process is not None

    operator.plane.pause()
    try:
        began = time.monotonic()
        operator.process.signal(signal.SIGTERM)
        code = operator.process.wait(15)
        took_s = time.monotonic() - began
    finally:
        operator.plane.resume()

    assert took_s < 10
    assert 0 == code
    assert "Interrupted" in (operator.folder / f"status-{operator.namespace}.alice.json").read_text()


def test_a_restart_runs_only_what_is_due(operator: Operator) -> None:
    """S1: nextSyncTime does not move, and the metrics are those of the status."""
    operator.create_account("alice")
    operator.create_account("manual", interval="0s")
    before = operator.wait_for("alice", is_ready)
    operator.wait_for("manual", lambda status: status.get("observedGeneration") == 1)
    assert operator.process is not None
    operator.process.stop(grace_s=15)
    operator.create_account("new")

    operator.start()
    operator.wait_ready()
    operator.wait_for("new", is_ready)

    assert before == operator.get("alice")["status"]
    assert 1 == len(operator.journal("alice", "began"))
    assert 0 == len(operator.journal("manual", "began"))
    ready = f'archivmail_account_ready{{name="alice",namespace="{operator.namespace}"}}'
    assert 1 == operator.scrape()[ready]


def test_a_crash_in_mid_run_runs_the_account_again(operator: Operator) -> None:
    """S2, S6: the running state is not stored, so that none can stick."""
    operator.fate("alice", "block")
    operator.create_account("alice")
    operator.wait_for_runs("alice", 1)
    assert operator.process is not None
    operator.process.kill()
    operator.fate("alice", "succeed")

    operator.start()
    operator.wait_ready()

    assert "Succeeded" == operator.wait_for("alice", is_ready)["lastResult"]


def status_in_outage(operator: Operator, name: str) -> dict[str, Any]:
    """The status; {} from an API server that is not yet itself again."""
    try:
        return operator.get(name).get("status") or {}
    except ApiError:
        return {}


def test_a_result_outlives_an_outage_of_the_api_server(operator: Operator) -> None:
    """S7: the run goes on while the API server is away, and its result is written when it is back."""
    operator.fate("alice", "block")
    operator.create_account("alice")
    operator.wait_for_runs("alice", 1)

    operator.plane.stop()
    operator.fate("alice", "succeed")
    operator.wait_for_runs("alice", 1, "ended")
    operator.plane.start()
    wait_until(lambda: is_ready(status_in_outage(operator, "alice")), 60, "the result has been written")
    operator.request("alice", "back again")
    operator.wait_for("alice", lambda status: status.get("lastHandledReconcileAt") == "back again", timeout_s=60)

    assert [False] == [line["stopped"] for line in operator.journal("alice", "ended")][:1]
    assert 2 == len(operator.journal("alice", "began"))


def test_the_operator_waits_for_the_crd_and_says_so(tmp_path: Path) -> None:
    """Ready means listed: without the CRD the probe says what to install."""
    with ControlPlane() as plane:
        namespace = plane.create_namespace()
        running = Operator(plane, namespace, tmp_path, is_clusterwide=True)
        running.prepare()
        running.start()
        wait_until(lambda: "install the CRD" in running.probe("/readyz")[1], 30, "not ready for want of the CRD")
        assert 503 == running.probe("/readyz")[0]
        assert 200 == running.probe("/healthz")[0]

        plane.apply(render())
        running.wait_ready()
        running.create_secret()
        running.create_account("alice")
        running.wait_for("alice", is_ready)
        assert running.process is not None

        assert 0 == running.process.stop(grace_s=15)
        assert "orbidden" not in running.log.read_text()  # a ClusterRole of the same four rules is enough
        running.close()


def test_four_rules_are_rights_enough(operator: Operator) -> None:
    """In a Role: nothing about CRDs, namespaces or peerings is asked for."""
    operator.create_account("alice")
    operator.wait_for("alice", is_ready)

    assert "orbidden" not in operator.log.read_text()


def test_slots_limit_what_runs_at_once(cluster: ControlPlane, namespace: str, tmp_path: Path) -> None:
    """S2: the third account waits until one of two slots is free."""
    with Operator(cluster, namespace, tmp_path, slots=2) as running:
        running.create_secret()
        for name in ("a", "b", "c"):
            running.fate(name, "block")
            running.create_account(name)
            if name != "c":
                running.wait_for_runs(name, 1)
        assert 2 == running.scrape()["archivmail_syncs_in_progress"]
        running.fate("a", "succeed")
        running.wait_for_runs("c", 1)
        running.fate("b", "succeed")
        running.fate("c", "succeed")
        running.wait_for("c", is_ready)

        ended_a = running.journal("a", "ended")[0]["at"]
        assert ended_a <= running.journal("c", "began")[0]["at"]


def test_a_signal_lets_queued_events_be_told(operator: Operator) -> None:
    """Events queued at SIGTERM: what was told in the last moment is posted before the process ends."""
    names = [f"account-{number}" for number in range(12)]
    for name in names:
        operator.create_account(name)
    for name in names:
        operator.wait_for(name, is_ready)
    for name in names:
        operator.patch(name, suspend=True)
    operator.wait_for(names[-1], lambda status: status["observedGeneration"] == 2)
    assert operator.process is not None

    operator.process.signal(signal.SIGTERM)

    assert 0 == operator.process.wait(15)
    assert all("Suspended" in {each["reason"] for each in operator.events(name)} for name in names)
