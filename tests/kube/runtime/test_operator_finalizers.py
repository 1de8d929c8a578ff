"""The finalizer always goes, and what takes it off by other means does no harm (S2), on a real API server."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from archivmail.kube.crd import render
from archivmail.kube.handlers import FINALIZER
from tests.kube.runtime.operating import Operator, account, condition, is_ready, wait_until
from tests.servers.api import ApiError

pytestmark = pytest.mark.servers

PAGE = Path(__file__).resolve().parents[3] / "docs" / "outages.md"


def delete(operator: Operator, name: str) -> None:
    """`kubectl delete` as users call it: it returns when the object is gone."""
    operator.plane.kubectl("delete", "imapaccount", name, "-n", operator.namespace, "--timeout=20s")


def wait_for_finalizer(operator: Operator, name: str) -> None:
    operator.plane.api.wait_for(
        operator.path(name), lambda body: FINALIZER in body.get("metadata", {}).get("finalizers", [])
    )


def test_a_suspended_account_can_be_deleted(accounts: Operator) -> None:
    """S3, T16: the finalizer stays while an account is suspended, and goes with it."""
    accounts.create_account("alice", suspend=True)
    wait_for_finalizer(accounts, "alice")

    delete(accounts, "alice")


def test_an_account_without_its_secret_can_be_deleted(accounts: Operator) -> None:
    """S8: while it looks for its Secret."""
    accounts.create_account("alice", auth={"secretRef": {"name": "nowhere"}})
    accounts.wait_for("alice", lambda status: condition(status, "Ready").get("reason") == "SecretNotFound")

    delete(accounts, "alice")


@contextmanager
def crd_without_rules(operator: Operator) -> Iterator[None]:
    """As a CRD of another version may be."""
    strict = yaml.safe_load(render())
    loose = copy.deepcopy(strict)
    schema = loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    schema.pop("x-kubernetes-validations", None)
    schema["properties"]["interval"] = {"type": "string"}
    operator.plane.apply(json.dumps(loose))
    try:
        wait_until(lambda: takes_anything(operator), 20, "the loose CRD holds")
        yield
    finally:
        operator.plane.apply(json.dumps(strict))
        wait_until(lambda: not takes_anything(operator), 20, "the strict CRD holds again")


def takes_anything(operator: Operator) -> bool:
    probe = account("probe", interval="often")
    try:
        operator.plane.api.request("POST", operator.path("").rstrip("/") + "?dryRun=All", probe)
    except ApiError:
        return False
    return True


def test_an_account_with_an_invalid_spec_can_be_deleted(accounts: Operator) -> None:
    """S18: from before the CRD had its rules; the finalizer goes although the object would be refused today."""
    with crd_without_rules(accounts):
        accounts.create_account("alice", interval="often")
        accounts.wait_for("alice", lambda status: condition(status, "Stalled").get("reason") == "SpecInvalid")
        wait_for_finalizer(accounts, "alice")

    delete(accounts, "alice")


def test_replacing_an_account_ends_its_run_and_begins_the_next(accounts: Operator) -> None:
    """S2: `kubectl replace` takes the finalizer off, for the manifest has none; it comes back, no run is doubled."""
    accounts.fate("alice", "block")
    accounts.create_account("alice")
    accounts.wait_for_runs("alice", 1)
    wait_for_finalizer(accounts, "alice")

    manifest = json.dumps(account("alice", host="imap.example.net"))
    accounts.plane.kubectl("replace", "-n", accounts.namespace, "-f", "-", stdin=manifest)
    accounts.wait_for_runs("alice", 2)
    accounts.fate("alice", "succeed")
    status = accounts.wait_for("alice", is_ready)
    wait_for_finalizer(accounts, "alice")

    assert ["began", "ended", "began", "ended"] == [line["event"] for line in accounts.journal("alice")]
    assert 2 == status["observedGeneration"]
    delete(accounts, "alice")


def test_an_operator_that_comes_back_releases_what_was_deleted_meanwhile(operator: Operator) -> None:
    """S2: while it is away the object stays, for the finalizer holds it."""
    operator.create_account("alice")
    operator.wait_for("alice", is_ready)
    assert operator.process is not None
    operator.process.stop(grace_s=15)
    operator.plane.kubectl("delete", "imapaccount", "alice", "-n", operator.namespace, "--wait=false")
    assert "deletionTimestamp" in operator.get("alice")["metadata"]

    operator.start()
    operator.plane.api.wait_for(operator.path("alice"), lambda body: not body)

    assert 1 == len(operator.journal("alice", "began"))


def test_the_documented_command_releases_an_object_without_an_operator(operator: Operator) -> None:
    """The page for an operator that does not come back says what to type, and it works."""
    operator.create_account("alice")
    operator.wait_for("alice", is_ready)
    assert operator.process is not None
    operator.process.stop(grace_s=15)
    operator.plane.kubectl("delete", "imapaccount", "alice", "-n", operator.namespace, "--wait=false")
    documented = re.search(
        r"^kubectl patch imapaccount alice -n team-a --type merge -p '(.*)'$", PAGE.read_text(), re.MULTILINE
    )
    assert documented

    operator.plane.kubectl(
        "patch", "imapaccount", "alice", "-n", operator.namespace, "--type", "merge", "-p", documented[1]
    )

    operator.plane.api.wait_for(operator.path("alice"), lambda body: not body)


def test_an_object_that_goes_in_mid_run_without_notice_leaves_no_run_behind(accounts: Operator) -> None:
    """T3, T13: DELETED without a deletionTimestamp, because the object had no finalizer when it was deleted."""
    accounts.fate("alice", "block")
    accounts.create_account("alice")
    accounts.wait_for_runs("alice", 1)
    wait_for_finalizer(accounts, "alice")
    # In one go, before kopf puts the finalizer back.
    accounts.plane.api.merge_patch(accounts.path("alice"), {"metadata": {"finalizers": None}})
    accounts.plane.api.request("DELETE", accounts.path("alice"))

    accounts.wait_for_runs("alice", 1, "ended")
    wait_until(lambda: not [each for each in accounts.scrape() if accounts.namespace in each], 20, "no series")

    assert [True] == [line["stopped"] for line in accounts.journal("alice", "ended")]
    assert 1 == len(accounts.journal("alice", "began"))
