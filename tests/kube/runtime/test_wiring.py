"""What the scheduler of a process is put together from: the parts hear of each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from archivmail.kube.events import EventSender
from archivmail.kube.indexing import IndexDrain
from archivmail.kube.tenure import Tenure
from archivmail.kube.upkeep import Upkeep
from archivmail.kube.wiring import OPENING_S, scheduler_of
from archivmail.model.account import AccountRef, ObjectUid
from archivmail.model.outcome import AccountOutcome, Result
from archivmail.observe.metrics import Metrics
from archivmail.sync.account import Job
from tests.kube.runtime.fakeapi import FakeApi
from tests.kube.runtime.virtualtime import run
from tests.kube.runtime.world import T0, Stopped

if TYPE_CHECKING:
    from archivmail.kube.context import OperatorContext

FLEET = [AccountRef("team-a", f"account-{number}") for number in range(130)]


@pytest.mark.parametrize("is_ever_over", [True, False])
def test_a_start_lets_one_run_begin_each_second_until_every_account_has_a_driver(
    monkeypatch: pytest.MonkeyPatch, *, is_ever_over: bool
) -> None:
    """And for two minutes at most: one account may never be handed over."""
    began: list[int] = []

    async def story() -> None:
        loop = asyncio.get_running_loop()

        def now() -> datetime:
            return T0 + timedelta(seconds=loop.time())

        def at_once(work: Callable[[], Any], *, name: str) -> asyncio.Future[Any]:
            done = loop.create_future()
            done.set_result(work())
            return done

        def run_account(job: Job, *_: object) -> AccountOutcome:
            began.append(round(loop.time()))
            return AccountOutcome(Result.SUCCEEDED, now(), now(), secret_version=job.secret_version)

        def nothing(*_: object) -> None:
            pass

        monkeypatch.setattr("archivmail.kube.wiring.in_thread", at_once)
        metrics = Metrics()
        context = SimpleNamespace(
            settings=SimpleNamespace(slots=8),
            metrics=metrics,
            clock=now,
            run_account=run_account,
            save_status=nothing,
            keep_policy=nothing,
            account_deleted=nothing,
            host_room=nothing,
        )
        api = FakeApi()
        api.put_secret("team-a", "alice", username="alice", password="correct horse")
        scheduler = scheduler_of(
            cast("OperatorContext", context),
            api,
            events=EventSender(api, now, instance="pod", count_lost=metrics.events_lost),
            index=IndexDrain(lambda _: 0, lambda: 0, lambda: None, metrics),
            upkeep=Upkeep(lambda *_: None, lambda: 0),
            held=Tenure(None),
        )
        uids = []
        for ref in FLEET:
            document = api.create_account(ref, interval="168h")
            scheduler.observe(document)
            uids.append(ObjectUid(document["metadata"]["uid"]))
        drivers = [asyncio.ensure_future(scheduler.attend(uid, Stopped())) for uid in uids[:-1]]
        await asyncio.sleep(1.5)
        assert [0, 1] == began
        if is_ever_over:
            drivers.append(asyncio.ensure_future(scheduler.attend(uids[-1], Stopped())))
            await asyncio.sleep(0.1)
            assert len(FLEET) == len(began)
        else:
            await asyncio.sleep(OPENING_S - 2)
            assert list(range(120)) == began
            await asyncio.sleep(1)
            assert len(FLEET) - 1 == len(began)
        for uid in uids:
            scheduler.forget(uid)
        await asyncio.wait(drivers)

    run(story())
