"""Timers of the pinned kopf as they are, and not what its documentation says: T1, T2, T4 to T9 and T15 to T17.

Each finding is run on kopf's own engine and the real API server. Where one fails after an update of kopf, the design
has to be looked at again (docs/kopf.md says where), not the test alone.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import kopf
import pytest

from archivmail.kube import handlers
from tests.kube.runtime.kopfengine import Calls, Engine, Things

pytestmark = pytest.mark.servers

TICK_S = 0.1
A_WHILE_S = 0.6
"""How long nothing must happen: six ticks."""


async def held(by: threading.Event) -> None:
    """A run that does not look at `stopped`."""
    await asyncio.to_thread(by.wait, 20)


def is_not_suspended(spec: kopf.Spec, **_: Any) -> bool:
    return not spec.get("suspend")


def test_a_permanent_error_ends_the_cycle_and_not_the_timer(engine: Engine, things: Things) -> None:
    """T1: against the documentation, the next interval calls again."""
    calls = Calls()

    @engine.timer(interval=TICK_S)
    async def fail(**_: Any) -> None:
        calls.add()
        raise kopf.PermanentError("for good, says the documentation")

    with engine:
        things.create()
        calls.wait(3)


def test_an_idle_timer_is_put_off_by_writes_of_status(engine: Engine, things: Things) -> None:
    """T2: without change handlers every event counts as a change, so an operator would put itself off for ever."""
    calls, events = Calls(), Calls()
    idle_s = 1.5

    @engine.timer(interval=TICK_S, idle=idle_s)
    async def tick(**_: Any) -> None:
        calls.add()

    @engine.on_event()
    async def see(status: kopf.Status, **_: Any) -> None:
        events.add(status.get("consecutiveFailures"))

    with engine:
        things.create()
        things.wait_for_finalizer()
        assert calls.stay_away(idle_s / 3)
        things.patch_status(consecutiveFailures=7)
        calls.wait(1)

    written_at = events.times[events.all.index(7)]
    assert calls.times[0] - written_at >= idle_s - 0.05


def test_stopped_is_told_at_once_and_the_finalizer_follows(engine: Engine, things: Things) -> None:
    """T4: a timer that ends when it is told holds up no deletion. It is what `attend` does."""
    calls = Calls()
    engine.settings.background.cancellation_polling = 3600

    @engine.timer(id="attend")
    async def attend(**others: Any) -> None:
        calls.add("began")
        await others["stopped"].wait()
        calls.add("ended")

    with engine:
        things.create()
        things.wait_for_finalizer()
        things.delete()
        things.wait_until_gone()

    assert ["began", "ended"] == calls.all


def test_a_run_that_outlasts_its_deletion_holds_the_finalizer_until_kopf_looks_again(
    engine: Engine, things: Things
) -> None:
    """T5: its end wakes nobody, only the next event or poll; so `observe` waits for the end before kopf looks."""
    calls, over = Calls(), threading.Event()
    engine.settings.background.cancellation_polling = 3600

    @engine.timer(id="sync")
    def run(**others: Any) -> None:
        others["stopped"].wait(20)
        calls.add("told")
        over.wait(20)
        calls.add("ended")

    with engine:
        things.create()
        things.wait_for_finalizer()
        things.delete()
        calls.wait(1)
        assert calls.stay_away(TICK_S)
        over.set()
        calls.wait(2)
        assert calls.stay_away(A_WHILE_S)
        assert "deletionTimestamp" in things.get()["metadata"]
        things.patch(metadata={"annotations": {"look": "again"}})
        things.wait_until_gone()

    assert handlers.settings().background.cancellation_polling <= 2


def test_a_run_sees_its_object_change_under_it(engine: Engine, things: Things) -> None:
    """T6: the arguments are live views; `attend` takes the uid alone, and a run is given frozen values."""
    calls = Calls()

    @engine.timer(id="look")
    async def look(spec: kopf.Spec, **_: Any) -> None:
        calls.add(spec["timeout"])
        while spec["timeout"] == "30m":  # noqa: ASYNC110 - it is the view that is looked at
            await asyncio.sleep(0.01)
        calls.add(spec["timeout"])

    with engine:
        things.create(timeout="30m")
        calls.wait(1)
        things.patch(spec={"timeout": "40m"})

        assert ["30m", "40m"] == calls.wait(2)


def test_a_filter_that_flips_twice_in_a_run_starts_nothing(engine: Engine, things: Things) -> None:
    """T7: not before one more event; so suspension is looked at inside, and no filter is used."""
    calls, seen, over = Calls(), Calls(), threading.Event()

    @engine.timer(id="run", when=is_not_suspended)
    async def run(**_: Any) -> None:
        calls.add()
        await held(over)

    @engine.on_event()
    async def see(spec: kopf.Spec, meta: kopf.Meta, **_: Any) -> None:
        seen.add((spec.get("suspend"), len(meta.get("finalizers", ()))))

    with engine:
        things.create(suspend=False)
        calls.wait(1)
        things.wait_for_finalizer()
        things.patch(spec={"suspend": True})
        things.wait_for_finalizer(present=False)
        things.patch(spec={"suspend": False})
        things.wait_for_finalizer()
        while seen.all[-1] != (False, 1):
            seen.wait(len(seen) + 1)
        over.set()

        assert calls.stay_away(A_WHILE_S)
        things.patch(metadata={"annotations": {"look": "again"}})
        calls.wait(2)


def test_attempts_are_counted_anew_after_the_last(engine: Engine, things: Things) -> None:
    """T8: `retries` ends nothing; our own count of failures stands in the status."""
    calls = Calls()

    @engine.timer(interval=TICK_S, retries=2, backoff=TICK_S)
    async def fail(retry: int, **_: Any) -> None:
        calls.add(retry)
        raise ValueError("a bug")

    with engine:
        things.create()

        assert [0, 1, 0, 1] == calls.wait(4)[:4]


def test_the_delay_of_an_error_takes_the_place_of_the_interval(engine: Engine, things: Things) -> None:
    """T9: also of one that is longer."""
    calls = Calls()

    @engine.timer(interval=TICK_S)
    async def fail(retry: int, **_: Any) -> None:
        calls.add()
        if retry == 0:
            raise kopf.TemporaryError("later", delay=10 * TICK_S)

    with engine:
        things.create()
        calls.wait(2)

    assert calls.times[1] - calls.times[0] >= 9 * TICK_S


def test_deletion_cancels_no_timer(engine: Engine, things: Things) -> None:
    """T15: the object stays as long as its run does, so ours is told by its own flag and left alone after a while."""
    calls, over = Calls(), threading.Event()
    engine.settings.background.cancellation_polling = TICK_S

    @engine.timer(id="run")
    async def run(**_: Any) -> None:
        calls.add("began")
        try:
            await held(over)
        except asyncio.CancelledError:
            calls.add("cancelled")
            raise

    with engine:
        things.create()
        things.wait_for_finalizer()
        things.delete()

        assert calls.stay_away(A_WHILE_S)
        assert "deletionTimestamp" in things.get()["metadata"]
        over.set()
        things.wait_until_gone()

    assert ["began"] == calls.all


def test_a_filter_that_flips_takes_the_finalizer_off_a_run_that_goes_on(engine: Engine, things: Things) -> None:
    """T16: the object may then go while it is archived; a suspended account of ours keeps its finalizer."""
    calls, over = Calls(), threading.Event()

    @engine.timer(id="run", when=is_not_suspended)
    async def run(**_: Any) -> None:
        await held(over)
        calls.add("ended")

    with engine:
        things.create(suspend=False)
        things.wait_for_finalizer()
        things.patch(spec={"suspend": True})
        things.wait_for_finalizer(present=False)

        assert [] == calls.all
        over.set()
        calls.wait(1)


def test_each_tick_is_a_line_in_the_log_and_no_interval_is_no_tick(
    engine: Engine, things: Things, caplog: pytest.LogCaptureFixture
) -> None:
    """T17: ten thousand ticking timers would be work and noise; one without an interval is called once, and waits."""
    caplog.set_level(logging.INFO, "kopf.objects")
    ticks, once = Calls(), Calls()

    @engine.timer(id="ticking", interval=TICK_S)
    async def tick(**_: Any) -> None:
        ticks.add()

    @engine.timer(id="waiting")
    async def wait(**_: Any) -> None:
        once.add()

    with engine:
        things.create()
        ticks.wait(2)
        things.patch_status(consecutiveFailures=1)
        ticks.wait(len(ticks) + 3)

    lines = [each.getMessage() for each in caplog.records]
    assert sum("Timer 'ticking' succeeded" in line for line in lines) >= len(ticks) - 1
    assert 1 == len(once)
