"""docs/imap-compatibility.md and the tests agree: every trap is there, shown by tests that cite it."""

import re
from pathlib import Path

import pytest

from tests.citations import citing_tests, traps_in

PAGE = Path(__file__).resolve().parents[1] / "docs" / "imap-compatibility.md"
TRAPS = range(1, 107)
CANNOT_ARISE = "cannot arise"
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d+ \|", line)
]
LISTED = {int(row[0]): row for row in ROWS}


def named_in(row: list[str]) -> list[str]:
    return re.findall(r"`(tests/[^`]+::[^`]+)`", row[3])


def test_every_trap_has_one_row() -> None:
    """1 to 106, in order, and a row is four cells."""
    assert [int(row[0]) for row in ROWS] == list(TRAPS)
    assert [] == [row for row in ROWS if len(row) != 4 or not all(row)]


@pytest.mark.parametrize("trap", TRAPS)
def test_a_trap_is_shown_by_tests_that_cite_it_or_cannot_arise(trap: int) -> None:
    """A test that was renamed, removed, or is about something else now, is no proof."""
    row = LISTED[trap]
    named, cited = named_in(row), citing_tests()
    assert named or CANNOT_ARISE in row[2], f"trap {trap} has neither a test nor a reason why it cannot arise"
    assert [] == [name for name in named if name not in cited], "no such test"
    assert [] == [name for name in named if trap not in cited[name]], f"does not cite trap {trap}"


def test_no_test_cites_a_trap_that_is_not_listed() -> None:
    """A wrong number shows nothing."""
    assert {} == {name: strange for name, traps in citing_tests().items() if (strange := traps - LISTED.keys())}


@pytest.mark.parametrize(
    ("text", "traps"),
    [
        ("trap 37: drained", {37}),
        ("traps 71 to 74, and more", {71, 72, 73, 74}),
        ("trap 28, 38, 71 to 73: one message", {28, 38, 71, 72, 73}),
        ("(traps 19, 20), traps 7 and 9; trap 11, trap 12", {19, 20, 7, 9, 11, 12}),
        ('id="trap-73-blank-line"', {73}),
        ('id="trap-9-27-nothing"', {9}),
        ("trap 82: 3 times in 5 s", {82}),
        ("entrap 5, a trap, traps without number", set()),
    ],
)
def test_citations_are_read_as_they_are_written(text: str, traps: set[int]) -> None:
    """The parser of the proof is itself shown to work."""
    assert traps == traps_in(text)
