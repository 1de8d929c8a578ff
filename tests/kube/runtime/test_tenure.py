"""A replica runs accounts while it holds the Lease of its shard, and at no other time. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from archivmail.decide.leases import Terms
from archivmail.kube.leases import LeaseKeeper
from archivmail.kube.process import EXIT_FAILED, _Operator
from archivmail.kube.tenure import Pausable, Tenure
from tests.cli.program import archivmail
from tests.kube.runtime.fakeleases import FakeLeases
from tests.kube.runtime.virtualtime import VirtualLoop
from tests.kube.runtime.world import ALICE, Fate, World, in_world

if TYPE_CHECKING:
    from archivmail.kube.context import OperatorContext

NAME = "archivmail-shard-0"


class Replica:
    """One process of a shard: a world that is held by a tenure."""

    def __init__(self, world: World, leases: FakeLeases) -> None:
        self.world, self.leases = world, leases
        self.tenure = Tenure(self.candidate("us"))
        world.may_write = self.tenure.may_write

    def candidate(self, identity: str) -> LeaseKeeper:
        return LeaseKeeper(
            self.leases,
            namespace="mail",
            name=NAME,
            identity=identity,
            terms=Terms(15.0),
            clock=self.world.clock,
            monotonic=asyncio.get_running_loop().time,
        )

    async def start(self) -> asyncio.Task[None]:
        await self.tenure.begin(self.world.scheduler)
        return asyncio.ensure_future(self.tenure.hold(self.world.scheduler))


def in_replica(story: Callable[[World, Replica, asyncio.Task[None]], Coroutine[Any, Any, None]]) -> None:
    async def told(world: World) -> None:
        replica = Replica(world, FakeLeases())
        holding = await replica.start()
        try:
            await story(world, replica, holding)
        finally:
            holding.cancel()
            with suppress(asyncio.CancelledError):
                await holding

    in_world(told)


def test_no_run_begins_before_the_lease_is_held() -> None:
    """The replica before it has been killed: its Lease must end first. The account waits, and is known meanwhile."""

    async def story(world: World) -> None:
        replica = Replica(world, FakeLeases())
        await replica.candidate("dead").take()
        holding = await replica.start()
        world.api.create_account(ALICE)
        await world.passes(14)
        assert not world.runs
        assert f"the Lease {NAME} is held by dead" == replica.tenure.problem
        await world.passes(6)

        assert 1 == len(world.runs)
        assert 15 <= world.runs[0].began <= 18
        assert replica.tenure.problem is None
        holding.cancel()

    in_world(story)


def test_runs_end_before_the_lease_does() -> None:
    """The API server is away for longer than the renew deadline. 10 s after the last renewal the run is told to stop;
    it has ended when somebody else may hold the Lease at the earliest."""

    async def story(world: World, replica: Replica, _: asyncio.Task[None]) -> None:
        world.fates[ALICE] = Fate(lasts_s=600)
        world.api.create_account(ALICE)
        await world.passes(30)
        replica.leases.is_down = True
        renewed_at = replica.leases.writes[-1][0]
        await world.passes(60)

        (run,) = world.runs
        assert run.was_stopped
        assert run.ended is not None
        assert renewed_at + 10 <= run.ended <= renewed_at + 11
        assert "cannot be reached" in str(replica.tenure.problem)

    in_replica(story)


def test_an_outage_of_the_api_server_ends_no_process() -> None:
    """The replica takes its Lease again and goes on where it was stopped."""

    async def story(world: World, replica: Replica, holding: asyncio.Task[None]) -> None:
        world.fates[ALICE] = Fate(lasts_s=600)
        world.api.create_account(ALICE)
        await world.passes(30)
        replica.leases.is_down = True
        await world.passes(300)
        assert 1 == len(world.runs)
        replica.leases.is_down = False
        world.fates[ALICE] = Fate(lasts_s=1)
        await world.passes(10)

        assert 2 == len(world.runs)
        assert "Succeeded" == world.api.status(ALICE)["lastResult"]
        assert not holding.done()

    in_replica(story)


def test_a_run_that_does_not_end_ends_the_process() -> None:
    """Only the end of the process is sure to end its threads."""

    async def story(world: World, replica: Replica, holding: asyncio.Task[None]) -> None:
        world.fates[ALICE] = Fate(lasts_s=600, is_deaf=True)
        world.api.create_account(ALICE)
        await world.passes(30)
        replica.leases.is_down = True
        renewed_at = replica.leases.writes[-1][0]
        await holding

        assert renewed_at + 14 <= world.now <= renewed_at + 15.1

    in_replica(story)


def test_a_replica_that_was_paused_tells_nothing_of_what_it_did() -> None:
    """SIGSTOP for a minute, in which another one took the shard over: its status is newer, and stays."""

    async def story(world: World, replica: Replica, _: asyncio.Task[None]) -> None:
        world.fates[ALICE] = Fate(lasts_s=600)
        world.api.create_account(ALICE)
        await world.passes(20)
        before = world.api.status(ALICE)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.advance(60)
        other = asyncio.ensure_future(replica.candidate("other").take())
        await world.passes(40)

        assert world.runs[0].was_stopped
        assert world.runs[0].ended is not None
        assert world.runs[0].ended <= 20 + 60 + 1
        assert before == world.api.status(ALICE)
        assert not other.done() or not replica.tenure.may_write()

    in_replica(story)


def test_results_of_before_do_not_come_back() -> None:
    """What could not be written when the Lease was lost is older than what its next holder has written."""

    async def story(world: World, replica: Replica, _: asyncio.Task[None]) -> None:
        world.api.create_account(ALICE)
        await world.passes(5)
        (account,) = world.scheduler.accounts
        account.unsaved = account.status
        await world.scheduler.pause(1)
        world.scheduler.resume()

        assert account.unsaved is None

    in_replica(story)


def test_without_shards_nothing_is_held() -> None:
    """One replica needs no right to Leases."""

    async def story(world: World) -> None:
        tenure = Tenure(None)
        await tenure.begin(world.scheduler)
        holding = asyncio.ensure_future(tenure.hold(world.scheduler))
        world.api.create_account(ALICE)
        await world.passes(5)

        assert 1 == len(world.runs)
        assert (None, True, True) == (tenure.problem, tenure.may_run(), tenure.may_write())
        assert not holding.done()
        await tenure.end()
        holding.cancel()

    in_world(story)


@pytest.mark.parametrize(
    ("archive", "catalog"),
    [
        pytest.param("{folder}", "", id="local"),
        pytest.param("{folder}", "postgresql://db/mail", id="packs-on-a-volume"),
        pytest.param("s3://mail/archive", "", id="no-catalog"),
        pytest.param("s3://mail/archive", "sqlite:///{folder}/catalog.db", id="catalog-on-a-volume"),
    ],
)
def test_shards_that_share_no_archive_are_refused(archive: str, catalog: str, tmp_path: Path) -> None:
    """In one sentence, with exit code 2, and before anything is opened."""
    done = archivmail(
        "operator",
        ARCHIVMAIL_SHARDS="3",
        ARCHIVMAIL_SHARD="0",
        ARCHIVMAIL_ARCHIVE=archive.format(folder=tmp_path),
        ARCHIVMAIL_CATALOG=catalog.format(folder=tmp_path),
    )

    assert 2 == done.code
    assert "ARCHIVMAIL_SHARDS is more than 1, so all replicas must see one archive" in done.err
    assert 1 == len(done.err.strip().splitlines())
    assert [] == list(tmp_path.iterdir())


def test_a_process_whose_lease_nobody_keeps_ends() -> None:
    """A bug, say: it would stay a standby for ever, and nobody would start it anew."""

    class Broken(Tenure):
        async def hold(self, runs: Pausable) -> None:
            await runs.pause(0)
            raise ZeroDivisionError

    async def story(world: World) -> None:
        process = _Operator(cast("OperatorContext", SimpleNamespace(archive_ready=lambda: None)))
        await process._hold(Broken(None), world.scheduler)

        assert EXIT_FAILED == process._exit_code
        assert process._stop.is_set()

    in_world(story)
