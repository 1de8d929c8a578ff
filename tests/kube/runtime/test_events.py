"""Kubernetes Events: bounded, in order, delivered at the end of the process, never in anybody's way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from archivmail.kube.events import (
    MAX_BUCKETS,
    MAX_MESSAGE_BYTES,
    MAX_QUEUED,
    OF_ACCOUNT,
    OF_PROCESS,
    EventSender,
    bounded,
)
from archivmail.model.account import AccountRef, ObjectUid
from archivmail.model.notices import Notice, Severity
from archivmail.model.reasons import Reason
from archivmail.observe.logs import conceal
from tests.kube.runtime.fakeapi import FakeApi
from tests.kube.runtime.world import ALICE, World, in_world
from tests.servers.controlplane import ControlPlane

UID = ObjectUid("uid-1")


def lost(world: World) -> float | None:
    """As the metric tells it."""
    return world.metrics.registry.get_sample_value("archivmail_events_dropped_total")


def notice(text: str) -> Notice:
    return Notice(Severity.WARNING, Reason.UID_VALIDITY_CHANGED, text)


@pytest.mark.parametrize("text", ["x" * 5000, "日本語" * 500, "é" * 501, "a" + "é" * 500, "\udcff" * 900])
def test_a_message_is_cut_by_octets_and_never_in_a_character(text: str) -> None:
    """A folder name in Japanese has three octets a character."""
    octets = bounded(text).encode()

    assert len(octets) <= MAX_MESSAGE_BYTES
    assert octets.decode().endswith("…")


def test_a_short_message_is_left_as_it_is() -> None:
    """Up to 1,000 octets."""
    assert "x" * 1000 == bounded("x" * 1000)


def test_an_event_names_the_object_and_the_reason() -> None:
    """As `kubectl describe` looks for it."""

    async def story(world: World) -> None:
        world.events.tell(ALICE, UID, notice("INBOX was renumbered."))
        await world.passes(1)
        (event,) = world.api.events

        assert "Warning" == event["type"]
        assert "UIDValidityChanged" == event["reason"]
        assert "archivmail" == event["reportingComponent"]
        assert {"namespace": "team-a", "name": "alice", "uid": "uid-1"}.items() <= event["involvedObject"].items()
        assert "2026-11-20T10:00:00Z" == event["lastTimestamp"]

    in_world(story)


def test_events_wait_for_the_api_server_and_keep_their_order() -> None:
    """An outage of some seconds loses none."""

    async def story(world: World) -> None:
        world.api.is_down = True
        for number in range(3):
            world.events.tell(ALICE, UID, notice(str(number)))
        await world.passes(5)
        world.api.is_down = False
        await world.passes(10)

        assert ["0", "1", "2"] == [each["message"] for each in world.api.events]
        assert 0 == world.events.lost

    in_world(story)


def test_one_account_with_much_news_leaves_room_for_others() -> None:
    """A hundred folders that were renumbered are told; a thousand are not, and the loss is counted."""

    async def story(world: World) -> None:
        for number in range(1000):
            world.events.tell(ALICE, UID, notice(str(number)))
        world.events.tell(ALICE, ObjectUid("uid-2"), notice("of another account"))
        await world.passes(1)
        assert 1000 - OF_ACCOUNT.burst == world.events.lost == lost(world)
        assert "of another account" == world.api.events[-1]["message"]
        await world.passes(10 * OF_ACCOUNT.seconds_each)
        for number in range(1000):
            world.events.tell(ALICE, UID, notice(str(number)))
        await world.passes(1)

        assert OF_ACCOUNT.burst + 1 + 10 == len(world.api.events)

    in_world(story)


def test_a_fleet_in_trouble_leaves_the_api_server_in_peace() -> None:
    """At most so many at once, and so many a second after that, however many accounts have news."""

    async def story(world: World) -> None:
        for number in range(OF_PROCESS.burst + 300):
            world.events.tell(ALICE, ObjectUid(f"uid-{number}"), notice("news"))
        await world.passes(1)

        assert OF_PROCESS.burst == len(world.api.events)
        assert 300 == world.events.lost == lost(world)
        assert len(world.events._of_accounts) <= MAX_BUCKETS

    in_world(story)


def test_a_queue_that_cannot_be_sent_is_bounded_and_its_loss_is_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The oldest go first; a log that is flooded helps nobody."""

    async def story(world: World) -> None:
        world.api.is_down = True
        for number in range(MAX_QUEUED):
            world.events.tell(ALICE, ObjectUid(f"uid-{number}"), notice(str(number)))
        await world.passes(10)
        for number in range(500):
            world.events.tell(ALICE, ObjectUid(f"uid-{number}"), notice("later"))
        assert 500 == world.events.lost == lost(world)
        world.api.is_down = False
        await world.passes(60)

        assert ["0", "501"] == [each["message"] for each in world.api.events[:2]]
        assert MAX_QUEUED == len(world.api.events)
        assert "later" == world.api.events[-1]["message"]

    in_world(story)

    assert 1 == sum(record.message == "event not delivered" for record in caplog.records)


@pytest.mark.parametrize(
    ("text", "forbidden"),
    [
        pytest.param("Folder 'user/bob@example.org/INBOX' failed", "bob@example.org", id="address-as-folder-name"),
        pytest.param("Folder 'a\x1b[31mred\r\nB: c' failed", "\x1b", id="escape-sequence"),
        pytest.param("Folder 'invoice\u202efdp.exe' failed", "\u202e", id="text-direction"),
        pytest.param("the server said: NO wrong password hunter2-hunter2", "hunter2-hunter2", id="secret-in-a-reply"),
        pytest.param("NO mail for <alice.smith@example.org> is locked", "alice.smith", id="address-in-a-reply"),
        pytest.param("x" * 100_000 + "@" + "y" * 100_000, "@", id="endless"),
    ],
)
def test_an_event_repeats_no_secret_and_no_address_whatever_servers_and_users_write(text: str, forbidden: str) -> None:
    """S21, invariant 10: names of folders and words of servers are free text."""
    conceal("hunter2-hunter2")

    async def story(world: World) -> None:
        world.events.tell(ALICE, UID, notice(text))
        await world.passes(1)
        (event,) = world.api.events

        assert forbidden not in event["message"]
        assert len(event["message"].encode()) <= MAX_MESSAGE_BYTES
        assert event["message"].isprintable()

    in_world(story)


def test_the_end_of_the_process_delivers_what_is_queued() -> None:
    """For a bounded time: an API server that is away holds nobody up."""

    async def story(world: World) -> None:
        world.events.tell(ALICE, UID, notice("last words"))
        await world.events.drain(1)
        assert 1 == len(world.api.events)
        world.api.is_down = True
        world.events.tell(ALICE, UID, notice("unheard"))
        began = asyncio.get_running_loop().time()
        await world.events.drain(1)

        assert asyncio.get_running_loop().time() - began == pytest.approx(1)
        assert 1 == world.events.lost

    in_world(story)


@pytest.mark.servers
def test_the_api_server_takes_every_event_that_we_make(cluster: ControlPlane, namespace: str) -> None:
    """operator-facts §1.6: 1,024 octets, not characters; the rule of events.k8s.io/v1, kept to in core/v1 as well."""
    sender = EventSender(FakeApi(), lambda: datetime.now(UTC), instance="pod")
    path = f"/api/v1/namespaces/{namespace}/events"
    ref = AccountRef(namespace, "alice")
    for text in ("日本語" * 500, "é" * 2000, "\udcff" * 900, "a\x00b" * 500, "x" * 5000):
        made = cluster.api.request("POST", path, dict(sender._event(ref, UID, notice(text))))
        assert len(made["message"].encode()) <= 1024
