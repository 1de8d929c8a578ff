"""Which packs are written anew: few enough to be cheap, soon enough to be of use."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.decide.upkeep import (
    DEAD_FOR,
    GRACE,
    MANY,
    MEMBER_WEIGHT,
    MOST,
    MOST_REPLACED,
    OLD,
    SMALL,
    PackFacts,
    is_over,
    rewrites,
)

NOW = datetime(2026, 11, 27, tzinfo=UTC)
KB = 1000


def packs(*sizes: int, age: timedelta = timedelta(hours=1)) -> list[PackFacts]:
    return [PackFacts(f"{at:04d}", size, NOW - age) for at, size in enumerate(sizes)]


def chosen(given_packs: list[PackFacts], *, is_thorough: bool = False) -> list[list[str]]:
    return [[pack.name for pack in each.packs] for each in rewrites(given_packs, NOW, is_thorough=is_thorough)]


@pytest.mark.parametrize("number", [pytest.param(MANY - 1, id="too-few"), pytest.param(MANY, id="enough")])
def test_many_small_packs_in_a_row_are_merged(number: int) -> None:
    """All of them, in their order."""
    found = chosen(packs(*[40 * KB] * number))
    assert found == ([[f"{at:04d}" for at in range(number)]] if number >= MANY else [])


def test_a_large_pack_is_left_alone_and_parts_its_neighbours() -> None:
    """Only what follows one another becomes one."""
    sizes = [40 * KB] * 5 + [SMALL] + [40 * KB] * MANY
    assert chosen(packs(*sizes)) == [[f"{at:04d}" for at in range(6, 6 + MANY)]]


def test_the_largest_must_not_outweigh_the_rest() -> None:
    """Or a merged pack would be copied again and again for a few new messages."""
    assert chosen(packs(12_000 * KB, *[40 * KB] * MANY)) == [[f"{at:04d}" for at in range(1, MANY + 1)]]
    assert len(chosen(packs(320 * KB, *[40 * KB] * MANY))[0]) == MANY + 1


def test_a_few_old_packs_are_merged_too() -> None:
    """No more will come soon; a day before that they wait."""
    assert len(chosen(packs(9 * KB, 9 * KB, 9 * KB, age=OLD))) == 1
    assert chosen(packs(9 * KB, 9 * KB, 9 * KB, age=OLD - timedelta(days=1))) == []
    assert chosen(packs(9 * KB, age=OLD)) == []


def test_bounds_of_one_merge_hold() -> None:
    """Number, octets and the names that it carries."""
    found = rewrites(packs(*[KB] * (MOST + MANY)), NOW)
    assert [len(each.packs) for each in found] == [MOST, MANY]
    assert all(each.size <= 2 * SMALL for each in rewrites(packs(*[SMALL - 1] * 20), NOW, is_thorough=True))
    names = [PackFacts(f"{at:04d}", KB, NOW, replaced=MOST_REPLACED // 4) for at in range(20)]
    for each in rewrites(names, NOW, is_thorough=True):
        assert sum(pack.replaced + 1 for pack in each.packs) <= MOST_REPLACED


@pytest.mark.parametrize(
    ("dead", "since", "is_due"),
    [
        pytest.param(25, timedelta(0), True, id="a-quarter"),
        pytest.param(24, timedelta(0), False, id="less"),
        pytest.param(1, DEAD_FOR, True, id="long-dead"),
        pytest.param(1, DEAD_FOR - timedelta(hours=1), False, id="not-long-dead"),
        pytest.param(0, timedelta(days=999), False, id="nothing-dead"),
    ],
)
def test_dead_octets_leave_a_pack_when_they_are_many_or_old(dead: int, since: timedelta, is_due: bool) -> None:
    """Large packs too."""
    pack = PackFacts("0000", 100 * SMALL, NOW, dead * SMALL, NOW - since if dead else None)
    assert bool(chosen([pack])) is is_due
    assert bool(chosen([pack], is_thorough=True)) is (dead > 0)


def test_thorough_upkeep_merges_every_two_small_packs() -> None:
    """Whatever their sizes."""
    assert chosen(packs(12_000 * KB, KB), is_thorough=True) == [["0000", "0001"]]
    assert chosen(packs(KB), is_thorough=True) == []


SOME_PACKS = st.lists(
    st.tuples(st.integers(1, 3 * SMALL), st.integers(0, 100), st.integers(0, 100), st.integers(0, MOST_REPLACED)),
    max_size=60,
)


@given(SOME_PACKS, st.booleans())
def test_no_pack_is_chosen_twice_and_the_order_is_kept(
    some: list[tuple[int, int, int, int]], is_thorough: bool
) -> None:
    """And only neighbours are put together."""
    given_packs = [
        PackFacts(f"{at:04d}", size, NOW - timedelta(days=age), size * dead // 100, NOW if dead else None, replaced)
        for at, (size, age, dead, replaced) in enumerate(some)
    ]
    found = chosen(given_packs, is_thorough=is_thorough)

    names = [name for run in found for name in run]
    assert names == sorted(set(names))
    for run in found:
        assert [int(name) for name in run] == list(range(int(run[0]), int(run[0]) + len(run)))


def test_an_octet_is_copied_few_times_in_the_life_of_an_archive() -> None:
    """Three thousand runs with upkeep after each: no more than a dozen copies for each octet that came in."""
    numbers = random.Random(7)
    alive: list[PackFacts] = []
    came = copied = 0
    for at in range(3000):
        size = numbers.randint(20, 200) * KB
        alive.append(PackFacts(f"{at:05d}", size, NOW))
        came += size
        for each in rewrites(alive, NOW):
            gone = set(each.packs)
            copied += each.size
            place = alive.index(each.packs[-1])
            alive[place] = PackFacts(each.packs[-1].name, each.size, NOW)
            alive = [pack for pack in alive if pack not in gone or pack.name == each.packs[-1].name]
            alive = [pack for at2, pack in enumerate(alive) if at2 == 0 or pack.name != alive[at2 - 1].name]
    assert copied <= 12 * came
    assert len(alive) < 100


@pytest.mark.parametrize(("age", "over"), [(GRACE, True), (GRACE - timedelta(seconds=1), False)])
def test_a_retired_pack_goes_when_its_grace_is_over(age: timedelta, over: bool) -> None:
    """To the second."""
    assert is_over(NOW - age, NOW, GRACE) is over


def test_many_small_members_make_a_pack_large() -> None:
    """The memory of a merge grows with its members, whatever their size: bounded, and left alone afterwards."""
    packs = [PackFacts(f"{at:04d}", KB, NOW, members=2000) for at in range(100)]

    merges = rewrites(packs, NOW)

    assert merges
    assert max(sum(pack.members for pack in each.packs) for each in merges) <= 2 * SMALL // MEMBER_WEIGHT
    merged = [
        PackFacts(each.packs[-1].name, each.size, NOW, members=sum(pack.members for pack in each.packs))
        for each in merges
    ]
    assert [
        each for each in rewrites(merged, NOW) if max(pack.members for pack in each.packs) >= SMALL // MEMBER_WEIGHT
    ] == []
