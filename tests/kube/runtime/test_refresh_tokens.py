"""New refresh tokens in the operator: written where the spec says so, told of otherwise, never shown."""

from __future__ import annotations

import json
from typing import Any

from archivmail.model.account import Rotation, Secret
from archivmail.sync.ports import Watcher
from tests.kube.runtime.world import ALICE, REFUSED, Fate, World, in_world

OAUTH = {"tokenURL": "https://login.example.org/token"}


def spec(*, update_secret: bool = True) -> dict[str, Any]:
    return {
        "auth": {
            "mechanism": "XOAuth2",
            "secretRef": {"name": "alice"},
            "oauth2": {**OAUTH, "updateSecret": update_secret},
        }
    }


def prepare(world: World, *rotations: tuple[str, str, str], update_secret: bool = True) -> None:
    """Alice's Secret holds refresh-0, and her runs get these tokens: (held, used, given)."""
    world.api.put_secret("team-a", "alice", username="alice", clientId="app", refreshToken="refresh-0")
    rotates(world, *rotations)
    world.api.create_account(ALICE, **spec(update_secret=update_secret))


def rotates(world: World, *rotations: tuple[str, str, str]) -> None:
    def during(watcher: Watcher) -> None:
        for each in rotations:
            watcher.token_rotated(Rotation(*(Secret(token) for token in each)))

    world.fates[ALICE] = Fate(during=during)


def held(world: World) -> dict[str, str]:
    found = world.api._secrets["team-a", "alice"].data
    return {key: value.decode() for key, value in found.items()}


def told(world: World) -> list[tuple[str, str]]:
    return [(each["type"], each["reason"]) for each in world.api.events if each["reason"].startswith("Refresh")]


def test_a_new_token_is_written_to_the_secret() -> None:
    """The other keys stay; an Event says so, once for however many."""

    async def story(world: World) -> None:
        prepare(world, ("refresh-0", "refresh-0", "refresh-1"), ("refresh-0", "refresh-1", "refresh-2"))
        await world.passes(5)
        assert {"username": "alice", "clientId": "app", "refreshToken": "refresh-2"} == held(world)
        assert [("Normal", "RefreshTokenRotated")] == told(world)
        assert "refresh-" not in json.dumps(world.api.events) + json.dumps(world.api.status(ALICE))

    in_world(story)


def test_a_new_token_is_written_at_once_and_not_at_the_end_of_the_run() -> None:
    """The provider may have voided the old one."""

    async def story(world: World) -> None:
        prepare(world, ("refresh-0", "refresh-0", "refresh-1"))
        world.fates[ALICE].lasts_s = 1000
        await world.passes(5)
        assert "refresh-1" == held(world)["refreshToken"]

    in_world(story)


def test_our_own_change_of_the_secret_is_no_reason_to_run() -> None:
    """Else an account that is refused would log in again and again (trap 87)."""

    async def story(world: World) -> None:
        prepare(world, ("refresh-0", "refresh-0", "refresh-1"))
        world.fates[ALICE].failure = REFUSED
        await world.passes(120)
        assert 1 == len(world.runs_of())
        assert "refresh-1" == held(world)["refreshToken"]
        version = world.api._secrets["team-a", "alice"].resource_version
        assert version == world.api.status(ALICE)["observedSecretVersion"]

        world.api.put_secret("team-a", "alice", username="alice", clientId="app", refreshToken="by-hand")
        await world.passes(30)
        assert 2 == len(world.runs_of())

    in_world(story)


def test_without_leave_from_the_spec_nothing_is_written() -> None:
    """The Event says what to set, once."""

    async def story(world: World) -> None:
        prepare(world, ("refresh-0", "refresh-0", "refresh-1"), update_secret=False)
        await world.passes(3 * 600 + 60)
        assert len(world.runs_of()) > 2
        assert "refresh-0" == held(world)["refreshToken"]
        assert [("Warning", "RefreshTokenRotated")] == told(world)
        assert any("spec.auth.oauth2.updateSecret" in each["message"] for each in world.api.events)
        assert "patch secret" not in world.api.requests

    in_world(story)


def test_a_missing_right_is_told_and_tried_again() -> None:
    """The Event names the right and the chart value; once it is given, the next run writes."""

    async def story(world: World) -> None:
        prepare(world, ("refresh-0", "refresh-0", "refresh-1"))
        world.api.may_change_secrets = False
        await world.passes(5)
        assert "refresh-0" == held(world)["refreshToken"]
        assert [("Warning", "RefreshTokenNotKept")] == told(world)
        assert any("rbac.updateSecrets" in each["message"] for each in world.api.events)

        world.api.may_change_secrets = True
        world.fates[ALICE] = Fate()
        await world.passes(700)
        assert "refresh-1" == held(world)["refreshToken"]
        assert [("Warning", "RefreshTokenNotKept"), ("Normal", "RefreshTokenRotated")] == told(world)

    in_world(story)


def test_a_conflict_is_tried_again_and_a_change_by_hand_is_kept() -> None:
    """Optimistic concurrency: only what the run began with is replaced."""

    async def story(world: World) -> None:
        world.api.secret_conflicts = 3
        prepare(world, ("refresh-0", "refresh-0", "refresh-1"))
        await world.passes(5)
        assert "refresh-1" == held(world)["refreshToken"]

        rotates(world, ("refresh-1", "refresh-1", "refresh-2"))
        world.fates[ALICE].lasts_s = 0.5
        world.api.put_secret("team-a", "alice", username="alice", clientId="app", refreshToken="by-hand")
        world.api.annotate(ALICE, "again")
        await world.passes(5)
        assert "by-hand" == held(world)["refreshToken"]

    in_world(story)


def test_an_api_server_that_is_away_loses_no_token() -> None:
    """The next run writes it; what it used is what memory holds, the Secret still has the first one."""

    async def story(world: World) -> None:
        prepare(world, ("refresh-0", "refresh-0", "refresh-1"))
        world.fates[ALICE].lasts_s = 3
        await world.passes(0.5)
        world.api.put_secret("team-a", "alice", username="alice", clientId="app", refreshToken="refresh-0")
        world.api.is_down = True
        rotates(world, ("refresh-0", "refresh-1", "refresh-2"))
        await world.passes(30)
        world.api.is_down = False
        world.api.annotate(ALICE, "again")
        await world.passes(30)
        assert "refresh-2" == held(world)["refreshToken"]

    in_world(story)


def test_a_secret_that_is_gone_is_told() -> None:
    """Nothing is made in its place."""

    async def story(world: World) -> None:
        prepare(world, ("refresh-0", "refresh-0", "refresh-1"))
        world.api.delay_s = 0.1
        await world.passes(0.25)
        world.api.remove_secret("team-a", "alice")
        await world.passes(10)
        assert ("team-a", "alice") not in world.api._secrets
        assert [("Warning", "RefreshTokenNotKept")] == told(world)

    in_world(story)
