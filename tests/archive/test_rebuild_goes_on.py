"""A rebuild that is interrupted goes on where it was, and until it is through the old catalog stays as it is."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archivmail.archive.archive import Archive
from archivmail.archive.catalog import checking
from archivmail.archive.opening import open_archive
from archivmail.archive.scanning import Scanner
from archivmail.model.errors import RunInProgress
from archivmail.model.notices import AuditEvent
from tests.archive.builders import ALICE, BOB, INBOX, NoFsync, begin, fetched, fill, folder, pack_files, placements
from tests.servers.postgresql import PostgreSqlDatabase


class _Killed(BaseException):
    """What ends the process, in a form that a test survives."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    """Six packs of two accounts; in the last a further sighting of what the first holds."""
    catalog = None
    if request.param == "postgresql":
        database: PostgreSqlDatabase = request.getfixturevalue("postgresql_database")
        catalog = database.url
    with open_archive(str(tmp_path), catalog, create=True, durability=NoFsync()) as archive:
        for number in range(4):
            fill(archive, {uid: b"%d of %d" % (uid, number) for uid in range(1, 4)}, of=folder(b"F%d" % number))
        fill(archive, {1: b"other"}, ref=BOB)
        fill(archive, {7: b"1 of 0"}, of=folder(b"Copies"))
        archive.record(AuditEvent("first", "team-a", "alice"))
        archive.save_account_status(ALICE, {"lastResult": "Succeeded"})
        yield archive


@pytest.fixture
def read_packs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the packs that were scanned, as they are."""
    names: list[str] = []
    scan = Scanner.scan

    def watched(self: Scanner, packs, *, salvage: bool = False):
        for each in scan(self, packs, salvage=salvage):
            names.append(each.name)
            yield each

    monkeypatch.setattr(Scanner, "scan", watched)
    return names


def _killed_after(packs: int) -> Callable[[int, int], None]:
    calls = 0

    def progress(_done: int, _total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == packs:
            raise _Killed

    return progress


def test_packs_that_were_entered_are_not_read_again(archive: Archive, read_packs: list[str], tmp_path: Path) -> None:
    """Wherever the process was killed, time after time."""
    before, trail = placements(archive), list(archive.audit_entries())
    for packs in (1, 2, 2):
        with pytest.raises(_Killed):
            archive.rebuild(progress=_killed_after(packs))
        assert placements(archive) == before

    report = archive.rebuild()

    assert sorted(read_packs) == [pack.relative_to(tmp_path).as_posix() for pack in pack_files(tmp_path)]
    assert placements(archive) == before
    assert (report.packs, report.placements, report.corrupt, report.missing) == (6, len(before), (), ())
    assert list(archive.audit_entries())[: len(trail)] == trail
    assert archive.account_status(ALICE) == {"lastResult": "Succeeded"}
    assert archive.verify(full=True).is_clean


def test_the_archive_works_after_it(archive: Archive) -> None:
    """Keys go on, what is stored next is found."""
    archive.rebuild()
    writer = archive.take(ALICE)
    writer.store(begin(writer, INBOX), fetched(1, b"next"))
    writer.checkpoint()
    writer.close()
    archive.record(AuditEvent("second", "team-a", "alice"))

    assert archive.verify(full=True).is_clean
    assert all(entry.is_intact for entry in archive.audit_entries())
    archive.rebuild()
    assert archive.verify(full=True).is_clean


def test_packs_that_changed_meanwhile_are_read_anew(archive: Archive, read_packs: list[str], tmp_path: Path) -> None:
    """What was entered of a pack that is no longer there must not stay."""
    with pytest.raises(_Killed):
        archive.rebuild(progress=_killed_after(3))
    gone = pack_files(tmp_path)[1]
    gone.unlink()
    read_packs.clear()

    archive.rebuild()

    assert len(read_packs) == 5
    assert not [row for row in archive.placements() if row.folder == b"F1"]


def test_what_was_found_before_the_end_is_told_after_it(archive: Archive, tmp_path: Path) -> None:
    """Damage in a pack that is not read again, and a sighting whose message comes in a later pack or never."""
    first = pack_files(tmp_path)[0]
    octets = first.read_bytes()
    first.chmod(0o640)
    first.write_bytes(octets[:150] + bytes([octets[150] ^ 0xFF]) + octets[151:])
    with pytest.raises(_Killed):
        archive.rebuild(progress=_killed_after(5))

    report = archive.rebuild()

    assert len(report.corrupt) == 1
    assert [(each.folder, str(each.uids)) for each in report.missing] == [("Copies", "7")]


def test_a_trail_that_was_taken_over_is_not_taken_twice(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at the very end, between the last note and the new catalog's taking its place."""
    trail = list(archive.audit_entries())
    with monkeypatch.context() as patched:
        patched.setattr(checking, "totals", _raise_killed)
        with pytest.raises(_Killed):
            archive.rebuild()

    assert archive.rebuild().audit_entries == len(trail)
    assert list(archive.audit_entries())[: len(trail)] == trail


def _raise_killed(_: object) -> None:
    raise _Killed


def test_two_rebuilds_exclude_each_other(archive: Archive) -> None:
    """The second says so at once."""
    seen: list[str] = []

    def progress(_done: int, _total: int) -> None:
        if not seen:
            with pytest.raises(RunInProgress) as told:
                archive.rebuild()
            seen.append(str(told.value))

    archive.rebuild(progress=progress)

    assert seen
