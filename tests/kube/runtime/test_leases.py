"""A replica knows in time when its shard is no longer its own. In virtual time, but for the contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archivmail.decide.leases import Terms
from archivmail.kube.client import KubeClient
from archivmail.kube.connection import load_configuration
from archivmail.kube.leases import LeaseApi, LeaseKeeper
from tests.kube.runtime.fakeleases import FakeLeases
from tests.kube.runtime.lease_contract import LeaseContract, Side
from tests.kube.runtime.virtualtime import VirtualLoop, run
from tests.servers.controlplane import ControlPlane

TERMS = Terms(15.0)
T0 = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
NAME = "archivmail-shard-1"


class FakeSide:
    namespace = "mail"

    def __init__(self) -> None:
        self._leases = FakeLeases()

    @asynccontextmanager
    async def api(self) -> AsyncIterator[LeaseApi]:
        yield self._leases

    def remove(self, name: str) -> None:
        self._leases.remove(self.namespace, name)


class RealSide:
    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.namespace = namespace
        self._plane = plane

    def remove(self, name: str) -> None:
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{name}"
        self._plane.api.request("DELETE", path)

    @asynccontextmanager
    async def api(self) -> AsyncIterator[LeaseApi]:
        client = KubeClient(await load_configuration(), lambda *_: None)
        try:
            yield client
        finally:
            await client.close()


class TestFakeLeases(LeaseContract):
    @pytest.fixture
    def side(self) -> Side:
        return FakeSide()


@pytest.mark.servers
class TestRealLeases(LeaseContract):
    @pytest.fixture
    def side(
        self, control_plane: ControlPlane, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Side:
        monkeypatch.setenv("KUBECONFIG", str(control_plane.kubeconfig(tmp_path / "kubeconfig")))
        return RealSide(control_plane, namespace)


def now() -> float:
    return asyncio.get_running_loop().time()


def keeper(api: LeaseApi, identity: str = "us", *, heard: Callable[[bool], None] = lambda _: None) -> LeaseKeeper:
    return LeaseKeeper(
        api,
        namespace="mail",
        name=NAME,
        identity=identity,
        terms=TERMS,
        clock=lambda: T0 + timedelta(seconds=now()),
        heard=heard,
        monotonic=now,
    )


def told(story: Callable[[FakeLeases], Coroutine[Any, Any, None]]) -> None:
    run(story(FakeLeases()))


async def lease_of(api: FakeLeases) -> dict[str, Any]:
    found = await api.get_lease("mail", NAME)
    assert found is not None
    return dict(found)


async def passes(seconds: float) -> None:
    await asyncio.sleep(seconds)


def test_a_lease_that_nobody_has_is_taken_and_renewed() -> None:
    """It stands on the API server as any tool expects it, and lasts as long as it is renewed."""

    async def story(api: FakeLeases) -> None:
        heard: list[bool] = []
        us = keeper(api, heard=heard.append)
        assert not us.may_run()
        await us.take()
        keeping = asyncio.ensure_future(us.keep())
        await passes(100)

        assert us.may_run()
        assert us.may_write()
        assert not keeping.done()
        spec = (await lease_of(api))["spec"]
        assert ("us", 15) == (spec["holderIdentity"], spec["leaseDurationSeconds"])
        assert "2026-11-20T10:00:00.000000Z" == spec["acquireTime"]
        assert "2026-11-20T10:01:40.000000Z" >= spec["renewTime"] > "2026-11-20T10:01:37"
        assert [True] == heard
        keeping.cancel()

    told(story)


def test_runs_end_before_somebody_else_may_hold_the_lease() -> None:
    """The API server is away for longer than the renew deadline: at 10 s runs must end, at 15 s nothing is written."""

    async def story(api: FakeLeases) -> None:
        heard: list[bool] = []
        us = keeper(api, heard=heard.append)
        await us.take()
        keeping = asyncio.ensure_future(us.keep())
        await passes(60)
        renewed_at = api.writes[-1][0]
        api.is_down = True
        why = await keeping

        assert 10 == pytest.approx(now() - renewed_at, abs=0.01)
        assert "cannot be reached" in why
        assert not us.may_run()
        assert us.may_write()
        assert 5 == pytest.approx(us.seconds_left(), abs=0.01)
        assert [True, False] == heard
        await passes(5.01)
        assert not us.may_write()

    told(story)


@pytest.mark.parametrize("fault", ["is_silent", "answers_are_lost"])
def test_an_api_server_that_does_not_answer_is_waited_for_no_longer(fault: str) -> None:
    """A request that hangs does not keep us from knowing; one whose answer was lost extends nothing."""

    async def story(api: FakeLeases) -> None:
        us = keeper(api)
        await us.take()
        keeping = asyncio.ensure_future(us.keep())
        await passes(1)
        setattr(api, fault, True)
        why = await keeping

        assert 10 == pytest.approx(now(), abs=0.01)
        assert "did not answer" in why
        assert not us.may_run()

    told(story)


@pytest.mark.parametrize("fault", ["is_down", "is_silent", "answers_are_lost"])
def test_a_short_outage_costs_nothing(fault: str) -> None:
    """Shorter than the renew deadline."""

    async def story(api: FakeLeases) -> None:
        us = keeper(api)
        await us.take()
        keeping = asyncio.ensure_future(us.keep())
        await passes(2.5)
        setattr(api, fault, True)
        await passes(4)
        setattr(api, fault, False)
        await passes(60)

        assert us.may_run()
        assert not keeping.done()
        keeping.cancel()

    told(story)


def test_another_holder_is_waited_for_until_its_lease_ends() -> None:
    """A replica that was killed: its successor serves the shard one duration and one look later."""

    async def story(api: FakeLeases) -> None:
        dead = keeper(api, "dead")
        await dead.take()
        us = keeper(api)
        await us.take()

        assert 15 <= now() <= 15 + TERMS.retry * 1.2
        spec = (await lease_of(api))["spec"]
        assert ("us", 1) == (spec["holderIdentity"], spec["leaseTransitions"])
        assert not dead.may_write()

    told(story)


def test_why_it_waits_is_told() -> None:
    """In the words of /readyz."""

    async def story(api: FakeLeases) -> None:
        await keeper(api, "them").take()
        us = keeper(api)
        taking = asyncio.ensure_future(us.take())
        await passes(1)

        assert f"the Lease {NAME} is held by them" == us.problem
        api.is_down = True
        await passes(3)
        assert f"the Lease {NAME} cannot be taken: the API server cannot be reached" == us.problem
        taking.cancel()

    told(story)


def test_a_lease_that_was_given_back_is_taken_at_once() -> None:
    """A pod that ends cleanly makes its successor wait for one look only."""

    async def story(api: FakeLeases) -> None:
        first = keeper(api, "first")
        await first.take()
        await first.release()
        assert not first.may_run()
        await keeper(api).take()

        assert 0 == now()

    told(story)


def test_a_lease_is_given_back_though_a_renewal_was_cut_off() -> None:
    """The end of the process cancels a request that the API server has done already."""

    async def story(api: FakeLeases) -> None:
        us = keeper(api)
        await us.take()
        api.answers_are_lost = True
        keeping = asyncio.ensure_future(us.keep())
        await passes(3)
        assert 2 == len(api.writes)
        keeping.cancel()
        await asyncio.wait({keeping})
        api.answers_are_lost = False
        await us.release()

        assert "" == (await lease_of(api))["spec"]["holderIdentity"]

    told(story)


def test_the_lease_of_another_is_not_given_back() -> None:
    """It was taken from us in the last moment."""

    async def story(api: FakeLeases) -> None:
        us = keeper(api)
        await us.take()
        theirs = await lease_of(api)
        theirs["spec"]["holderIdentity"] = "them"
        await api.replace_lease("mail", theirs)
        await us.release()

        assert "them" == (await lease_of(api))["spec"]["holderIdentity"]

    told(story)


def test_after_a_pause_the_lease_of_another_is_respected() -> None:
    """SIGSTOP for longer than the Lease, then SIGCONT: the very first look at the clock says no."""

    async def story(api: FakeLeases) -> None:
        us = keeper(api)
        await us.take()
        keeping = asyncio.ensure_future(us.keep())
        await passes(1)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.advance(60)  # nothing runs meanwhile

        assert not us.may_run()
        assert not us.may_write()
        await keeping
        assert [(0, "us")] == api.writes  # not even tried: somebody else may have it
        await us.release()
        assert [(0, "us")] == api.writes

    told(story)


def test_a_lease_that_another_took_is_given_up_at_once() -> None:
    """However that came about: two do not go on for the rest of a renew deadline."""

    async def story(api: FakeLeases) -> None:
        us = keeper(api)
        await us.take()
        keeping = asyncio.ensure_future(us.keep())
        await passes(1)
        theirs = await lease_of(api)
        theirs["spec"]["holderIdentity"] = "them"
        await api.replace_lease("mail", theirs)
        why = await keeping

        assert now() <= 1 + TERMS.retry
        assert f"the Lease {NAME} is held by them" == why
        assert not us.may_run()
        assert not us.may_write()

    told(story)


def test_labels_of_others_stay_and_cost_nothing() -> None:
    """Somebody labels the Lease, somebody deletes it: it is ours all the same."""

    async def story(api: FakeLeases) -> None:
        us = keeper(api)
        await us.take()
        keeping = asyncio.ensure_future(us.keep())
        await passes(3)
        api.touch("mail", NAME, labels={"team": "mail"})
        await passes(30)
        assert {"team": "mail"} == (await lease_of(api))["metadata"]["labels"]
        api.remove("mail", NAME)
        await passes(30)

        assert us.may_run()
        assert "us" == (await lease_of(api))["spec"]["holderIdentity"]
        keeping.cancel()

    told(story)


@settings(max_examples=25, deadline=None)
@given(
    outages=st.lists(st.tuples(st.floats(0, 200), st.floats(0.1, 40)), max_size=6),
    delay=st.floats(0, 4),  # a second attempt fits into the renew deadline
    lost=st.booleans(),
)
def test_never_two_may_write_at_once(outages: list[tuple[float, float]], delay: float, lost: bool) -> None:
    """Three candidates, an API server that is slow and away at random: at each moment at most one may write."""

    async def candidate(api: FakeLeases, us: LeaseKeeper) -> None:
        while True:
            await us.take()
            await us.keep()

    async def breakdowns(api: FakeLeases) -> None:
        for begin, length in sorted(outages):
            await passes(max(0.0, begin - now()))
            fault = "answers_are_lost" if lost else "is_down"
            setattr(api, fault, True)
            await passes(length)
            setattr(api, fault, False)

    async def story(api: FakeLeases) -> None:
        api.delay_s = delay
        all_of_them = [keeper(api, f"candidate-{number}") for number in range(3)]
        tasks = [asyncio.ensure_future(candidate(api, each)) for each in all_of_them]
        tasks.append(asyncio.ensure_future(breakdowns(api)))
        held = 0
        for _ in range(500):
            await passes(0.6)
            holders = sum(each.may_write() for each in all_of_them)
            assert holders <= 1
            held += holders
        assert held
        for each in tasks:
            each.cancel()
            with suppress(asyncio.CancelledError):
                await each

    told(story)
