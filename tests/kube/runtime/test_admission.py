"""New objects wait for each other, and no one waits for ever."""

from __future__ import annotations

import asyncio

from archivmail.kube.admission import Admissions
from archivmail.model.account import ObjectUid
from tests.kube.runtime.virtualtime import run

A, B, C = (ObjectUid(each) for each in "abc")


def test_a_place_is_given_on_in_the_order_of_asking() -> None:
    """T18: two at once here; the third comes in when one has its finalizer."""

    async def story() -> None:
        admissions = Admissions(at_once=2)
        await admissions.enter(A)
        await admissions.enter(A)  # seen again: it keeps its one place
        await admissions.enter(B)
        third = asyncio.ensure_future(admissions.enter(C))
        await asyncio.sleep(1)
        assert not third.done()

        admissions.leave(A)
        await asyncio.wait_for(third, 1)
        admissions.leave(A)  # it has no place any more, so none is given back

        fourth = asyncio.ensure_future(admissions.enter(A))
        await asyncio.sleep(1)
        assert not fourth.done()
        fourth.cancel()

    run(story())


def test_one_that_gets_no_finalizer_gives_its_place_up() -> None:
    """The right to patch may be missing, and then nobody would ever come in."""

    async def story() -> None:
        loop = asyncio.get_running_loop()
        admissions = Admissions(at_once=1, patience_s=10)
        await admissions.enter(A)
        await admissions.enter(B)

        assert 10 <= loop.time() < 11

    run(story())
