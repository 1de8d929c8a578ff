"""What `verify` finds damaged is fetched again by the next run, and only that."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from archivmail.archive.archive import Archive
from archivmail.archive.packs.reading import frames
from archivmail.model.errors import ArchiveDamaged
from archivmail.model.folder import FolderName
from archivmail.model.uidset import UidSet
from tests.archive.builders import (
    ALICE,
    INBOX,
    archive_in,
    fetched,
    fill,
    folder,
    pack_files,
    placements,
    read,
    state,
)

BODIES = {1: b"one", 2: b"two" * 300, 3: bytes(range(256)) * 8}
COPIES = folder(b"Copies")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Three messages in INBOX, complete, and one of them again in another folder, in two packs."""
    with archive_in(tmp_path) as archive:
        fill(archive, BODIES)
        fill(archive, {9: BODIES[2]}, of=COPIES)
        writer = archive.take(ALICE)
        for where, count in ((INBOX, 3), (COPIES, 1)):
            epoch = writer.latest_epoch(where.name)
            assert epoch is not None
            writer.put_folder_state(where, state(epoch, archived=count))
        writer.checkpoint()
        writer.close()
        yield archive


def _spoil(archive: Archive, directory: Path, number: int) -> None:
    """Overwrite an octet in the middle of a frame of the first pack."""
    pack = pack_files(directory)[0]
    with archive._store.open(pack.relative_to(directory).as_posix()) as source:
        frame = frames(source)[number]
    octets = bytearray(pack.read_bytes())
    octets[frame.offset + frame.length // 2] ^= 0xFF
    pack.chmod(0o640)
    pack.write_bytes(octets)


def _held(archive: Archive, name: FolderName) -> str:
    writer = archive.take(ALICE)
    epoch = writer.latest_epoch(name)
    assert epoch is not None
    held = writer.archived(epoch)
    writer.close()
    return str(held)


def _fetch_again(archive: Archive, name: FolderName, listed: dict[int, bytes]) -> list[int]:
    """What a run does: store what the server lists and the epoch does not hold; the UIDs that it fetched."""
    writer = archive.take(ALICE)
    epoch = writer.latest_epoch(name)
    assert epoch is not None
    missing = UidSet.of(listed) - writer.archived(epoch)
    for uid in missing:
        writer.store(epoch, fetched(uid, listed[uid]))
    writer.checkpoint()
    writer.close()
    return list(missing)


@pytest.mark.parametrize("full", [False, True])
def test_a_damaged_message_is_fetched_again(archive: Archive, tmp_path: Path, full: bool) -> None:
    """In whatever folder it is met first; then it is sound for all, and nothing is fetched twice."""
    before = placements(archive)
    _spoil(archive, tmp_path, 1)
    assert archive.verify(full=full).is_noted
    assert (_held(archive, INBOX.name), _held(archive, COPIES.name)) == ("1,3", "")

    assert _fetch_again(archive, INBOX.name, BODIES) == [2]

    assert read(archive, BODIES[2]) == BODIES[2]
    assert _held(archive, INBOX.name) == "1:3"
    assert _held(archive, COPIES.name) == "9"
    assert placements(archive) == before
    assert _fetch_again(archive, INBOX.name, BODIES) == []


def test_folders_with_damage_are_not_skipped(archive: Archive, tmp_path: Path) -> None:
    """Their states no longer say complete, or the next run would not look at them before tomorrow."""
    _spoil(archive, tmp_path, 1)
    archive.verify(full=True)

    assert {name: each.complete for name, each in archive.folder_states(ALICE)} == {"INBOX": False, "Copies": False}


def test_a_clean_archive_is_left_alone(archive: Archive) -> None:
    """States stay complete, nothing is missing."""
    archive.verify(full=True)

    assert all(each.complete for _, each in archive.folder_states(ALICE))
    assert _held(archive, INBOX.name) == "1:3"


def test_a_missing_pack_is_fetched_again(archive: Archive, tmp_path: Path) -> None:
    """All its messages, and the sightings of them elsewhere find their octets again."""
    pack_files(tmp_path)[0].unlink()
    archive.verify(full=False)
    assert _held(archive, INBOX.name) == ""

    assert _fetch_again(archive, INBOX.name, BODIES) == [1, 2, 3]

    assert [read(archive, body) for body in BODIES.values()] == list(BODIES.values())
    assert _held(archive, COPIES.name) == "9"


def test_a_lost_record_of_a_sighting_is_written_again(archive: Archive, tmp_path: Path) -> None:
    """The octets are safe; without the record a rebuild would not know that the message was seen there."""
    before = placements(archive)
    pack_files(tmp_path)[1].unlink()
    archive.verify(full=True)
    assert (_held(archive, INBOX.name), _held(archive, COPIES.name)) == ("1:3", "")

    assert _fetch_again(archive, COPIES.name, {9: BODIES[2]}) == [9]

    assert _held(archive, COPIES.name) == "9"
    archive.rebuild()
    assert placements(archive) == before


def test_after_healing_the_packs_alone_restore_everything(archive: Archive, tmp_path: Path) -> None:
    """A rebuild takes the sound octets, wherever the damaged ones lie."""
    before = placements(archive)
    _spoil(archive, tmp_path, 1)
    archive.verify(full=True)
    _fetch_again(archive, INBOX.name, BODIES)

    archive.rebuild()

    assert placements(archive) == before
    assert read(archive, BODIES[2]) == BODIES[2]


def test_what_the_server_no_longer_has_stays_named(archive: Archive, tmp_path: Path) -> None:
    """It is never forgotten, and never given out as good."""
    _spoil(archive, tmp_path, 1)
    archive.verify(full=True)
    assert _fetch_again(archive, INBOX.name, {1: BODIES[1], 3: BODIES[3]}) == []

    report = archive.verify(full=True)

    assert [str(each.uids) for each in report.corrupt] == ["2", "9"]
    with pytest.raises(ArchiveDamaged):
        read(archive, BODIES[2])


def test_a_uid_whose_message_changed_is_sound_by_its_new_octets(archive: Archive, tmp_path: Path) -> None:
    """A run must not fetch it for ever because its older version is damaged."""
    _spoil(archive, tmp_path, 1)
    archive.verify(full=True)
    changed = {**BODIES, 2: b"other octets"}

    assert _fetch_again(archive, INBOX.name, changed) == [2]
    assert _fetch_again(archive, INBOX.name, changed) == []


def test_the_last_verification_is_told(archive: Archive, tmp_path: Path) -> None:
    """None before the first; the number goes down as messages are healed."""
    assert archive.last_verification() is None
    _spoil(archive, tmp_path, 1)
    archive.verify(full=True)
    last = archive.last_verification()
    assert last is not None
    assert last.damaged == 1

    _fetch_again(archive, INBOX.name, BODIES)
    last = archive.last_verification()
    assert last is not None
    assert last.damaged == 0


def test_a_full_verification_forgets_what_is_sound_again(archive: Archive, tmp_path: Path) -> None:
    """A pack was restored from a backup."""
    pack = pack_files(tmp_path)[0]
    good = pack.read_bytes()
    _spoil(archive, tmp_path, 1)
    archive.verify(full=True)
    pack.write_bytes(good)

    assert archive.verify(full=True).is_clean
    assert _held(archive, INBOX.name) == "1:3"
