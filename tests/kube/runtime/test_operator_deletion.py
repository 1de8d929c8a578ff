"""Deletion during a run, and objects that come back under the same name (S2), on a real API server."""

from __future__ import annotations

import json
import time

import pytest

from tests.kube.runtime.operating import Operator, account, is_ready, wait_until

pytestmark = pytest.mark.servers


def delete(operator: Operator, name: str) -> float:
    """`kubectl delete`, which waits for the end of the object; seconds that it took."""
    began = time.monotonic()
    operator.plane.kubectl("delete", "imapaccount", name, "-n", operator.namespace, "--timeout=20s")
    return time.monotonic() - began


def assert_never_two_at_once(operator: Operator, name: str) -> None:
    going_on = 0
    for line in operator.journal(name):
        going_on += 1 if line["event"] == "began" else -1
        assert going_on <= 1, operator.journal(name)


def test_deletion_in_mid_run_ends_the_run_and_returns_soon(operator: Operator) -> None:
    """S3: the finalizer is released as soon as the run has ended, without any polling."""
    operator.fate("alice", "block")
    operator.create_account("alice")
    operator.wait_for_runs("alice", 1)

    took_s = delete(operator, "alice")

    assert took_s < 5
    assert [True] == [line["stopped"] for line in operator.journal("alice", "ended")]
    assert not [series for series in operator.scrape() if 'name="alice"' in series]


def test_deletion_does_not_wait_for_a_run_that_hangs(operator: Operator) -> None:
    """S2: the object goes within 10 s; the one that comes after it waits until the old run has ended."""
    operator.fate("alice", "hang")
    operator.create_account("alice")
    operator.wait_for_runs("alice", 1)

    took_s = delete(operator, "alice")
    operator.create_account("alice")
    operator.create_account("other")
    operator.wait_for("other", is_ready)
    runs_meanwhile = len(operator.journal("alice", "began"))
    operator.fate("alice", "succeed")
    operator.wait_for("alice", is_ready)

    assert took_s < 10
    assert 1 == runs_meanwhile
    assert_never_two_at_once(operator, "alice")


def test_replacing_by_force_never_runs_two_at_once(operator: Operator) -> None:
    """S2: `kubectl replace --force` deletes and creates in one go."""
    operator.fate("alice", "block")
    operator.create_account("alice")
    operator.wait_for_runs("alice", 1)

    manifest = json.dumps(account("alice", host="imap.example.net"))
    operator.plane.kubectl(
        "replace", "--force", "--grace-period=0", "-n", operator.namespace, "-f", "-", stdin=manifest
    )
    operator.wait_for_runs("alice", 2)
    operator.fate("alice", "succeed")
    operator.wait_for("alice", is_ready)

    assert_never_two_at_once(operator, "alice")


def test_objects_that_go_at_once_leave_nothing_behind(operator: Operator) -> None:
    """T13: created and deleted before kopf has stored its finalizer, an object sends no deletionTimestamp."""
    for number in range(20):
        name = f"brief-{number}"
        operator.fate(name, "block")
        operator.create_account(name)
        operator.plane.api.request("DELETE", operator.path(name))
    collection = operator.path("").rstrip("/")
    wait_until(lambda: not operator.plane.api.get(collection)["items"], 20, "all objects are gone")
    wait_until(lambda: operator.scrape()["archivmail_syncs_in_progress"] == 0, 20, "all runs have ended")

    assert len(operator.journal(event="began")) == len(operator.journal(event="ended"))
    assert not [series for series in operator.scrape() if 'name="brief' in series]
