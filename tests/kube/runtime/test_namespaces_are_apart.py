"""What a manifest names is looked for in its own namespace, and what is elsewhere shows nowhere (trap 101)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archivmail.kube.api import ApiForbidden, SecretDocument
from archivmail.kube.resource import parse
from archivmail.kube.secretreader import SecretReader
from archivmail.model.account import AccountRef
from archivmail.model.errors import SpecInvalid
from tests.kube.resource.documents import MINIMAL_SPEC, account, merged
from tests.kube.runtime.fakeapi import FakeApi
from tests.kube.runtime.operating import Operator
from tests.kube.runtime.world import ALICE, World, in_world
from tests.servers.controlplane import ControlPlane

CA = {"tls": {"caSecretRef": {"name": "others-ca"}}}


class Watched(FakeApi):
    """Notes which Secrets are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []

    async def get_secret(self, namespace: str, name: str) -> SecretDocument | None:
        self.asked.append((namespace, name))
        return await super().get_secret(namespace, name)


def test_secrets_of_other_namespaces_are_not_even_asked_for() -> None:
    """Neither the credentials nor the CA; the condition and the Event name the account's own namespace alone."""

    async def story(world: World) -> None:
        world.api.put_secret("team-b", "others", username="bob", password="hunter2")
        world.api.put_secret("team-b", "others-ca", **{"ca.crt": "hunter3"})
        world.api.create_account(ALICE, auth={"secretRef": {"name": "others"}}, **CA)
        await world.passes(120)

        assert [] == world.runs_of()
        shown = json.dumps([world.api.status(ALICE), *world.api.events, world.saved.get(ALICE)])
        assert "there is no Secret others in the namespace team-a" in shown
        assert "team-b" not in shown
        assert not any(secret in shown for secret in ("hunter2", "hunter3", "bob"))

    in_world(story, api=(api := Watched()))
    assert {"team-a"} == {namespace for namespace, _ in api.asked}
    assert {"others", "others-ca"} == {name for _, name in api.asked}


@pytest.mark.parametrize(
    "name",
    ["team-b/others", "../team-b/secrets/others", "..%2F..%2Fteam-b", "others?namespace=team-b", "others#", ""],
)
def test_no_name_of_a_secret_leads_elsewhere(name: str) -> None:
    """It becomes a part of the path of a request, so it is refused before."""
    for change in ({"auth": {"secretRef": {"name": name}}}, {"tls": {"caSecretRef": {"name": name}}}):
        with pytest.raises(SpecInvalid):
            parse(account(merged(MINIMAL_SPEC, change)))


def test_a_namespace_beside_the_name_is_no_field() -> None:
    """A manifest that has one is refused; of a stored object it is ignored, as the API server ignores it."""
    document = account(merged(MINIMAL_SPEC, {"auth": {"secretRef": {"namespace": "team-b"}}}))
    with pytest.raises(SpecInvalid, match=r"spec\.auth\.secretRef\.namespace is not a field"):
        parse(document, strict=True)
    assert AccountRef("default", "alice") == parse(document).ref


def test_what_the_role_forbids_is_told_without_what_it_holds() -> None:
    """The sentence names the account's own namespace, and who has to grant what."""

    class Forbidding(Watched):
        async def get_secret(self, namespace: str, name: str) -> SecretDocument | None:
            raise ApiForbidden('secrets "others" is forbidden in team-b: hunter2', 403)

    async def read() -> str:
        reading = await SecretReader(Forbidding()).read("team-a", parse(account()).spec)
        return str(reading.found)

    async def story(_: World) -> None:
        told = await read()
        assert "team-a/alice" in told
        assert "team-b" not in told
        assert "hunter2" not in told

    in_world(story)


@pytest.mark.servers
def test_an_operator_of_all_namespaces_reads_each_accounts_own(cluster: ControlPlane, tmp_path: Path) -> None:
    """On a real API server, with a ClusterRole that may read every Secret: two accounts of one name."""
    own, other = cluster.create_namespace(), cluster.create_namespace()
    with Operator(cluster, own, tmp_path / "operator", is_clusterwide=True) as operator:
        there = operator.in_namespace(other)
        there.create_secret("only-there", password="hunter2")
        operator.create_account("alice", auth={"secretRef": {"name": "only-there"}})
        there.create_account("alice", auth={"secretRef": {"name": "only-there"}})
        there.wait_for_runs("alice", 1, "ended")
        operator.wait_for_event("alice", "SecretNotFound")

        assert [] == operator.journal("alice")
        shown = json.dumps([operator.get("alice"), operator.events("alice")]) + operator.log.read_text()
        assert "hunter2" not in shown
        assert other not in json.dumps([operator.get("alice"), operator.events("alice")])
