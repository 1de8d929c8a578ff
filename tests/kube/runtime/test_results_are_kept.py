"""What a run found reaches `.status`, whatever stands in between: outages, conflicts, a long run. In virtual time."""

from __future__ import annotations

from archivmail.model.message import ContentId, Stored
from archivmail.model.outcome import Progress
from archivmail.sync.ports import Watcher
from tests.kube.runtime.world import ALICE, Fate, World, in_world

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


def test_progress_is_written_after_2_seconds_then_every_15_and_only_what_is_durable() -> None:
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
        assert "messages" not in world.api.status(ALICE)
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


def test_a_run_that_was_not_asked_for_is_one_write() -> None:
    """A periodic run flips no health: only its result is written."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE)
        await world.passes(100)
        assert 1 == world.api.requests.count("patch status")
        await world.passes(600)

        assert 2 == world.api.requests.count("patch status")

    in_world(story)
