"""`verify` finds what is missing, damaged or unknown, names it, and finds nothing where nothing is wrong."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from archivmail.archive.archive import Archive
from archivmail.archive.packs.reading import frames
from archivmail.archive.values import Finding
from archivmail.model.errors import ArchiveDamaged
from tests.archive.builders import ALICE, BOB, INBOX, MAIL, archive_in, begin, fetched, fill, folder, pack_files, read

BODIES = {1: b"one", 2: b"two" * 300, 3: bytes(range(256)) * 8}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Three messages in INBOX, one of them in another folder too, in two packs."""
    with archive_in(tmp_path) as archive:
        fill(archive, BODIES)
        fill(archive, {9: BODIES[2]}, of=folder(b"Entw&APw-rfe"))
        yield archive


def _named(findings: tuple[Finding, ...]) -> set[tuple[str, str, int, str]]:
    return {(str(each.account), each.folder, each.uid_validity, str(each.uids)) for each in findings}


def _change(pack: Path, octets: bytes) -> None:
    pack.chmod(0o640)
    pack.write_bytes(octets)


def _frame(archive: Archive, directory: Path, number: int) -> tuple[Path, int, int]:
    pack = pack_files(directory)[0]
    with archive._store.open(pack.relative_to(directory).as_posix()) as source:
        frame = frames(source)[number]
    return pack, frame.offset, frame.length


@pytest.mark.parametrize("full", [False, True])
def test_a_whole_archive_is_clean(archive: Archive, full: bool) -> None:
    """With the counts of design §3.2: distinct contents and their raw octets."""
    report = archive.verify(full=full)

    assert report.is_clean
    assert report.to_wire() == {
        "packs": 2,
        "messages": 3,
        "bytes": sum(map(len, BODIES.values())),
        "missing": [],
        "corrupt": [],
        "orphans": [],
    }
    assert report.checked_messages == 3


def test_an_empty_archive_is_clean(tmp_path: Path) -> None:
    """Before the first message."""
    with archive_in(tmp_path) as archive:
        assert archive.verify(full=True).is_clean
        assert archive.verify(full=False).is_clean


@pytest.mark.parametrize("full", [False, True])
def test_a_missing_pack_names_every_sighting_that_needs_it(archive: Archive, tmp_path: Path, full: bool) -> None:
    """In every folder, for the octets are gone for all of them."""
    pack_files(tmp_path)[0].unlink()

    report = archive.verify(full=full)

    assert _named(report.missing) == {("team-a/alice", "INBOX", 7, "1:3"), ("team-a/alice", "Entwürfe", 7, "9")}
    assert (report.corrupt, report.orphans) == ((), ())


def test_a_missing_pack_of_sightings_is_missed_too(archive: Archive, tmp_path: Path) -> None:
    """The octets are safe, but a rebuild would not know the sighting."""
    pack_files(tmp_path)[1].unlink()

    assert _named(archive.verify(full=True).missing) == {("team-a/alice", "Entwürfe", 7, "9")}


@pytest.mark.parametrize("full", [False, True])
def test_a_damaged_message_is_named_where_it_was_seen(archive: Archive, tmp_path: Path, full: bool) -> None:
    """A sample of few messages is all of them."""
    pack, offset, length = _frame(archive, tmp_path, 1)
    octets = bytearray(pack.read_bytes())
    octets[offset + length // 2] ^= 0xFF
    _change(pack, bytes(octets))

    report = archive.verify(full=full)

    assert _named(report.corrupt) == {("team-a/alice", "INBOX", 7, "2"), ("team-a/alice", "Entwürfe", 7, "9")}
    assert (report.missing, report.orphans) == ((), ())


@pytest.mark.slow
def test_every_flipped_octet_of_a_pack_is_found(tmp_path: Path) -> None:
    """Each in turn, the seek table among them: never clean, never another error, and never given out as good."""
    bodies = {1: b"one", 2: b"two" * 30}
    with archive_in(tmp_path) as archive:
        fill(archive, bodies)
        (pack,) = pack_files(tmp_path)
        good = pack.read_bytes()
        for at in range(len(good)):
            _change(pack, good[:at] + bytes([good[at] ^ (1 << at % 8)]) + good[at + 1 :])
            assert not archive.verify(full=True).is_clean, at
            for body in bodies.values():
                with suppress(ArchiveDamaged):
                    assert read(archive, body) == body, at
        _change(pack, good)
        assert archive.verify(full=True).is_clean


def test_an_octet_that_changes_no_message_is_found_too(archive: Archive, tmp_path: Path) -> None:
    """A frame header has a bit that nobody reads (RFC 8878 §3.1.1.1.1.3); the CRC of the pack tells of it."""
    pack = pack_files(tmp_path)[0]
    good = pack.read_bytes()
    _change(pack, good[:4] + bytes([good[4] ^ 0x10]) + good[5:])

    report = archive.verify(full=True)

    assert not report.is_clean
    assert "every message is still whole" in report.corrupt[0].text
    assert [read(archive, body) for body in BODIES.values()] == list(BODIES.values())


def test_the_crc_of_an_older_pack_is_learnt(archive: Archive, tmp_path: Path) -> None:
    """From a full verification that found nothing."""
    _execute(archive, "UPDATE packs SET crc = -1")
    assert archive.verify(full=True).is_clean
    pack = pack_files(tmp_path)[0]
    good = pack.read_bytes()
    _change(pack, good[:4] + bytes([good[4] ^ 0x10]) + good[5:])

    assert not archive.verify(full=True).is_clean


@pytest.mark.parametrize("full", [False, True])
def test_a_pack_that_was_cut_short_is_corrupt(archive: Archive, tmp_path: Path, full: bool) -> None:
    """As a whole, since its seek table is gone."""
    pack = pack_files(tmp_path)[0]
    _change(pack, pack.read_bytes()[:-20])

    report = archive.verify(full=full)

    assert ("team-a/alice", "INBOX", 7, "1:3") in _named(report.corrupt)


@pytest.mark.parametrize("full", [False, True])
def test_octets_of_another_message_are_found(archive: Archive, tmp_path: Path, full: bool) -> None:
    """A catalog whose ranges were exchanged, with packs that are whole."""
    _execute(archive, "UPDATE contents SET sha256 = zeroblob(32) WHERE size = 3")

    report = archive.verify(full=full)

    assert ("team-a/alice", "INBOX", 7, "1") in _named(report.corrupt)


@pytest.mark.parametrize("full", [False, True])
def test_a_range_that_is_no_frame_is_found(archive: Archive, tmp_path: Path, full: bool) -> None:
    """By the seek table alone."""
    _execute(archive, "UPDATE contents SET frame_length = frame_length - 1 WHERE size = 3")

    assert _named(archive.verify(full=full).corrupt) == {("team-a/alice", "INBOX", 7, "1")}


@pytest.mark.parametrize("full", [False, True])
def test_a_pack_that_the_catalog_does_not_know_is_an_orphan(archive: Archive, tmp_path: Path, full: bool) -> None:
    """Here one from a catalog that was restored from an old backup."""
    _forget(archive, 2)
    _execute(archive, "UPDATE packs SET name = replace(name, '/0', '/f') WHERE id = 1")
    orphan = pack_files(tmp_path)[1].relative_to(tmp_path).as_posix()

    report = archive.verify(full=full)

    assert orphan in report.orphans


def test_a_pack_that_is_needless_is_no_damage(archive: Archive, tmp_path: Path) -> None:
    """A crash between pack and catalog, after which everything was stored once more."""
    first = pack_files(tmp_path)[0]
    twin = first.with_name(f"{'0' * 12}{first.name[12:]}")
    twin.write_bytes(first.read_bytes())

    report = archive.verify(full=True)

    assert report.is_clean
    assert report.redundant == (twin.relative_to(tmp_path).as_posix(),)


def test_a_placement_that_the_catalog_lost_is_found(archive: Archive, tmp_path: Path) -> None:
    """Only a full verification looks at every member."""
    _execute(archive, "DELETE FROM placements WHERE uid = 9")

    report = archive.verify(full=True)

    assert report.orphans == (pack_files(tmp_path)[1].relative_to(tmp_path).as_posix(),)


def test_a_pack_about_to_be_committed_is_no_orphan(archive: Archive, tmp_path: Path) -> None:
    """A run may be between its pack and its transaction when verify looks."""
    _forget(archive, 2)
    writer_lock = archive._locks
    assert len(archive.verify(full=False).orphans) == 1

    writer_lock.take(ALICE)
    assert archive.verify(full=False).orphans == ()
    writer_lock.release(ALICE)


def test_verify_runs_beside_a_run(archive: Archive) -> None:
    """And does not see what is not saved."""
    writer = archive.take(BOB)
    writer.store(begin(writer, INBOX), fetched(1, MAIL))

    assert archive.verify(full=True).is_clean
    writer.checkpoint()
    assert archive.verify(full=True).messages == 4
    writer.close()


def test_progress_ends_at_the_sum(archive: Archive, tmp_path: Path) -> None:
    """In octets of packs, never backwards."""
    seen: list[tuple[int, int]] = []
    archive.verify(full=True, progress=lambda done, total: seen.append((done, total)))

    total = sum(pack.stat().st_size for pack in pack_files(tmp_path))
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)


def _execute(archive: Archive, statement: str) -> None:
    with archive._database.writing() as connection:
        connection.execute(text(statement))


def _forget(archive: Archive, pack: int) -> None:
    """As if the transaction of a pack had never been."""
    _execute(archive, f"DELETE FROM placements WHERE pack_id = {pack}")
    _execute(archive, f"DELETE FROM contents WHERE pack_id = {pack}")
    _execute(archive, f"DELETE FROM packs WHERE id = {pack}")
