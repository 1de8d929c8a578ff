"""What the pinned kopf loses, keeps and limits: T3, T10 to T14 and T18. See test_kopf_timers.py."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import threading
from typing import Any

import kopf
import pytest

from archivmail.kube import handlers
from tests.kube.runtime.kopfengine import Calls, Engine, Things
from tests.kube.runtime.test_kopf_contract import Recorder, registered

pytestmark = pytest.mark.servers

TICK_S = 0.1
A_WHILE_S = 0.6


def test_a_timer_outlives_an_object_that_leaves_the_selection(engine: Engine, things: Things) -> None:
    """T3: that is a DELETED without a deletionTimestamp; `forget` ends the driver, for kopf does not."""
    calls, gone = Calls(), Calls()
    engine.settings.watching.label_selectors["imapaccounts"] = "mine=yes"

    @engine.timer(interval=TICK_S)
    async def tick(**_: Any) -> None:
        calls.add()

    @engine.on_event()
    async def see(event: kopf.RawEvent, **_: Any) -> None:
        if event["type"] == "DELETED":
            gone.add("deletionTimestamp" in event["object"]["metadata"])

    with engine:
        things.create(labels={"mine": "yes"})
        things.wait_for_finalizer()
        things.patch(metadata={"labels": {"mine": "no"}})
        assert [False] == gone.wait(1)
        calls.wait(len(calls) + 3)
        things.patch(metadata={"finalizers": []})
        things.delete()
        calls.wait(len(calls) + 3)


def test_what_a_run_leaves_in_patch_is_lost_when_it_is_cut_off(engine: Engine, things: Things) -> None:
    """T10: it is sent when the handler returns; our status has a writer of its own."""
    calls = Calls()

    @engine.timer(id="run")
    async def run(name: str, patch: kopf.Patch, **_: Any) -> None:
        patch.status["lastResult"] = "Interrupted"
        calls.add(name)
        if name == "cut":
            await asyncio.Event().wait()

    with engine:
        things.create("cut")
        things.create("ends")
        calls.wait(2)
        path = things.path("ends")
        things.plane.api.wait_for(path, lambda body: body.get("status", {}).get("lastResult") == "Interrupted")
        engine.stop()

    assert "lastResult" not in things.get("cut")["status"]


def test_kopf_keeps_the_last_body_of_every_object_in_memory(engine: Engine, things: Things) -> None:
    """T11: the size of a status is memory of the operator; so ours names 100 folders at most."""
    marker = f"folder of {things.namespace}"
    seen = Calls()

    @engine.timer(id="wait")
    async def wait(**others: Any) -> None:
        await others["stopped"].wait()

    @engine.on_event()
    async def see(status: kopf.Status, **_: Any) -> None:
        if "folders" in status:
            seen.add()

    def is_ours(folder: object) -> bool:  # other tests of this process have left lists of other kinds
        return type(folder) is dict and folder.get("name") == marker

    def bodies() -> int:
        gc.collect()
        lists = [each["folders"] for each in gc.get_objects() if type(each) is dict and "folders" in each]
        return sum(type(each) is list and bool(each) and is_ours(each[0]) for each in lists)

    with engine:
        things.create()
        things.wait_for_finalizer()
        assert 0 == bodies()
        things.patch_status(folders=[{"name": marker, "uidValidity": 1}])
        seen.wait(1)
        seen.stay_away(2 * engine.settings.queueing.idle_timeout)  # until no event is being handled

        assert bodies() > 0


def test_threads_of_kopf_are_first_come_first_served(engine: Engine, things: Things) -> None:
    """T12: a run in its pool holds up every other plain handler; ours are coroutines, runs have own threads."""
    calls, events, over = Calls(), Calls(), threading.Event()
    engine.settings.execution.max_workers = 1

    @engine.timer(id="run")
    def run(**_: Any) -> None:
        calls.add()
        over.wait(20)

    @engine.on_event()
    def see(name: str, **_: Any) -> None:
        events.add(name)

    with engine:
        things.create("a")
        calls.wait(1)
        known = len(events)
        things.create("b")
        assert events.stay_away(A_WHILE_S)
        over.set()
        assert "b" in events.wait(known + 2)

    assert all(inspect.iscoroutinefunction(each.fn) for each in registered(Recorder()).values())


def test_a_timer_outlives_an_object_that_goes_before_its_finalizer_comes(engine: Engine, things: Things) -> None:
    """T13: the timer is started before the finalizer is stored."""
    calls, gone = Calls(), Calls()

    @engine.timer(interval=TICK_S)
    async def tick(**_: Any) -> None:
        calls.add()

    @engine.on_event()
    async def delete(event: kopf.RawEvent, name: str, **_: Any) -> None:
        if event["type"] == "DELETED":
            gone.add("deletionTimestamp" in event["object"]["metadata"])
        else:
            await asyncio.to_thread(things.delete, name)  # kopf waits for this handler before it starts the timer

    with engine:
        things.create()
        assert [False] == gone.wait(1)
        calls.wait(len(calls) + 3)


def test_what_a_handler_returns_is_written_into_the_status(
    engine: Engine, things: Things, caplog: pytest.LogCaptureFixture
) -> None:
    """T14: where the schema does not know it, it is pruned, and kopf complains; our handlers return nothing."""
    caplog.set_level(logging.WARNING, "kopf.objects")
    calls = Calls()

    @engine.timer(interval=TICK_S, id="result")
    async def run(**_: Any) -> dict[str, int]:
        calls.add()
        return {"stored": 1}

    with engine:
        things.create()
        calls.wait(3)

    assert "result" not in things.get()["status"]
    assert any("inconsistencies" in each.getMessage() for each in caplog.records)


def test_a_worker_keeps_its_place_while_it_idles(engine: Engine, things: Things) -> None:
    """T18: with a limit, objects come at the rate of limit / idle time; so ours has no limit, and a short idle time."""
    events = Calls()
    engine.settings.queueing.worker_limit = 1
    engine.settings.queueing.idle_timeout = 10 * TICK_S

    @engine.on_event()
    async def see(name: str, **_: Any) -> None:
        events.add(name)

    things.create("a")
    things.create("b")
    with engine:
        events.wait(2)

    assert events.times[1] - events.times[0] >= 9 * TICK_S
    assert handlers.settings().queueing.worker_limit is None
    assert handlers.settings().queueing.idle_timeout <= 1
