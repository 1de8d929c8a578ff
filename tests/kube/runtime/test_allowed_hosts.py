"""A Secret whose owner names hosts is sent nowhere else, and the account says so (trap 101)."""

from __future__ import annotations

from archivmail.kube.allowedhosts import ANNOTATION
from tests.kube.runtime.world import ALICE, World, in_world


def conditions(world: World) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in world.api.status(ALICE)["conditions"]}


def test_a_changed_host_gets_no_secret() -> None:
    """trap 101: no run; Stalled, one Event; the owner's word, or the host put right, ends it."""

    async def story(world: World) -> None:
        world.api.annotate_secret("team-a", "alice", {ANNOTATION: "imap.example.org"})
        world.api.create_account(ALICE)
        await world.passes(5)
        assert 1 == len(world.runs_of())

        world.api.change_spec(ALICE, host="imap.evil.example")
        await world.passes(5)
        assert 1 == len(world.runs_of())
        assert ("True", "EgressDenied") == conditions(world)["Stalled"]
        assert ("False", "EgressDenied") == conditions(world)["Ready"]
        [told] = [each for each in world.api.events if each["reason"] == "EgressDenied"]
        assert "imap.evil.example" in told["message"]

        world.api.annotate_secret("team-a", "alice", {ANNOTATION: "imap.example.org,imap.evil.example"})
        await world.passes(20)
        assert 2 == len(world.runs_of())
        assert "Stalled" not in conditions(world)

    in_world(story)


def test_an_account_that_is_denied_does_not_ask_again_and_again() -> None:
    """Its Secret is looked at, as for a refused password; nothing else happens."""

    async def story(world: World) -> None:
        world.api.annotate_secret("team-a", "alice", {ANNOTATION: ""})
        world.api.create_account(ALICE)
        await world.passes(1800)
        assert [] == world.runs_of()
        assert 1 == sum(each["reason"] == "EgressDenied" for each in world.api.events)

    in_world(story)
