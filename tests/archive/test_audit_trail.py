"""S21: the trail is chained, so that a change made later shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from archivmail.archive.archive import Archive
from archivmail.model.notices import AuditEvent
from tests.archive.builders import archive_in


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


@pytest.mark.parametrize(
    ("change", "intact"),
    [
        pytest.param("UPDATE audit SET facts = '{}' WHERE seq = 2", [True, False, True], id="facts"),
        pytest.param("UPDATE audit SET kind = 'other' WHERE seq = 1", [False, True, True], id="kind"),
        pytest.param("UPDATE audit SET account = 'bob' WHERE seq = 3", [True, True, False], id="account"),
        pytest.param("UPDATE audit SET at_us = at_us + 1 WHERE seq = 2", [True, False, True], id="time"),
        pytest.param("UPDATE audit SET hash = zeroblob(32) WHERE seq = 2", [True, False, False], id="hash"),
        pytest.param("DELETE FROM audit WHERE seq = 2", [True, False], id="an-entry-taken-out"),
        pytest.param("DELETE FROM audit WHERE seq = 1", [False, True], id="the-first-taken-out"),
        pytest.param("UPDATE audit SET seq = 9 WHERE seq = 3", [True, True, False], id="another-place"),
    ],
)
def test_a_later_change_shows(archive: Archive, change: str, intact: list[bool]) -> None:
    """Where it was made. Entries cut off at the end are the one thing a chain alone cannot tell."""
    with archive._database.writing() as connection:
        connection.execute(text(change))

    assert _intact(archive) == intact
