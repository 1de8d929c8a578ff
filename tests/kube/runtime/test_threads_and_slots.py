"""Blocking work beside the event loop, and the fair limit on it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from archivmail.kube.slots import Slots
from archivmail.kube.threads import in_thread


def test_work_runs_beside_the_loop_and_gives_its_result() -> None:
    """The loop goes on meanwhile: it is what lets the work end."""

    async def story() -> None:
        gate = threading.Event()
        work = in_thread(lambda: gate.wait(10) and threading.current_thread().name, name="work")
        gate.set()
        assert "work" == await work

    asyncio.run(story())


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(1)], ids=repr)
def test_whatever_work_raises_arrives_as_an_exception(error: BaseException) -> None:
    """S6: SystemExit in a run must not end the operator."""

    def fail() -> None:
        raise error

    async def story() -> None:
        with pytest.raises((ValueError, RuntimeError)):
            await in_thread(fail, name="work")

    asyncio.run(story())


def test_a_thread_that_outlives_the_loop_harms_nobody() -> None:
    """A run that hung is left alone; its end is heard by no one."""
    gate = threading.Event()
    ended = threading.Event()

    def work() -> None:
        gate.wait(10)
        ended.set()

    async def story() -> None:
        in_thread(work, name="work")

    asyncio.run(story())
    gate.set()

    assert ended.wait(10)


def test_slots_are_given_first_come_first_served() -> None:
    """Also when some leave the queue."""

    async def story() -> None:
        heard: list[int] = []
        slots = Slots(1, heard.append)
        tickets = [slots.ticket() for _ in range(4)]
        assert [True, False, False, False] == [each.done() for each in tickets]
        slots.withdraw(tickets[1])
        slots.release()
        assert tickets[2].done()
        slots.withdraw(tickets[2])  # came in the same moment: given back
        assert tickets[3].done()
        slots.release()

        assert 0 == slots.in_use
        assert {0, 1} == set(heard)

    asyncio.run(story())


def test_no_slots_at_all_is_a_mistake() -> None:
    """Nothing would ever run."""
    with pytest.raises(ValueError, match="one slot"):
        Slots(0)
