"""Invariant 6: packs alone restore every message and every placement."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archivmail.archive.opening import open_archive, open_for_rebuild
from archivmail.model.account import AccountRef, Origin
from archivmail.model.errors import ArchiveUnavailable, RunInProgress
from archivmail.model.notices import AuditEvent
from archivmail.model.uidset import UidValidity
from tests.archive.builders import (
    ALICE,
    BOB,
    INBOX,
    MAIL,
    ORIGIN,
    NoFsync,
    archive_in,
    fetched,
    fill,
    folder,
    pack_files,
    placements,
    read,
)

FOLDERS = [folder(b"INBOX"), folder(b"Archive/2026"), folder(b"Entw&APw-rfe"), folder(b"\xff.raw", b".")]
ORIGINS = [ORIGIN, Origin("other.example.org", 143, "alice")]


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[AccountRef, int, int, int, list[tuple[int, bytes]]]]:
    """Passes over folders: account, folder, origin, UIDVALIDITY and what is stored; with repeats of everything."""
    stored = st.lists(st.tuples(st.integers(1, 6), st.sampled_from([b"a", b"b", b"c", b"\0", b""])), max_size=4)
    passes = st.tuples(
        st.sampled_from([ALICE, BOB]), st.integers(0, 3), st.integers(0, 1), st.sampled_from([0, 1, 2]), stored
    )
    return draw(st.lists(passes, min_size=1, max_size=8))


@pytest.mark.slow
@given(runs(), st.integers(1, 3))
@settings(max_examples=25)
def test_a_rebuilt_catalog_equals_the_original(
    passes: list[tuple[AccountRef, int, int, int, list[tuple[int, bytes]]]], every: int
) -> None:
    """Several epochs, two accounts, contents seen again, batches of any size."""
    with tempfile.TemporaryDirectory() as directory, archive_in(Path(directory)) as archive:
        for ref, which, origin, uid_validity, messages in passes:
            writer = archive.take(ref)
            where = FOLDERS[which]
            epoch = writer.latest_epoch(where.name)
            if epoch is None or (epoch.origin, epoch.uid_validity) != (ORIGINS[origin], uid_validity):
                epoch = writer.start_epoch(where, ORIGINS[origin], UidValidity(uid_validity))
            for uid, octets in messages:
                writer.store(epoch, fetched(uid, octets, flags=("\\Seen",)))
                if writer.unsaved_messages >= every:
                    writer.checkpoint()
            writer.checkpoint()
            writer.close()
        before, epochs = placements(archive), _epochs(archive)

        report = archive.rebuild()

        assert placements(archive) == before
        assert _epochs(archive) == epochs
        assert (report.placements, report.corrupt, report.missing) == (len(before), (), ())
        assert archive.verify(full=True).is_clean


def _epochs(archive) -> dict[tuple[str, bytes, int, int, bytes], int]:
    """How many epochs share what people see of a placement."""
    found: dict[tuple[str, bytes, int, int, bytes], set[int]] = {}
    for row in archive.placements():
        key = (str(row.account), row.folder, row.uid_validity, row.uid, row.content_id)
        found.setdefault(key, set()).add(row.epoch)
    return {key: len(numbers) for key, numbers in found.items()}


def test_a_lost_catalog_comes_back(tmp_path: Path) -> None:
    """trap 18: from nothing but the packs' directory."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: b"one", 2: b"two"})
        fill(archive, {1: b"one"}, of=folder(b"Copies.2026", b"."))
        before = placements(archive)
    shutil.rmtree(tmp_path / "locks")
    (tmp_path / "catalog.db").unlink()

    with pytest.raises(ArchiveUnavailable, match="archivmail rebuild"):
        open_archive(str(tmp_path), create=False)
    with open_for_rebuild(str(tmp_path)) as archive:
        report = archive.rebuild()
    with open_archive(str(tmp_path), create=False) as archive:
        assert placements(archive) == before
        assert {row.delimiter for row in archive.placements() if row.folder == b"Copies.2026"} == {b"."}
        assert (report.packs, report.messages, report.octets) == (2, 2, 6)


@pytest.mark.parametrize("octets", [b"no database at all", b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_catalog_is_replaced(tmp_path: Path, octets: bytes) -> None:
    """trap 18: even if nothing of it can be read, its log included."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: MAIL})
    (tmp_path / "catalog.db").write_bytes(octets)
    (tmp_path / "catalog.db-wal").write_bytes(b"left behind")

    with pytest.raises(ArchiveUnavailable, match="archivmail rebuild"):
        open_archive(str(tmp_path), create=True)
    with open_for_rebuild(str(tmp_path)) as archive:
        archive.rebuild()
    with open_archive(str(tmp_path), create=False) as archive:
        assert read(archive, MAIL) == MAIL


def test_audit_trail_and_statuses_are_kept(tmp_path: Path) -> None:
    """They are in no pack."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: MAIL})
        archive.record(AuditEvent("first", "team-a", "alice", {"number": 1}))
        archive.record(AuditEvent("second", "team-a", "alice"))
        archive.save_account_status(ALICE, {"lastResult": "Succeeded"})
        trail = list(archive.audit_entries())

        report = archive.rebuild()

        *kept, last = archive.audit_entries()
        assert kept == trail
        assert (last.kind, last.facts["auditEntriesKept"]) == ("rebuild", 2)
        assert archive.prove_trail().is_sound
        assert report.audit_entries == 2
        assert archive.account_status(ALICE) == {"lastResult": "Succeeded"}


def test_runs_go_on_after_a_rebuild(tmp_path: Path) -> None:
    """The epoch is found again and its UIDs are known."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: b"one", 2: b"two"})
        archive.rebuild()
        writer = archive.take(ALICE)
        epoch = writer.latest_epoch(INBOX.name)
        assert epoch is not None
        assert str(writer.archived(epoch)) == "1:2"
        assert not writer.store(epoch, fetched(3, b"one")).is_new_content
        writer.checkpoint()
        writer.close()
        assert archive.verify(full=True).is_clean


def test_a_damaged_message_is_named_and_the_others_come_back(tmp_path: Path) -> None:
    """With its folder and UID where its header can be read."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: b"one", 2: bytes(range(256)) * 50, 3: b"three"})
        (pack,) = pack_files(tmp_path)
        octets = bytearray(pack.read_bytes())
        octets[len(octets) // 2] ^= 0xFF
        pack.chmod(0o640)
        pack.write_bytes(octets)

        report = archive.rebuild()

        assert [row.uid for row in archive.placements()] == [1, 3]
        assert len(report.corrupt) == 1
        assert report.corrupt[0].pack.endswith(pack.name)


def test_a_pack_without_its_seek_table_gives_its_messages(tmp_path: Path) -> None:
    """The frames are followed by their own headers."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: b"one", 2: b"two"})
        (pack,) = pack_files(tmp_path)
        pack.chmod(0o640)
        pack.write_bytes(pack.read_bytes()[:-9])

        report = archive.rebuild()

        assert [row.uid for row in archive.placements()] == [1, 2]
        assert len(report.corrupt) == 1


def test_a_sighting_whose_message_is_lost_is_named(tmp_path: Path) -> None:
    """Its octets are in no pack any more."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: b"one"})
        fill(archive, {5: b"one", 6: b"two"}, of=folder(b"Copies"))
        pack_files(tmp_path)[0].unlink()

        report = archive.rebuild()

        assert [(row.folder, row.uid) for row in archive.placements()] == [(b"Copies", 6)]
        (lost,) = report.missing
        assert (lost.account, lost.folder, str(lost.uids)) == (ALICE, "Copies", "5")


def test_a_sighting_may_come_before_its_message(tmp_path: Path) -> None:
    """Two writers at once may turn the order of packs round."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: b"one"})
        fill(archive, {5: b"one"}, of=folder(b"Copies"))
        before = placements(archive)
        first, second = pack_files(tmp_path)
        first.rename(first.with_name(f"{'f' * 12}{first.name[12:]}"))
        assert second < pack_files(tmp_path)[-1]

        report = archive.rebuild()

        assert placements(archive) == before
        assert report.missing == ()


def test_no_run_and_no_other_process_may_be_under_way(tmp_path: Path) -> None:
    """What they write would be lost with the old catalog."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: MAIL})
        writer = archive.take(ALICE)
        with pytest.raises(RunInProgress, match="alice"):
            archive.rebuild()
        writer.close()
        with archive_in(tmp_path), pytest.raises(RunInProgress, match="stop"):
            archive.rebuild()
        archive.rebuild()
        assert read(archive, MAIL) == MAIL


KILLED = """
import os, sys
from archivmail.archive.opening import open_for_rebuild

archive = open_for_rebuild(sys.argv[1])
archive.rebuild(progress=lambda done, total: os._exit(9) if done else None)
"""


def test_a_rebuild_that_is_killed_makes_no_empty_catalog(tmp_path: Path) -> None:
    """A lost catalog stays lost, and does not look like an empty archive."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: MAIL})
    (tmp_path / "catalog.db").unlink()

    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False, capture_output=True)
    assert (killed.returncode, killed.stderr) == (9, b"")

    with pytest.raises(ArchiveUnavailable, match="There is no catalog"):
        open_archive(str(tmp_path), create=False)
    with open_for_rebuild(str(tmp_path)) as archive:
        archive.rebuild()
        assert read(archive, MAIL) == MAIL


def test_a_rebuild_that_is_killed_leaves_the_old_catalog(tmp_path: Path) -> None:
    """Whole or not at all; what it left is not in the way."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: MAIL})
        before = placements(archive)

    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False, capture_output=True)
    assert (killed.returncode, killed.stderr) == (9, b"")

    with archive_in(tmp_path, durability=NoFsync()) as archive:
        assert placements(archive) == before
        archive.rebuild()
        assert placements(archive) == before
