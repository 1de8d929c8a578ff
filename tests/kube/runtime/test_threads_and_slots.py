"""Blocking work beside the event loop, and the fair limit on it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from archivmail.kube.slots import STALE_ENTRIES, Slots, Ticket
from archivmail.kube.threads import in_thread
from tests.kube.runtime.virtualtime import run


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
        assert [True, False, False, False] == [each.granted.done() for each in tickets]
        slots.withdraw(tickets[1])
        slots.release(tickets[0])
        assert tickets[2].granted.done()
        slots.withdraw(tickets[2])  # came in the same moment: given back
        assert tickets[3].granted.done()
        slots.release(tickets[3])

        assert 0 == slots.in_use
        assert {0, 1} == set(heard)

    asyncio.run(story())


def granted(tickets: list[Ticket]) -> list[int]:
    return [index for index, each in enumerate(tickets) if each.granted.done() and not each.granted.cancelled()]


def test_who_waits_for_a_full_lane_holds_no_slot() -> None:
    """Two connections to a server: its other accounts wait, those of another server run."""

    async def story() -> None:
        slots = Slots(4, room=lambda lane: 2 if lane == "full" else None)
        tickets = [slots.ticket(lane) for lane in ("full", "full", "full", "full", "other", "other", "other")]
        assert [0, 1, 4, 5] == granted(tickets)
        slots.release(tickets[0])
        assert [0, 1, 2, 4, 5] == granted(tickets)
        slots.release(tickets[4])

        assert [0, 1, 2, 4, 5, 6] == granted(tickets)
        assert 4 == slots.in_use

    asyncio.run(story())


def test_a_server_with_many_accounts_keeps_no_other_waiting() -> None:
    """A thousand accounts of one server asked first; the one of another server is next all the same."""

    async def story() -> None:
        slots = Slots(2)
        many = [slots.ticket("many") for _ in range(1000)]
        single = slots.ticket("single")
        slots.release(many[0])

        assert single.granted.done()
        assert [0, 1] == granted(many)

    asyncio.run(story())


def test_servers_take_turns_and_their_accounts_too() -> None:
    """Nobody is passed over for ever: with one slot the servers alternate, each account in its order."""

    async def story() -> None:
        slots, order = Slots(1), []
        waiting = {slots.ticket(lane): f"{lane}{number}" for number in range(3) for lane in ("a", "b", "c")}
        while waiting:
            (running,) = (each for each in waiting if each.granted.done())
            order.append(waiting.pop(running))
            slots.release(running)

        assert ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"] == order

    asyncio.run(story())


def test_a_slot_is_wanted_only_by_who_could_use_it() -> None:
    """A run gives way to those whom its end would help: of its own server, or kept waiting by nothing but the slots."""

    async def story() -> None:
        slots = Slots(2, room=lambda lane: 1 if lane == "full" else None)
        full, other = slots.ticket("full"), slots.ticket("other")
        assert not slots.is_wanted(full)
        second = slots.ticket("full")
        assert slots.is_wanted(full)
        assert not slots.is_wanted(other)  # "full" stays full whatever "other" does
        slots.withdraw(second)
        assert not slots.is_wanted(full)
        slots.ticket("third")

        assert slots.is_wanted(full)
        assert slots.is_wanted(other)

    asyncio.run(story())


def test_a_lane_gets_the_room_that_it_has_gained() -> None:
    """The server complained, and later takes more again."""

    async def story() -> None:
        rooms = {"a": 1}
        slots = Slots(8, room=lambda lane: rooms[str(lane)])
        tickets = [slots.ticket("a") for _ in range(6)]
        assert [0] == granted(tickets)
        rooms["a"] = 3
        slots.release(tickets[0])

        assert [0, 1, 2, 3] == granted(tickets)

    asyncio.run(story())


def test_nothing_is_kept_of_lanes_and_tickets_that_are_gone() -> None:
    """Ten thousand accounts come and go, most of them without having had a slot."""

    async def story() -> None:
        slots = Slots(3, room=lambda _: 2)
        held: list[Ticket] = []
        for number in range(20_000):
            ticket = slots.ticket(number % 50)
            if ticket.granted.done():
                held.append(ticket)
            else:
                slots.withdraw(ticket)
            if len(held) == 3:
                slots.release(held.pop(0))
        for ticket in held:
            slots.release(ticket)

        assert 0 == slots.in_use
        assert {} == slots._queues
        assert len(slots._next) <= STALE_ENTRIES + 1

    asyncio.run(story())


def test_slots_that_are_held_back_are_given_one_by_one_until_they_are_opened() -> None:
    """While a process starts: also where runs end at once."""

    async def story() -> None:
        slots = Slots(4)
        slots.hold_back(pace_s=1, longest_s=60)
        tickets = [slots.ticket() for _ in range(8)]
        assert [0] == granted(tickets)
        slots.release(tickets[0])
        assert [0] == granted(tickets)
        await asyncio.sleep(2.5)
        assert [0, 1, 2] == granted(tickets)
        slots.open()

        assert [0, 1, 2, 3, 4] == granted(tickets)

    run(story())


def test_slots_are_not_held_back_for_long() -> None:
    """Nobody waits for an opening that does not come."""

    async def story() -> None:
        slots = Slots(4)
        slots.hold_back(pace_s=1000, longest_s=60)
        tickets = [slots.ticket() for _ in range(4)]
        await asyncio.sleep(59)
        assert [0] == granted(tickets)
        await asyncio.sleep(2)

        assert [0, 1, 2, 3] == granted(tickets)

    run(story())


def test_no_slots_at_all_is_a_mistake() -> None:
    """Nothing would ever run."""
    with pytest.raises(ValueError, match="one slot"):
        Slots(0)
