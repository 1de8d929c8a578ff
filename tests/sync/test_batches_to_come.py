"""How much is still to be asked for can be told before it is asked for."""

from __future__ import annotations

from operator import length_hint

from archivmail.decide.batching import SizeEstimate
from archivmail.model.uidset import UidSet
from archivmail.sync.batches import Batches


def test_the_batches_to_come_are_told_by_number_and_size() -> None:
    """Of 1,000 messages: five batches where they are small, eight of 128 before any size is known."""
    small = Batches(UidSet([(1, 1000)]), lambda: SizeEstimate(10, 10_000), 200)
    unknown = Batches(UidSet([(1, 1000)]), SizeEstimate, 200)
    asked = small.asked_for()

    assert length_hint(asked) == 5
    assert length_hint(unknown.asked_for()) == 8
    next(asked)
    assert length_hint(asked) == 4


def test_what_has_ended_stays_at_its_end() -> None:
    """A refusal brings more; it is for the next fetch."""
    batches = Batches(UidSet.of([1, 2]), SizeEstimate, 200)
    asked = batches.asked_for()
    assert list(asked) == [UidSet.of([1, 2])]
    batches.left = UidSet.of([3])

    assert list(asked) == []
    assert length_hint(asked) == 0
    assert batches.has_more
