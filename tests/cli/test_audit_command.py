"""`archivmail audit`: showing and proving the trail."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.program import archivmail


def _entries(archive: Path) -> int:
    """How many there are: other tests export from the same archive, which is in its trail."""
    connection = sqlite3.connect(archive / "catalog.db")
    (number,) = connection.execute("SELECT count(*) FROM audit").fetchone()
    connection.close()
    return int(number)


def _cut_off(archive: Path) -> None:
    """As somebody who may write the database file."""
    connection = sqlite3.connect(archive / "catalog.db")
    with connection:
        connection.execute("DROP TRIGGER audit_no_delete")
        connection.execute("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)")
    connection.close()


def test_a_sound_trail_tells_its_newest_entry(filled: Path) -> None:
    """Exit code 0, and SEQ:HASH to be noted elsewhere."""
    ended = archivmail("audit", "--verify", "--archive", filled)

    assert ended.code == 0, ended
    head = ended.text.split()[-1]
    assert archivmail("audit", "--verify", "--head", head, "--archive", filled).code == 0
    document = json.loads(archivmail("audit", "--verify", "--json", "--archive", filled).out)
    assert document == {"sound": True, "entries": _entries(filled), "head": head, "problems": [], "moreProblems": 0}


def test_entries_cut_off_at_the_end_are_named(archive: Path) -> None:
    """The chain alone cannot tell; the anchor beside the packs can. Exit code 1."""
    last = _entries(archive)
    _cut_off(archive)
    ended = archivmail("audit", "--verify", "--archive", archive)

    assert ended.code == 1
    assert f"entry {last} is cut off at the end" in ended.text


def test_a_head_that_is_not_in_the_trail_is_named(filled: Path) -> None:
    """What a person noted wins over whatever stands beside the packs."""
    ended = archivmail("audit", "--verify", "--head", f"1:{'0' * 64}", "--archive", filled)

    assert ended.code == 1
    assert "entry 1 is not the one that --head names" in ended.text


@pytest.mark.parametrize("arguments", [["--verify", "--head", "7"], ["--head", f"1:{'0' * 64}"]])
def test_a_head_of_another_form_or_without_verify_is_a_usage_error(arguments: list[str], filled: Path) -> None:
    """Exit code 2, and what to do."""
    ended = archivmail("audit", *arguments, "--archive", filled)

    assert (ended.code, ended.out) == (2, b"")
