"""Manifests of the guides that are no account: the API server takes them, and they do what the page says."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.deploy.chart import CRD as CRD_FILE
from tests.docs.pages import blocks

if TYPE_CHECKING:
    from tests.servers.controlplane import ControlPlane

pytestmark = pytest.mark.servers

EFFECTIVE_S = 30.0
REFUSAL = "only the group records may change"
SPEC = {"host": "imap.example.org", "auth": {"secretRef": {"name": "alice"}}}
KEPT = {**SPEC, "hold": True, "retention": {"keepFor": "87600h"}}


def account(name: str, spec: dict[str, object]) -> str:
    return json.dumps(
        {"apiVersion": "archivmail.io/v1alpha1", "kind": "ImapAccount", "metadata": {"name": name}, "spec": spec}
    )


class Office:
    """A namespace under the policy of the guide, with an account under hold and a free one. Nothing is changed: what
    people try is a dry run."""

    def __init__(self, plane: ControlPlane) -> None:
        plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", CRD_FILE)
        plane.kubectl("wait", "--for=condition=Established", "crd/imapaccounts.archivmail.io", "--timeout=30s")
        self._plane = plane
        self._namespace = plane.create_namespace("records")
        for name, spec in (("alice", KEPT), ("bob", SPEC)):
            plane.apply(account(name, spec), namespace=self._namespace)
        (self._policy,) = (each for each in blocks("retention.md", "yaml") if "ValidatingAdmissionPolicy" in each)
        policy, binding = yaml.safe_load_all(self._policy)
        here = {"matchLabels": {"kubernetes.io/metadata.name": self._namespace}}
        binding["spec"]["matchResources"] = {"namespaceSelector": here}  # the server is others' too
        plane.apply(json.dumps(policy))
        plane.apply(json.dumps(binding))
        deadline = time.monotonic() + EFFECTIVE_S
        while not self.refuses("editors", "delete", "imap/alice"):
            assert time.monotonic() < deadline

    def refuses(self, group: str, *command: str, stdin: str | None = None) -> bool:
        """Whether the policy refuses the command to somebody of this group, whose rights would suffice."""
        somebody = ("--as=carol", f"--as-group={group}", "--as-group=system:masters")
        done = self._plane.kubectl(
            *command, "-n", self._namespace, "--dry-run=server", *somebody, stdin=stdin, check=False
        )
        assert done.returncode == 0 or REFUSAL in done.stderr, done.stderr
        return done.returncode != 0

    def close(self) -> None:
        self._plane.kubectl("delete", "-f", "-", stdin=self._policy)


@pytest.fixture(scope="module")
def office(control_plane: ControlPlane) -> Iterator[Office]:
    made = Office(control_plane)
    yield made
    made.close()


@pytest.mark.parametrize(
    "spec", [{"hold": False}, {"retention": None}, {"retention": {"keepFor": "24h"}}], ids=["hold", "for ever", "a day"]
)
def test_only_the_group_of_the_policy_changes_what_is_kept(office: Office, spec: dict[str, object]) -> None:
    """A hold, and the time to keep mail."""
    patch = ("patch", "imap/alice", "--type=merge", "-p", json.dumps({"spec": spec}))

    assert office.refuses("editors", *patch)
    assert not office.refuses("records", *patch)


def test_the_policy_keeps_accounts_under_hold_and_new_ones_without_a_time(office: Office) -> None:
    """Made anew, an account would have no hold."""
    new = account("carol", {**SPEC, "retention": {"keepFor": "24h"}})

    assert not office.refuses("editors", "delete", "imap/bob")
    assert not office.refuses("records", "delete", "imap/alice")
    assert office.refuses("editors", "create", "-f", "-", stdin=new)
    assert not office.refuses("records", "create", "-f", "-", stdin=new)


def test_the_policy_is_in_nobody_elses_way(office: Office) -> None:
    """Whoever writes accounts goes on to do so; the operator changes neither of the two."""
    assert not office.refuses("editors", "create", "-f", "-", stdin=account("carol", SPEC))
    for change in ('{"spec": {"interval": "1h"}}', '{"metadata": {"finalizers": []}}'):
        assert not office.refuses("editors", "patch", "imap/alice", "--type=merge", "-p", change)


def test_the_pod_to_repair_an_archive_in_passes_the_restricted_standard(control_plane: ControlPlane) -> None:
    """It goes into the namespace that the guide to installing makes."""
    namespace = control_plane.create_namespace("repair")
    control_plane.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    (pod,) = blocks("disaster.md", "yaml")
    assert pod.count("namespace: archivmail\n") == 1
    pod = pod.replace("namespace: archivmail\n", f"namespace: {namespace}\n")

    control_plane.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=pod)
