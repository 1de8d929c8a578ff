"""S21: the trail is chained, so that a change made later shows."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.dialects import url_of
from archivmail.archive.catalog.proving import Expected
from archivmail.archive.opening import open_for_rebuild
from archivmail.model.errors import ArchiveUnavailable
from archivmail.model.notices import AuditEvent
from archivmail.model.retention import Policy
from tests.archive.builders import ALICE, BOB, MAIL, archive_in, fill


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """With three entries."""
    with archive_in(tmp_path) as archive:
        for number in range(1, 4):
            archive.record(AuditEvent(f"event_{number}", "team-a", "alice", {"number": number, "text": "ä\udcff\0"}))
        yield archive


def _intact(archive: Archive) -> list[bool]:
    return [entry.is_intact for entry in archive.audit_entries()]


def test_entries_come_back_in_order(archive: Archive) -> None:
    """Each following the one before."""
    first, second, third = archive.audit_entries()

    assert [entry.kind for entry in (first, second, third)] == ["event_1", "event_2", "event_3"]
    assert (first.previous, second.previous, third.previous) == (bytes(32), first.hash, second.hash)
    assert first.at <= second.at <= third.at
    assert dict(first.facts)["number"] == 1
    assert _intact(archive) == [True, True, True]


CHANGES = [
    pytest.param("UPDATE audit SET facts = '{}' WHERE seq = 2", [1, 0, 1], ["entry 2 was changed"], id="facts"),
    pytest.param("UPDATE audit SET kind = 'other' WHERE seq = 1", [0, 1, 1], ["entry 1 was changed"], id="kind"),
    pytest.param("UPDATE audit SET account = 'bob' WHERE seq = 3", [1, 1, 0], ["entry 3 was changed"], id="account"),
    pytest.param("UPDATE audit SET at_us = at_us + 1 WHERE seq = 2", [1, 0, 1], ["entry 2 was changed"], id="time"),
    pytest.param(
        "UPDATE audit SET hash = zeroblob(32) WHERE seq = 2",
        [1, 0, 0],
        ["entry 2 was changed", "entry 3 does not follow"],
        id="hash",
    ),
    pytest.param("DELETE FROM audit WHERE seq = 2", [1, 0], ["entry 2 is missing"], id="an-entry-taken-out"),
    pytest.param("DELETE FROM audit WHERE seq = 1", [0, 1], ["entry 1 is missing"], id="the-first-taken-out"),
    pytest.param(
        "UPDATE audit SET seq = 9 WHERE seq = 3",
        [1, 1, 0],
        ["entries 3 to 8 are missing", "entry 9 was changed", "entry 3, which the anchor audit/head.json names"],
        id="another-place",
    ),
    pytest.param("DELETE FROM audit WHERE seq = 3", [1, 1], ["entry 3 is cut off at the end"], id="the-last-cut-off"),
    pytest.param(
        "DELETE FROM audit WHERE seq > 1",
        [1],
        ["entries 2 to 3 are cut off at the end"],
        id="all-but-the-first-cut-off",
    ),
    pytest.param("DELETE FROM audit", [], ["entries 1 to 3 are cut off at the end"], id="all-cut-off"),
]


def _change(archive: Archive, change: str) -> None:
    """As somebody who may write the database, and so may drop the triggers."""
    with archive._database.writing() as connection:
        for trigger in ("audit_no_update", "audit_no_delete"):
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        connection.execute(text(change))


@pytest.mark.parametrize(("change", "intact", "problems"), CHANGES)
def test_a_later_change_shows_and_is_named(
    archive: Archive, change: str, intact: list[int], problems: list[str]
) -> None:
    """Altered, missing, reordered, cut off: the anchor beside the packs tells what the chain alone cannot."""
    _change(archive, change)

    assert _intact(archive) == [bool(each) for each in intact]
    found = archive.prove_trail().problems
    assert len(found) == len(problems)
    for sentence, begins in zip(found, problems, strict=True):
        assert sentence.startswith(begins)


def test_two_entries_that_changed_places_are_named(archive: Archive) -> None:
    """Their numbers swapped, everything else as it was."""
    _change(archive, "UPDATE audit SET seq = -seq WHERE seq < 3")
    with archive._database.writing() as connection:
        connection.execute(text("UPDATE audit SET seq = seq + 3 WHERE seq < 0"))

    problems = archive.prove_trail().problems
    assert [each.partition(" ")[2][:1] for each in problems] == ["1", "2", "3"]


def test_a_trail_as_it_was_written_is_sound(archive: Archive) -> None:
    """And its head is that of the newest entry, which the anchor names too."""
    proof = archive.prove_trail()

    assert proof.is_sound
    assert (proof.entries, proof.seq, proof.hash) == (3, 3, list(archive.audit_entries())[-1].hash)


def test_a_head_that_was_noted_elsewhere_shows_what_the_anchor_cannot(archive: Archive, tmp_path: Path) -> None:
    """Somebody cut the end off and wrote an anchor to match; the note of a person still names the entry."""
    noted = archive.prove_trail()
    _change(archive, "DELETE FROM audit WHERE seq = 3")
    newest = list(archive.audit_entries())[-1]
    (tmp_path / "audit" / "head.json").write_text(
        json.dumps({"seq": newest.seq, "hash": newest.hash.hex(), "holds": []})
    )
    assert archive.prove_trail().is_sound

    problems = archive.prove_trail([Expected(noted.seq, noted.hash, "--head")]).problems
    assert problems == ["entry 3 is cut off at the end: --head names entry 3"]


def test_no_run_that_follows_hides_an_end_that_was_cut_off(archive: Archive, tmp_path: Path) -> None:
    """New entries take the numbers of those that are gone; the anchor moves only along the trail that it knows."""
    _change(archive, "DELETE FROM audit WHERE seq > 1")
    archive.record(AuditEvent("event_2", "team-a", "alice", {}))
    with archive_in(tmp_path) as another:
        another.set_policy(ALICE, Policy(hold=True), by="operator")
        another.record(AuditEvent("event_4", "team-a", "alice", {}))

    problems = archive.prove_trail().problems
    assert problems == ["entry 3 is not the one that the anchor audit/head.json names"]
    anchor = json.loads((tmp_path / "audit" / "head.json").read_text())
    assert (anchor["seq"], anchor["holds"]) == (3, [str(ALICE)])


def test_a_rebuild_begins_the_trail_anew_and_says_so(archive: Archive, tmp_path: Path) -> None:
    """A catalog that was lost cannot be proved for ever after; what is missing stands in the entry."""
    fill(archive, {1: MAIL})
    noted = archive.prove_trail()
    archive.close()
    (tmp_path / "catalog.db").unlink()

    with open_for_rebuild(str(tmp_path)) as again:
        assert again.rebuild().audit_entry_lost == noted.seq
        (entry,) = again.audit_entries()
        assert entry.facts["headBefore"] == f"{noted.seq}:{noted.hash.hex()}"
        assert again.prove_trail().is_sound
        assert again.rebuild().audit_entry_lost == 0
        assert again.prove_trail().is_sound


@pytest.mark.parametrize("octets", [None, b"no json", b'{"seq": 3}'])
def test_a_missing_anchor_is_told(archive: Archive, tmp_path: Path, octets: bytes | None) -> None:
    """Without it nothing shows that the end is there."""
    anchor = tmp_path / "audit" / "head.json"
    anchor.unlink()
    if octets is not None:
        anchor.write_bytes(octets)

    (problem,) = archive.prove_trail().problems
    assert "anchor" in problem


@pytest.mark.parametrize("statement", ["UPDATE audit SET kind = 'x' WHERE seq = 1", "DELETE FROM audit WHERE seq = 3"])
def test_the_database_itself_refuses_a_change(archive: Archive, statement: str) -> None:
    """Against mistakes and careless tools: triggers."""
    with pytest.raises(ArchiveUnavailable), archive._database.writing() as connection:
        connection.execute(text(statement))

    assert archive.prove_trail().is_sound


def test_holds_and_times_are_in_the_trail_when_they_change(archive: Archive) -> None:
    """Who told us, and what it was before; what did not change is no entry."""
    for policy in (Policy(), Policy(hold=True), Policy(hold=True), Policy(timedelta(days=3650))):
        archive.set_policy(ALICE, policy, by="operator")

    told = [(each.kind, dict(each.facts)) for each in list(archive.audit_entries())[3:]]
    assert told == [
        ("hold_set", {"by": "operator"}),
        ("hold_released", {"by": "operator"}),
        ("retention_changed", {"before": "for ever", "after": "87600h", "by": "operator"}),
    ]
    assert archive.policy(ALICE) == Policy(timedelta(days=3650))


def test_a_hold_outlives_the_catalog(tmp_path: Path) -> None:
    """The anchor names it: whoever loses the catalog must not be able to erase."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: MAIL})
        archive.set_policy(ALICE, Policy(hold=True), by="operator")
    (tmp_path / "catalog.db").unlink()

    with open_for_rebuild(str(tmp_path)) as archive:
        archive.rebuild()
        assert archive.policy(ALICE).hold


def test_a_hold_outlives_a_catalog_that_is_older_than_it(tmp_path: Path) -> None:
    """Runs under a restored catalog that never heard of it write the anchor too; the rebuild that follows finds it."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: MAIL})
    older = (tmp_path / "catalog.db").read_bytes()
    with archive_in(tmp_path) as archive:
        archive.set_policy(ALICE, Policy(hold=True), by="operator")
    (tmp_path / "catalog.db").write_bytes(older)
    with archive_in(tmp_path) as archive:
        assert not archive.policy(ALICE).hold
        archive.set_policy(BOB, Policy(hold=True), by="operator")

    with open_for_rebuild(str(tmp_path)) as archive:
        archive.rebuild()
        assert [archive.policy(each).hold for each in (ALICE, BOB)] == [True, True]


@pytest.mark.parametrize("revision", ["0001", "0003"])
def test_a_rebuild_after_an_upgrade_keeps_the_trail_of_the_older_catalog(
    archive: Archive, tmp_path: Path, revision: str
) -> None:
    """It has not all tables of today, but it has the trail, which nothing else holds."""
    fill(archive, {1: MAIL})
    trail = [dict(entry.facts) for entry in archive.audit_entries()]
    archive.close()
    with closing(sqlite3.connect(tmp_path / "catalog.db")) as connection:
        rows = list(connection.execute("SELECT * FROM audit"))
    (tmp_path / "catalog.db").unlink()
    (tmp_path / "catalog.db").touch()
    old = Database(url_of(tmp_path / "catalog.db"))
    config = Config()
    config.set_main_option("script_location", "archivmail.archive.catalog:migrations")
    with old.writing() as written:
        config.attributes["connection"] = written
        command.upgrade(config, revision)
        for row in rows:
            written.exec_driver_sql(f"INSERT INTO audit VALUES ({', '.join('?' * len(row))})", row)
    old.close()

    with open_for_rebuild(str(tmp_path)) as rebuilt:
        assert rebuilt.rebuild().audit_entries == len(trail)
        assert [dict(entry.facts) for entry in rebuilt.audit_entries()][: len(trail)] == trail
        assert rebuilt.prove_trail().is_sound
