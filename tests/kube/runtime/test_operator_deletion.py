"""Deletion during a run, and objects that come back under the same name (S2), on a real API server."""

from __future__ import annotations

import json
import time

import pytest

from tests.kube.runtime.operating import Operator, account, is_ready, wait_until

pytestmark = pytest.mark.servers


def delete(accounts: Operator, name: str) -> float:
    """`kubectl delete`, which waits for the end of the object; seconds that it took."""
    began = time.monotonic()
    accounts.plane.kubectl("delete", "imapaccount", name, "-n", accounts.namespace, "--timeout=20s")
    return time.monotonic() - began


def assert_never_two_at_once(accounts: Operator, name: str) -> None:
    going_on = 0
    for line in accounts.journal(name):
        going_on += 1 if line["event"] == "began" else -1
        assert going_on <= 1, accounts.journal(name)


def test_deletion_in_mid_run_ends_the_run_and_returns_soon(accounts: Operator) -> None:
    """S3: the finalizer is released as soon as the run has ended, without any polling."""
    accounts.fate("alice", "block")
    accounts.create_account("alice")
    accounts.wait_for_runs("alice", 1)

    took_s = delete(accounts, "alice")

    assert took_s < 5
    assert [True] == [line["stopped"] for line in accounts.journal("alice", "ended")]
    assert not [series for series in accounts.scrape() if accounts.namespace in series]


def test_deletion_does_not_wait_for_a_run_that_hangs(accounts: Operator) -> None:
    """S2: the object goes within 10 s; the one that comes after it waits until the old run has ended."""
    accounts.fate("alice", "hang")
    accounts.create_account("alice")
    accounts.wait_for_runs("alice", 1)

    took_s = delete(accounts, "alice")
    accounts.create_account("alice")
    accounts.create_account("other")
    accounts.wait_for("other", is_ready)
    runs_meanwhile = len(accounts.journal("alice", "began"))
    accounts.fate("alice", "succeed")
    accounts.wait_for("alice", is_ready)

    assert took_s < 10
    assert 1 == runs_meanwhile
    assert_never_two_at_once(accounts, "alice")


def test_replacing_by_force_never_runs_two_at_once(accounts: Operator) -> None:
    """S2: `kubectl replace --force` deletes and creates in one go."""
    accounts.fate("alice", "block")
    accounts.create_account("alice")
    accounts.wait_for_runs("alice", 1)

    manifest = json.dumps(account("alice", host="imap.example.net"))
    accounts.plane.kubectl(
        "replace", "--force", "--grace-period=0", "-n", accounts.namespace, "-f", "-", stdin=manifest
    )
    accounts.wait_for_runs("alice", 2)
    accounts.fate("alice", "succeed")
    accounts.wait_for("alice", is_ready)

    assert_never_two_at_once(accounts, "alice")


def test_objects_that_go_at_once_leave_nothing_behind(accounts: Operator) -> None:
    """T13: created and deleted before kopf has stored its finalizer, an object sends no deletionTimestamp."""
    for number in range(50):
        name = f"brief-{number}"
        accounts.fate(name, "block")
        accounts.create_account(name)
        accounts.plane.api.request("DELETE", accounts.path(name))
    collection = accounts.path("").rstrip("/")
    wait_until(lambda: not accounts.plane.api.get(collection)["items"], 20, "all objects are gone")
    wait_until(lambda: accounts.scrape()["archivmail_syncs_in_progress"] == 0, 20, "all runs have ended")

    assert len(accounts.journal(event="began")) == len(accounts.journal(event="ended"))
    assert not [series for series in accounts.scrape() if accounts.namespace in series]
