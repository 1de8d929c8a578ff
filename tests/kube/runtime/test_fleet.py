"""Many accounts of one process: who is next, who lets others go first, and what a restart starts. In virtual time."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

from archivmail.decide.givingway import LONGEST_TURN
from archivmail.decide.spreading import spread_of
from archivmail.model.account import AccountRef
from tests.kube.runtime.fakeapi import FakeApi
from tests.kube.runtime.operating import condition
from tests.kube.runtime.world import ALICE, T0, Fate, World, in_world

BOB = AccountRef("team-a", "bob")
FLEET = [AccountRef("team-a", f"account-{number:04}") for number in range(1000)]


def wire(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def test_a_restart_with_a_thousand_accounts_starts_only_what_is_due() -> None:
    """S1: due times come from `.status`; nextSyncTime moves for nobody who is not due. Nothing stampedes."""

    api = FakeApi()
    api.put_secret("team-a", "alice", username="alice", password="correct horse")
    planned = {}
    for number, ref in enumerate(FLEET):  # as the process before left them, over one hour from a minute ago
        planned[ref] = wire(T0 + timedelta(seconds=3.6 * number - 60))
        api.create_account(ref, interval="1h")
        api.put_status(ref, {"observedGeneration": 1, "lastAttemptTime": wire(T0), "nextSyncTime": planned[ref]})

    async def story(world: World) -> None:
        world.lists()
        await world.passes(30)
        due = {ref for ref in FLEET if planned[ref] <= wire(T0 + timedelta(seconds=29))}
        assert due == {each.ref for each in world.runs}
        assert 20 < len(due) < 30
        assert all(planned[ref] == world.api.status(ref)["nextSyncTime"] for ref in set(FLEET) - due)
        assert world.api.requests.count("get account") <= len(due) + 1  # who is not due is not even looked at
        await world.passes(3600)

        starts = {each.ref: T0 + timedelta(seconds=each.began) for each in reversed(world.runs)}
        assert all(planned[ref] == wire(starts[ref]) for ref in set(FLEET) - due)

    in_world(story, api=api, spread=spread_of)


def test_a_thousand_new_accounts_begin_in_their_order_as_slots_allow() -> None:
    """A first start: as many at once as there are slots, nobody twice before everybody once."""

    async def story(world: World) -> None:
        for ref in FLEET:
            world.fates[ref] = Fate(lasts_s=4)
            world.api.create_account(ref, interval="1h")
        await world.passes(len(FLEET) / 8 * 4 + 10)

        assert FLEET == [each.ref for each in world.runs]
        ends = [(each.ended or 0.0, -1) for each in world.runs]
        at_once = 0
        for _, step in sorted([(each.began, 1) for each in world.runs] + ends, key=lambda each: (each[0], each[1])):
            at_once += step
            assert at_once <= 8
        assert all(later.began - earlier.began <= 4.5 for earlier, later in pairwise(world.runs))

    in_world(story, slots=8)


def test_a_long_run_gives_its_slot_up_when_others_wait_and_goes_on_after_them() -> None:
    """After five minutes, at the end of the queue; it is one sync in several turns, and none of them failed."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=1000, keeps_messages=True)
        world.fates[BOB] = Fate(lasts_s=100)
        world.api.create_account(ALICE)
        await world.passes(50)
        world.api.create_account(BOB, interval="168h")
        await world.passes(300)
        turn = LONGEST_TURN.total_seconds()
        assert [turn] == [each.ended for each in world.runs_of(ALICE)]
        assert [turn] == world.starts(BOB)
        status = world.api.status(ALICE)
        assert "lastResult" not in status
        assert 0 == status.get("consecutiveFailures", 0)
        assert {"server": 3, "archived": 1, "pending": 2}.items() <= status["messages"].items()
        assert ("Unknown", "True") == tuple(condition(status, each)["status"] for each in ("Ready", "Reconciling"))
        assert [] == [each for each in world.reasons() if each != "Succeeded"]
        await world.passes(1000)

        assert [0, turn + 100] == world.starts(ALICE)
        assert "Succeeded" == world.api.status(ALICE)["lastResult"]
        exposed = world.metrics.exposition()[0].decode()
        assert 'archivmail_syncs_total{reason="GaveWay",result="Interrupted"} 1.0' in exposed

    in_world(story, slots=1)


def test_a_long_run_goes_on_while_nobody_waits() -> None:
    """Another login every five minutes would be for nothing."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=2000, keeps_messages=True)
        world.api.create_account(ALICE)
        world.api.create_account(BOB)
        await world.passes(2100)

        assert [2000] == [each.ended for each in world.runs_of(ALICE)]

    in_world(story, slots=2)


def test_a_run_that_archives_nothing_keeps_its_slot() -> None:
    """Its next turn would begin where this one began; the timeout of the run is what ends it."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=1000)
        world.api.create_account(ALICE)
        world.api.create_account(BOB)
        await world.passes(1100)

        assert [1000] == world.starts(BOB)

    in_world(story, slots=1)


def test_a_requested_run_that_gave_way_is_still_the_requested_one() -> None:
    """S4: the request is answered when all is done, not when the first turn is over."""

    async def story(world: World) -> None:
        world.api.create_account(ALICE)
        await world.passes(10)
        world.fates[ALICE] = Fate(lasts_s=500, keeps_messages=True)
        world.fates[BOB] = Fate(lasts_s=100)
        world.api.annotate(ALICE, "now")
        await world.passes(10)
        world.api.create_account(BOB)
        await world.passes(330)
        assert "lastHandledReconcileAt" not in world.api.status(ALICE)
        await world.passes(400)

        assert [False, True, True] == [each.forced for each in world.runs_of(ALICE)]
        assert "now" == world.api.status(ALICE)["lastHandledReconcileAt"]

    in_world(story, slots=1)


def test_accounts_of_a_full_server_leave_the_slots_to_others() -> None:
    """Two connections to one server, eight slots: its third account waits, an account of another server does not."""

    async def story(world: World) -> None:
        crowd = FLEET[:20]
        for ref in crowd:
            world.fates[ref] = Fate(lasts_s=100)
            world.api.create_account(ref, host="busy.example.org")
        world.api.create_account(BOB, host="other.example.org")
        await world.passes(1)
        assert [0] == world.starts(BOB)
        assert crowd[:2] == [each.ref for each in world.runs if each.ref != BOB]
        await world.passes(1100)

        assert crowd == [each.ref for each in world.runs if each.ref != BOB][:20]
        assert [(index // 2) * 100 for index in range(20)] == [world.starts(ref)[0] for ref in crowd]

    in_world(story, slots=8, host_room=2)


def test_an_account_whose_host_changes_leaves_the_queue_of_the_former_one() -> None:
    """It is not kept waiting by a server that it has nothing to do with any more."""

    async def story(world: World) -> None:
        world.fates[ALICE] = Fate(lasts_s=1000)
        world.api.create_account(ALICE, host="busy.example.org")
        await world.passes(10)
        world.api.create_account(BOB, host="busy.example.org")
        await world.passes(10)
        assert [] == world.starts(BOB)
        world.api.change_spec(BOB, host="idle.example.org")
        await world.passes(1)

        assert [20] == world.starts(BOB)

    in_world(story, slots=8, host_room=1)


def test_the_start_is_over_when_every_account_that_was_listed_has_a_driver() -> None:
    """Or is gone by then: the slots, which are opened by it, do not wait for an account that nobody will hand over."""

    async def story(world: World) -> None:
        world.api.watch(lambda *_: None, alone=True)
        listed = [world.api.create_account(ref) for ref in (*FLEET[:3], ALICE)]
        for document in listed:
            world.scheduler.observe(document)
        for document in listed[:3]:
            await world.passes(1)
            world._watched("ADDED", document)
        await world.passes(5)
        assert [] == world.all_attended
        world.scheduler.forget(listed[3]["metadata"]["uid"])

        assert [world.now] == world.all_attended

    in_world(story)
