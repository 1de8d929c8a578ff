"""When accounts run: the scheduler in virtual time, on a fake API server, with fake runs."""

from __future__ import annotations

import asyncio

import pytest

from archivmail.kube.scheduler import DELETED_AT_ONCE
from archivmail.model.account import AccountRef
from archivmail.model.outcome import Failure
from archivmail.model.reasons import Reason
from tests.kube.runtime.world import ALICE, LOST, Fate, World, in_world

BOB = AccountRef("team-a", "bob")
CAROL = AccountRef("team-a", "carol")


def test_a_new_account_runs_at_once_then_by_its_interval() -> None:
    """S1: 10 minutes from the end of a run to the start of the next one."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE)
        await world.passes(1810)

        assert [0, 601, 1202, 1803] == world.starts()

    in_world(story)


def test_an_account_that_waits_asks_the_api_server_nothing() -> None:
    """No polling: nothing is read or written between two runs."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE, interval="40m")
        await world.passes(60)
        asked = len(world.api.requests)
        await world.passes(2000)

        assert asked == len(world.api.requests)

    in_world(story)


def test_interval_zero_runs_only_on_request() -> None:
    """S1: manual only; the generation is acknowledged all the same."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE, interval="0s")
        await world.passes(100_000)
        assert [] == world.starts()
        assert 1 == world.api.status(ALICE)["observedGeneration"]

        world.api.annotate(ALICE, "now")
        await world.passes(100_000)

        assert [100_000] == world.starts()
        assert "now" == world.api.status(ALICE)["lastHandledReconcileAt"]

    in_world(story)


def test_a_request_during_a_run_is_not_lost() -> None:
    """S4: the value that the run read at its start is echoed; a newer one has a run of its own."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=100)
        world.api.create_account(ALICE)
        world.api.annotate(ALICE, "first")
        await world.passes(50)
        world.api.annotate(ALICE, "second")
        await world.passes(60)
        assert "first" == world.api.status(ALICE)["lastHandledReconcileAt"]
        await world.passes(100)

        assert [0, 100] == world.starts()
        assert [True, True] == [each.forced for each in world.runs]
        assert "second" == world.api.status(ALICE)["lastHandledReconcileAt"]

    in_world(story)


def test_a_changed_spec_runs_at_once() -> None:
    """S1: also when the next run is a week away."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE, interval="168h")
        await world.passes(1000)
        world.api.change_spec(ALICE, host="imap.example.net")
        await world.passes(1000)

        assert [0, 1000] == world.starts()
        assert 2 == world.api.status(ALICE)["observedGeneration"]

    in_world(story)


def test_a_changed_spec_ends_the_run_of_the_old_one() -> None:
    """What the old spec selected may be excluded by now."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=1000)
        world.api.create_account(ALICE)
        await world.passes(100)
        world.api.change_spec(ALICE, folders={"exclude": ["Trash"]})
        await world.passes(10)

        assert [0, 100] == world.starts()
        assert world.runs[0].was_stopped

    in_world(story)


def test_suspension_ends_the_run_and_resuming_starts_one() -> None:
    """S3, S6: within seconds; told once each way."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=1000)
        world.api.create_account(ALICE)
        await world.passes(100)
        world.api.change_spec(ALICE, suspend=True)
        await world.passes(5000)
        assert world.runs[0].was_stopped
        assert world.runs[0].ended is not None
        assert world.runs[0].ended < 101
        assert "Interrupted" == world.api.status(ALICE)["lastResult"]

        world.api.change_spec(ALICE, suspend=False)
        await world.passes(1)

        assert [0, 5100] == world.starts()
        assert ["Suspended", "Resumed"] == world.reasons()

    in_world(story)


def test_deletion_ends_the_run_before_it_returns() -> None:
    """S3: the finalizer may go as soon as `release` returns."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=1000)
        document = world.api.create_account(ALICE)
        await world.passes(100)
        world.api.begin_deletion(ALICE)
        await world.scheduler.release(document["metadata"]["uid"], 8)

        assert world.runs[0].was_stopped
        assert world.runs[0].ended is not None
        await world.kopf_stops(document)
        assert not world.drives()

    in_world(story)


def test_deletion_does_not_wait_for_a_deaf_run() -> None:
    """Ten seconds at most; the run keeps its turn until it ends."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=1000, is_deaf=True)
        document = world.api.create_account(ALICE)
        await world.passes(100)
        world.api.begin_deletion(ALICE)
        await world.scheduler.release(document["metadata"]["uid"], 8)
        assert world.now < 108.5
        world.api.remove(ALICE)
        world.api.create_account(ALICE)
        await world.passes(2000)

        assert [0, 1000] == world.starts()[:2]  # World._run would not let two go on at once

    in_world(story)


def test_an_object_that_goes_without_notice_ends_its_run_and_its_driver() -> None:
    """T3, T13: DELETED without deletionTimestamp; kopf does not stop the timer then."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=1000)
        world.api.create_account(ALICE)
        await world.passes(100)
        world.api.remove(ALICE)
        await world.passes(1)

        assert world.runs[0].was_stopped
        assert not world.drives()
        assert [] == list(world.scheduler.accounts)

    in_world(story)


def test_the_catalog_hears_once_of_each_deletion_however_it_comes() -> None:
    """With notice, without (T3, T13), or found out by a look: a time after which mail may go ends with its resource."""

    async def story(world: World) -> None:
        noticed, sudden, missed = (
            world.api.create_account(AccountRef("team-a", name), interval="168h", auth={"secretRef": {"name": "alice"}})
            for name in ("noticed", "sudden", "missed")
        )
        await world.passes(10)
        world.api.begin_deletion(AccountRef("team-a", "noticed"))
        await world.scheduler.release(noticed["metadata"]["uid"], 8)
        world.api.watch(lambda *_: None, alone=True)
        for name in ("noticed", "sudden", "missed"):
            world.api.remove(AccountRef("team-a", name))
        await world.scheduler.gone(noticed["metadata"]["uid"])
        await world.scheduler.gone(sudden["metadata"]["uid"])
        assert ["noticed", "sudden"] == [each.name for each in world.deleted]
        await world.passes(5000)
        await world.scheduler.gone(missed["metadata"]["uid"])

        assert ["noticed", "sudden", "missed"] == [each.name for each in world.deleted]

    in_world(story)


@pytest.mark.parametrize("trouble", ["away", "hangs"])
def test_a_deletion_that_the_catalog_could_not_note_is_told_again(trouble: str) -> None:
    """Or mail of an account that is gone would go on to be past its time, and an upkeep by hand remove it. A resource
    of the same name that was made meanwhile speaks for itself."""

    async def story(world: World) -> None:
        reminding = asyncio.ensure_future(world.scheduler.remind())
        documents = {ref: world.api.create_account(ref) for ref in (ALICE, BOB, CAROL)}
        await world.passes(10)
        world.catalog_is_away, world.catalog_takes_s = trouble == "away", 1000.0 if trouble == "hangs" else 0.0
        for ref, document in documents.items():
            world.api.begin_deletion(ref)
            await world.scheduler.release(document["metadata"]["uid"], 8)
            world.api.remove(ref)
        world.api.create_account(BOB)
        await world.passes(200)
        assert [] == world.deleted
        world.catalog_is_away, world.catalog_takes_s = False, 0.0
        await world.passes(100)
        reminding.cancel()

        assert {ALICE, CAROL} == set(world.deleted)
        assert 2 == len(world.deleted)

    in_world(story)


def test_a_namespace_that_goes_is_no_crowd_of_threads() -> None:
    """Each deletion that the catalog notes is a thread; those that come to no turn in time are told later."""

    async def story(world: World) -> None:
        reminding = asyncio.ensure_future(world.scheduler.remind())
        fleet = [AccountRef("team-a", f"account-{number}") for number in range(100)]
        documents = [world.api.create_account(ref, suspend=True) for ref in fleet]
        await world.passes(10)
        world.catalog_takes_s = 1.5
        for ref in fleet:
            world.api.begin_deletion(ref)
        await asyncio.gather(*(world.scheduler.release(each["metadata"]["uid"], 8) for each in documents))
        assert world.now < 10 + 10
        assert DELETED_AT_ONCE == len(world.deleted)
        await world.passes(300)
        reminding.cancel()

        assert sorted(fleet) == sorted(world.deleted)

    in_world(story)


def test_an_object_created_again_during_a_run_waits_for_its_end() -> None:
    """S2: a lock for each uid alone would let two runs go on."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=300, is_deaf=True)
        world.api.create_account(ALICE)
        await world.passes(100)
        world.api.remove(ALICE)
        world.api.create_account(ALICE)
        await world.passes(250)

        assert [0, 300] == world.starts()

    in_world(story)


def test_an_account_that_went_between_two_listings_leaves_no_series() -> None:
    """Ours knew it, Kopf's did not show it any more: nobody would ever hand it over or take it away, and its alerts
    would go on until the process ends. One that Kopf is only late with stays."""

    async def story(world: World) -> None:
        looking = asyncio.ensure_future(world.scheduler.look_for_ghosts())
        world.api.watch(lambda *_: None, alone=True)
        for ref in (ALICE, BOB):
            world.scheduler.observe(world.api.create_account(ref))
        world.api.remove(ALICE)
        world.api.is_down = True
        await world.passes(1000)
        assert [ALICE, BOB] == [each.ref for each in world.scheduler.accounts]
        world.api.is_down = False
        await world.passes(1000)
        looking.cancel()

        assert [BOB] == [each.ref for each in world.scheduler.accounts]

    in_world(story)


def test_a_driver_notices_at_its_next_run_that_the_object_is_another_one() -> None:
    """The watch may miss the end of an object and the start of the next one."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE)
        await world.passes(100)
        world.api._watches.clear()
        world.api.remove(ALICE)
        world.api.create_account(ALICE)
        await world.passes(1000)

        assert [0] == world.starts()
        assert not world.drives()

    in_world(story)


def test_slots_are_given_in_the_order_of_asking() -> None:
    """A fair queue; the wait is measured."""
    names = [AccountRef("team-a", f"account-{number}") for number in range(6)]

    async def story(world: World) -> None:
        for ref in names:
            world.fates[ref] = Fate(lasts_s=10)
            world.api.create_account(ref)
            await world.passes(0.5)
        await world.passes(100)

        assert names == [each.ref for each in world.runs]
        assert [0, 0, 10, 10, 20, 20] == [int(each.began / 10) * 10 for each in world.runs]
        exposed = world.metrics.exposition()[0].decode()
        assert "archivmail_sync_queue_wait_seconds_count 6.0" in exposed
        assert "archivmail_syncs_in_progress 0.0" in exposed

    in_world(story, slots=2)


def test_an_account_that_leaves_the_queue_takes_no_slot_with_it() -> None:
    """Deleted or suspended while it waits for a slot."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=100)
        world.api.create_account(ALICE)
        await world.passes(1)
        suspended, deleted, last = (AccountRef("team-a", name) for name in ("suspended", "deleted", "last"))
        for ref in (suspended, deleted, last):
            world.api.create_account(ref)
        await world.passes(1)
        world.api.change_spec(suspended, suspend=True)
        world.api.remove(deleted)
        await world.passes(1)
        assert not world.drives(deleted)
        await world.passes(200)

        assert [100] == world.starts(last)
        assert [] == world.starts(suspended)

    in_world(story, slots=1)


def test_failed_runs_are_tried_again_ever_later() -> None:
    """S5: 1 s, 60 s, 300 s, then the interval."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=0.2, failure=LOST)
        world.api.create_account(ALICE)
        await world.passes(1500)

        assert [0, 2, 63, 364, 965] == world.starts()  # in whole seconds, as nextSyncTime shows them
        assert 5 == world.api.status(ALICE)["consecutiveFailures"]

    in_world(story)


def test_a_bug_in_a_run_counts_as_a_failed_run() -> None:
    """S6: whatever the run raises, the account goes on."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(error=KeyError("a bug"))
        world.api.create_account(ALICE)
        await world.passes(1.5)
        status = world.api.status(ALICE)
        assert "Failed" == status["lastResult"]
        world.fates[ALICE] = Fate()
        await world.passes(10)

        assert "Succeeded" == world.api.status(ALICE)["lastResult"]

    in_world(story)


def test_another_process_that_holds_the_account_is_waited_for() -> None:
    """S2 across processes: conditions stay as they are, and the next look is soon."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE)
        await world.passes(10)
        before = world.api.status(ALICE)["conditions"]
        world.fates[ALICE] = Fate(0.1, failure=Failure(Reason.RUN_IN_PROGRESS, "another process archives alice"))
        await world.passes(620)
        assert [0, 601, 617] == world.starts()
        assert before == world.api.status(ALICE)["conditions"]
        world.fates[ALICE] = Fate()
        await world.passes(30)

        assert "Succeeded" == world.api.status(ALICE)["lastResult"]

    in_world(story)


def test_what_another_process_writes_of_its_run_stays() -> None:
    """Replicas that disagree about their number take an account for theirs, both: the one that was refused the lock
    knows the older status, and writes none."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE)
        await world.passes(10)
        theirs = {**world.api.status(ALICE), "lastSyncDurationSeconds": 4242}
        refusal = Failure(Reason.RUN_IN_PROGRESS, "another process archives alice")
        world.fates[ALICE] = Fate(0.1, failure=refusal, during=lambda _: world.api.put_status(ALICE, {**theirs}))
        await world.passes(600)

        assert 2 == len(world.runs)
        assert theirs == world.api.status(ALICE)

    in_world(story)


def test_shutdown_ends_all_runs_and_keeps_their_results() -> None:
    """S3: interrupted, and written before the process ends."""

    async def story(world: World) -> None:
        for ref in (ALICE, BOB):
            world.fates[ref] = Fate(lasts_s=1000)
            world.api.create_account(ref)
        await world.passes(100)
        await world.scheduler.shut_down(7.5)

        assert world.now < 101
        assert ["Interrupted"] * 2 == [world.api.status(ref)["lastResult"] for ref in (ALICE, BOB)]
        assert "Interrupted" == world.saved[ALICE]["lastResult"]
        world.api.create_account(AccountRef("team-a", "late"))
        await world.passes(100)
        assert 2 == len(world.runs)

    in_world(story)


def test_kopf_may_stop_and_start_a_timer_without_two_runs() -> None:
    """T7: a timer that is started again while the former one still ends."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=100)
        document = world.api.create_account(ALICE)
        await world.passes(10)
        await world.kopf_stops(document)
        assert world.runs[0].was_stopped
        world._stopped.clear()
        world.api.annotate(ALICE, "go on")
        await world.passes(1)

        assert [0, 10] == world.starts()

    in_world(story)


def test_status_that_was_removed_by_hand_is_made_anew() -> None:
    """Losing `.status` costs a run, which finds everything archived."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE, interval="168h")
        await world.passes(1000)
        world.api.put_status(ALICE, {})
        await world.passes(10)

        assert [0, 1000] == world.starts()
        assert "Succeeded" == world.api.status(ALICE)["lastResult"]

    in_world(story)


def test_a_spec_that_cannot_be_read_is_refused_once() -> None:
    """The sentence stands in the status; nothing is tried until something changes."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE, interval="often")
        await world.passes(100_000)
        status = world.api.status(ALICE)
        stalled = next(each for each in status["conditions"] if each["type"] == "Stalled")
        assert "SpecInvalid" == stalled["reason"]
        assert "interval" in stalled["message"]
        assert 1 == status["consecutiveFailures"]

        world.api.change_spec(ALICE, interval="10m")
        await world.passes(10)

        assert [100_000] == world.starts()

    in_world(story)


def test_a_pause_ends_all_runs_and_begins_none_until_it_ends() -> None:
    """What losing a Lease does: also accounts that come meanwhile wait; then everything goes on by itself."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=1000)
        world.api.create_account(ALICE)
        await world.passes(100)
        assert await world.scheduler.pause(7.5)
        world.api.create_account(BOB)
        await world.passes(5000)
        assert [0] == world.starts()
        assert [] == world.starts(BOB)

        world.scheduler.resume()
        await world.passes(10)

        assert world.runs[0].was_stopped
        assert 5100 == world.starts()[1]
        assert [5100] == world.starts(BOB)

    in_world(story)


def test_a_pause_says_when_a_run_does_not_end() -> None:
    """A deaf run keeps its turn, and who lost the Lease hears of it in time."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=1000, is_deaf=True)
        world.api.create_account(ALICE)
        await world.passes(100)

        assert not await world.scheduler.pause(2)
        assert world.now < 103

    in_world(story)
