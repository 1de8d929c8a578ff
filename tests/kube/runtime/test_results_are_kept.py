"""What a run found reaches `.status`, whatever stands in between: outages, conflicts, a long run. In virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

from archivmail.kube.api import Document
from archivmail.kube.results import CATALOG_AT_ONCE
from archivmail.model.account import AccountRef
from archivmail.model.message import ContentId, Stored
from archivmail.model.outcome import Progress
from archivmail.sync.ports import Watcher
from tests.kube.runtime.world import ALICE, LOST, Fate, World, in_world

STORED = Stored(ContentId(bytes(32)), is_new_content=True, is_new_placement=True)


def test_a_run_goes_on_while_the_api_server_is_away_and_its_result_is_written_later() -> None:
    """S7: nothing is lost while the process lives."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=100)
        world.api.create_account(ALICE)
        await world.passes(50)
        world.api.is_down = True
        await world.passes(500)
        assert [0] == world.starts()
        assert not world.runs[0].was_stopped
        assert "Succeeded" == world.saved[ALICE]["lastResult"]
        world.api.is_down = False
        await world.passes(10)

        assert "Succeeded" == world.api.status(ALICE)["lastResult"]

    in_world(story)


def test_no_run_starts_on_a_stale_look_while_the_api_server_is_away() -> None:
    """Each run begins with a fresh look; it is tried again ever more slowly."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE)
        await world.passes(100)
        world.api.is_down = True
        asked = len(world.api.requests)
        await world.passes(4000)
        assert [0] == world.starts()
        assert len(world.api.requests) - asked < 150
        world.api.is_down = False
        await world.passes(40)

        assert 2 == len(world.runs)

    in_world(story)


def test_a_conflict_is_solved_by_reading_again() -> None:
    """Somebody else wrote between our reading and our writing."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE)
        world.api.conflicts = 3
        await world.passes(10)

        assert "Succeeded" == world.api.status(ALICE)["lastResult"]

    in_world(story)


def test_conflicts_without_end_do_not_lose_the_result() -> None:
    """After a few the writer gives way, and tries again some seconds later."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=5)
        world.api.create_account(ALICE)
        await world.passes(2)
        world.api.conflicts = 10
        await world.passes(30)

        assert "Succeeded" == world.api.status(ALICE)["lastResult"]

    in_world(story)


def test_progress_shows_only_what_is_durable() -> None:
    """Design §1.5: status may lag, never lead."""

    def during(watcher: Watcher) -> None:
        watcher.progressed(Progress("INBOX", 0, 1, messages_to_do=10, messages_done=0, fetched_bytes=0))
        for _ in range(4):
            watcher.message_stored(100, STORED)
        watcher.archive_written(0.1, 40)
        watcher.message_stored(100, STORED)

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=100, during=during)
        world.api.create_account(ALICE)
        await world.passes(1)
        assert "conditions" not in world.api.status(ALICE)
        await world.passes(2)
        expected = {"server": 10, "archived": 4, "pending": 6, "quarantined": 0, "addedLastRun": 4}
        assert expected == world.api.status(ALICE)["messages"]
        patches = world.api.requests.count("patch status")
        await world.passes(70)

        assert patches == world.api.requests.count("patch status")  # nothing new, nothing written

    in_world(story)


def test_a_first_run_that_lasts_shows_that_it_goes_on() -> None:
    """S7: one that is over at once is told by its result alone, so that a start with thousands of accounts is cheap."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=5)
        world.api.create_account(ALICE)
        await world.passes(1)
        assert 0 == world.api.requests.count("patch status")
        await world.passes(2)

        conditions = {each["type"]: each["status"] for each in world.api.status(ALICE)["conditions"]}
        assert "True" == conditions["Reconciling"]

    in_world(story)


def test_a_run_that_is_over_in_two_seconds_is_one_write() -> None:
    """Asked for or not: only its result is written."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE)
        await world.passes(100)
        assert 1 == world.api.requests.count("patch status")
        await world.passes(600)

        assert 2 == world.api.requests.count("patch status")

    in_world(story)


def writes(world: World) -> list[float]:
    """Times of the writes of statuses from now on, in a list that grows."""
    times: list[float] = []
    patch = world.api.patch_status

    async def counted(*arguments: Any) -> Document:
        times.append(world.now)
        return await patch(*arguments)

    world.api.patch_status = counted  # type: ignore[method-assign]
    return times


def test_statuses_are_written_every_15_seconds_at_most_while_a_run_goes_on() -> None:
    """Numbers that change with every message are no reason to write more often; a long run is seen to go on."""

    def during(watcher: Watcher) -> None:
        async def archive() -> None:
            for _ in range(200):
                watcher.message_stored(100, STORED)
                watcher.archive_written(0.1, 40)
                await asyncio.sleep(0.5)

        tasks.append(asyncio.ensure_future(archive()))

    tasks: list[asyncio.Task[None]] = []

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=100, during=during)
        times = writes(world)
        world.api.create_account(ALICE)
        await world.passes(99)

        assert [2, 17, 32, 47, 62, 77, 92] == [round(each) for each in times]

    in_world(story)


def test_an_account_that_is_idle_is_not_written_at_all() -> None:
    """Fifty runs that find nothing: one write each, which is their times; none in between."""

    async def story(world: World) -> None:
        times = writes(world)
        world.api.create_account(ALICE, interval="10m")
        await world.passes(50 * 601)

        assert 50 <= len(world.runs) <= 51
        assert len(world.runs) == len(times)
        assert [round(each.ended or 0) for each in world.runs] == [round(each) for each in times]

    in_world(story)


def test_failures_in_quick_succession_are_told_together() -> None:
    """S5: the retry after a second changes numbers only; what a person waits for is written at once all the same."""

    async def story(world: World) -> None:
        times = writes(world)
        world.fates[ALICE] = Fate(0.2, failure=LOST)
        world.api.create_account(ALICE)
        await world.passes(30)
        assert [0, 15] == [round(each) for each in times]
        assert 2 == world.api.status(ALICE)["consecutiveFailures"]
        world.fates[ALICE] = Fate(0.2)
        world.api.annotate(ALICE, "now")
        await world.passes(1)

        assert "now" == world.api.status(ALICE)["lastHandledReconcileAt"]
        assert [0, 15, 30] == [round(each) for each in times]

    in_world(story)


def test_what_waits_to_be_written_is_written_at_the_end_of_the_process() -> None:
    """No status is lost because it was not urgent."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(0.2, failure=LOST)
        world.api.create_account(ALICE)
        await world.passes(5)
        assert 1 == world.api.status(ALICE)["consecutiveFailures"]
        await world.scheduler.shut_down(7.5)

        assert 2 == world.api.status(ALICE)["consecutiveFailures"]

    in_world(story)


def test_a_suspended_account_is_seen_and_shows_nothing_planned() -> None:
    """kstatus: a generation that nobody has seen is InProgress for ever; nextSyncTime would be a lie."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE)
        await world.passes(10)
        before = world.api.status(ALICE)["conditions"]
        world.api.change_spec(ALICE, suspend=True)
        await world.passes(1)
        status = world.api.status(ALICE)

        assert 2 == status["observedGeneration"]
        assert "nextSyncTime" not in status
        assert [(each["type"], each["status"], each["reason"]) for each in before] == [
            (each["type"], each["status"], each["reason"]) for each in status["conditions"]
        ]

    in_world(story)


def test_a_deletion_does_not_wait_for_a_catalog_that_hangs() -> None:
    """S3: `kubectl delete` returns within ten seconds, whatever PostgreSQL does."""

    async def story(world: World) -> None:
        world.catalog_takes_s = 1000
        document = world.api.create_account(ALICE)
        await world.passes(30)
        assert [] == [each for each in world.runs if each.ended is None]
        world.api.begin_deletion(ALICE)
        await world.scheduler.release(document["metadata"]["uid"], 8)
        await world.kopf_stops(document)

        assert world.now < 30 + 8
        assert 0 == world.at_the_catalog[-1]

    in_world(story)


def test_a_commit_that_suspends_a_fleet_is_no_crowd_of_threads() -> None:
    """Each write to the catalog is a thread; and nobody's is left out because others were before it."""

    async def story(world: World) -> None:
        world.catalog_takes_s = 30
        fleet = [AccountRef("team-a", f"account-{number}") for number in range(200)]
        for ref in fleet:
            world.api.create_account(ref, suspend=True)
        await world.passes(600)

        assert CATALOG_AT_ONCE == max(world.at_the_catalog)
        assert set(fleet) == set(world.saved)

    in_world(story)
