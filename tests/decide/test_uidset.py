"""UID sets behave as sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.model.uidset import MAX_UID, UidSet

numbers = st.sets(st.integers(1, 60) | st.integers(MAX_UID - 5, MAX_UID))


@given(numbers, numbers)
def test_set_operations_agree_with_python_sets(a: set[int], b: set[int]) -> None:
    """Union, difference, intersection, length, order and membership."""
    left, right = UidSet.of(a), UidSet.of(b)

    assert sorted(a | b) == list(left | right)
    assert sorted(a - b) == list(left - right)
    assert sorted(a & b) == list(left & right)
    for result, expected in ((left | right, a | b), (left - right, a - b), (left & right, a & b)):
        assert result == UidSet.of(expected), "one set has one form"
        assert len(result) == len(expected)
    assert (len(a), bool(a)) == (len(left), bool(left))
    assert all((uid in a) == (uid in left) for uid in range(62))


@given(numbers, st.integers(1, 9))
def test_pieces_are_the_set_in_order(a: set[int], count: int) -> None:
    """Each of `count` UIDs but the last, ascending, nothing twice and nothing left out."""
    pieces = [list(piece) for piece in UidSet.of(a).pieces(count)]

    assert sorted(a) == [uid for piece in pieces for uid in piece]
    assert all(len(piece) == count for piece in pieces[:-1])
    assert all(0 < len(piece) <= count for piece in pieces)


@given(numbers)
def test_text_is_an_ascending_sequence_set(a: set[int]) -> None:
    """RFC 9051 §9: reading the text back gives the same set; no descending ranges (trap 49)."""
    text = str(UidSet.of(a))
    ranges = [tuple(int(n) for n in part.split(":")) for part in text.split(",") if part]

    assert UidSet.of(a) == UidSet((r[0], r[-1]) for r in ranges)
    assert ranges == sorted(ranges)


def test_a_million_neighbours_are_one_range() -> None:
    """Memory follows the ranges, not the messages (invariant 9)."""
    assert ((1, 1_000_000),) == (UidSet([(1, 500_000)]) | UidSet([(500_001, 1_000_000)])).ranges


@pytest.mark.parametrize("bad", [0, MAX_UID + 1])
def test_numbers_outside_the_protocol_are_refused(bad: int) -> None:
    """Trap 15, trap 16: UIDs are 1 to 4294967295."""
    with pytest.raises(ValueError, match="a UID is a number from 1 to 4294967295"):
        UidSet.of([bad])
