"""Packs sort by time, whatever the clock does, and foreign files are left alone."""

import pytest

from archivmail.archive.packs.names import PackNames, is_pack_name, time_of
from tests.archive.builders import ALICE


def test_names_ascend_when_the_clock_stands_or_steps_back() -> None:
    """Rebuild derives epochs from the order of packs."""
    clock = iter([1000, 1000, 400, 2000])
    names = PackNames(ALICE, milliseconds=lambda: next(clock))

    given = [names.next() for _ in range(4)]

    assert given == sorted(given)
    assert [time_of(name) for name in given] == [1000, 1001, 1002, 2000]


def test_names_go_on_after_the_newest_of_an_earlier_process() -> None:
    """The clock may have been ahead then."""
    earlier = PackNames(ALICE, milliseconds=lambda: 5000).next()

    assert PackNames(ALICE, milliseconds=lambda: 3000, after=earlier).next() > earlier


@pytest.mark.parametrize(
    "name",
    [
        "packs/team-a/alice/0192f0c0a000-00000000aaaa.tar",
        "packs/team-a/alice/.0192f0c0a000-00000000aaaa.tar.zst.tmp",
        "packs/team-a/alice/notes.tar.zst",
        "packs/alice/0192f0c0a000-00000000aaaa.tar.zst",
        "other/team-a/alice/0192f0c0a000-00000000aaaa.tar.zst",
    ],
)
def test_foreign_files_are_no_packs(name: str) -> None:
    """Whatever people put beside our files."""
    assert not is_pack_name(name)
