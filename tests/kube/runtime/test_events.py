"""Kubernetes Events: bounded, in order, delivered at the end of the process, never in anybody's way."""

from __future__ import annotations

import asyncio

import pytest

from archivmail.kube.events import MAX_MESSAGE_BYTES, MAX_QUEUED, bounded
from archivmail.model.account import ObjectUid
from archivmail.model.notices import Notice, Severity
from archivmail.model.reasons import Reason
from tests.kube.runtime.world import ALICE, World, in_world

UID = ObjectUid("uid-1")


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


@pytest.mark.slow
def test_the_queue_is_bounded_and_says_what_it_lost() -> None:
    """The oldest go first."""

    async def story(world: World) -> None:
        for number in range(MAX_QUEUED + 5):
            world.events.tell(ALICE, UID, notice(str(number)))
        await world.passes(1)

        assert MAX_QUEUED == len(world.api.events)
        assert "5" == world.api.events[0]["message"]
        assert 5 == world.events.lost

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
