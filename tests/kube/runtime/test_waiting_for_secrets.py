"""Secrets that are missing, refused, changed or forbidden (S8): in virtual time, on a fake API server."""

from __future__ import annotations

import pytest

from archivmail.kube.driver import LOOKS_PER_S
from archivmail.kube.secretwatch import SecretSeen
from archivmail.model.account import AccountRef, AccountSpec
from tests.kube.runtime.operating import condition
from tests.kube.runtime.world import ALICE, REFUSED, Fate, World, in_world

PEM = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"


def test_a_secret_that_comes_is_noticed_within_15_seconds() -> None:
    """Whatever the interval is; the Secret is read without logging in."""

    async def story(world: World) -> None:
        world.api.remove_secret("team-a", "alice")
        world.api.create_account(ALICE, interval="168h")
        await world.passes(3000)
        assert "SecretNotFound" == condition(world.api.status(ALICE), "Ready")["reason"]
        assert [] == world.starts()

        world.api.put_secret("team-a", "alice", username="alice", password="x")
        await world.passes(15)

        assert 1 == len(world.runs)
        assert "True" == condition(world.api.status(ALICE), "Ready")["status"]

    in_world(story)


def test_a_key_that_comes_is_noticed_within_15_seconds() -> None:
    """The Secret was there, without the key."""

    async def story(world: World) -> None:
        world.api.put_secret("team-a", "alice", username="alice")
        world.api.create_account(ALICE, interval="168h")
        await world.passes(3000)
        assert "SecretKeyMissing" == condition(world.api.status(ALICE), "Ready")["reason"]

        world.api.put_secret("team-a", "alice", username="alice", password="x")
        await world.passes(15)

        assert 1 == len(world.runs)

    in_world(story)


def test_thousands_that_wait_do_not_flood_the_api_server() -> None:
    """A Secret store that is down leaves every account without its Secret: twenty looks a second, however many."""

    async def story(world: World) -> None:
        world.api.remove_secret("team-a", "alice")
        for number in range(500):
            world.api.create_account(AccountRef("team-a", f"account-{number:04}"), interval="168h")
        await world.passes(1200)
        before = world.api.requests.count("get secret")
        await world.passes(100)

        assert 1000 < world.api.requests.count("get secret") - before < 100 * LOOKS_PER_S * 1.3

    in_world(story)


def test_refused_credentials_are_tried_once_for_each_version() -> None:
    """S5: six hours, or another Secret; a lock-out is the server's answer to anything else."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(0.1, failure=REFUSED)
        world.api.create_account(ALICE, interval="30s")
        await world.passes(3600)
        assert 1 == len(world.runs)
        world.api.put_secret("team-a", "alice", username="alice", password="also wrong")
        await world.passes(3600)
        assert ["correct horse", "also wrong"] == [each.password for each in world.runs]
        world.fates[ALICE] = Fate()
        world.api.put_secret("team-a", "alice", username="alice", password="right")
        await world.passes(15)

        assert "right" == world.runs[-1].password
        assert "True" == condition(world.api.status(ALICE), "Ready")["status"]

    in_world(story)


def test_a_restart_does_not_try_refused_credentials_again() -> None:
    """The version that was refused stands in the status."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(0.1, failure=REFUSED)
        world.api.create_account(ALICE)
        await world.passes(10)
        account = next(iter(world.scheduler.accounts))
        account.secret_version = None  # what a new process knows
        await world.passes(3600)

        assert 1 == len(world.runs)

    in_world(story)


def test_an_account_that_runs_well_does_not_look_at_its_secret_in_between() -> None:
    """Every run reads it afresh; nobody waits for it."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE, interval="10m")
        await world.passes(590)
        assert 1 == world.api.requests.count("get secret")
        world.api.put_secret("team-a", "alice", username="alice", password="rotated")
        await world.passes(20)

        assert ["correct horse", "rotated"] == [each.password for each in world.runs]

    in_world(story)


def test_a_secret_that_may_not_be_read_is_named() -> None:
    """RBAC is missing: the sentence says what to grant."""

    async def story(world: World) -> None:
        world.api.may_read_secrets = False
        world.api.create_account(ALICE)
        await world.passes(10)
        message = condition(world.api.status(ALICE), "Ready")["message"]
        assert "team-a/alice" in message
        assert "grant" in message
        world.api.may_read_secrets = True
        await world.passes(15)

        assert 1 == len(world.runs)

    in_world(story)


def test_a_watched_secret_runs_the_accounts_that_use_it_at_once() -> None:
    """S8: ARCHIVMAIL_WATCH_SECRETS; a listing that shows what is known already runs nobody."""

    async def story(world: World) -> None:
        world.api.put_secret("team-a", "ca", **{"ca.crt": PEM})
        spec = {"mode": "Implicit", "caSecretRef": {"name": "ca"}}
        world.api.create_account(ALICE, interval="168h", tls=spec)
        await world.passes(100)
        first, second = world.runs[0].secret_version.split("+")
        for name, version in (("alice", first), ("ca", second), ("other", "999")):
            world.scheduler.secret_seen(SecretSeen("team-a", name, version))
        world.scheduler.secret_seen(SecretSeen("team-b", "alice", "999"))
        await world.passes(100)
        assert [0] == world.starts()

        world.api.put_secret("team-a", "alice", username="alice", password="rotated")
        world.scheduler.secret_seen(SecretSeen("team-a", "alice", "another"))
        await world.passes(1)
        assert [0, 200] == world.starts()
        assert "rotated" == world.runs[-1].password
        world.api.put_secret("team-a", "ca", **{"ca.crt": PEM + "\n"})
        world.scheduler.secret_seen(SecretSeen("team-a", "ca", "another"))
        await world.passes(100)

        assert [0, 200, 201] == world.starts()

    in_world(story)


def test_a_secret_concerns_nobody_but_those_who_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing of ten thousand Secrets, looked up among ten thousand accounts, would hold up the event loop for a
    minute if each went through all of them; and nothing is kept of accounts and names that are gone."""
    fleet = [AccountRef("team-a", f"account-{number}") for number in range(200)]
    asked = []

    def secrets_of(spec: AccountSpec) -> list[str]:
        asked.append(spec.secret_name)
        return [spec.secret_name]

    async def story(world: World) -> None:
        for ref in fleet:
            world.api.create_account(ref, interval="168h", suspend=True, auth={"secretRef": {"name": ref.name}})
        world.api.change_spec(fleet[0], auth={"secretRef": {"name": "renamed"}})
        monkeypatch.setattr("archivmail.kube.scheduler._secrets_of", secrets_of)
        for name in ("account-7", "renamed", "account-0", "other"):
            world.scheduler.secret_seen(SecretSeen("team-a", name, "new"))
        assert ["account-7", "renamed"] == asked
        for ref in fleet:
            world.api.remove(ref)

        assert {} == world.scheduler._users == world.scheduler._uses

    in_world(story)
