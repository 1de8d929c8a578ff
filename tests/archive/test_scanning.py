"""Worker processes see in packs what is seen here, in order; the end of a worker is an error with a sentence."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from archivmail.archive import parts, scanning
from archivmail.archive.archive import Archive
from archivmail.archive.packs.names import ROOT
from archivmail.archive.packs.opening import open_store
from archivmail.archive.packs.reading import Member, frames
from archivmail.archive.packs.stores import PackStore, StoredPack
from archivmail.archive.scanning import Scanner
from archivmail.model.errors import ArchiveUnavailable
from tests.archive.builders import BOB, archive_in, fill, folder, pack_files, placements

Seen = list[tuple[str, bool, str, list[tuple[int, bool]]]]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackStore:
    """Packs of more members than a part has, one damaged within, one without its seek table, one that is missing."""
    monkeypatch.setattr(parts, "MAX_FRAMES", 7)
    with archive_in(tmp_path) as archive:
        for number in range(4):
            fill(archive, {uid: b"%d of %d" % (uid, number) for uid in range(1, 20)}, of=folder(b"F%d" % number))
    packs = pack_files(tmp_path)
    for pack, change in ((packs[1], lambda octets: octets[:-30]), (packs[2], _spoiled)):
        pack.chmod(0o640)
        pack.write_bytes(change(pack.read_bytes()))
    return open_store(str(tmp_path), create=False)


def _spoiled(octets: bytes) -> bytes:
    return octets[:900] + bytes([octets[900] ^ 0xFF]) + octets[901:]


def _all(scanner: Scanner, packs: list[StoredPack], *, salvage: bool) -> Seen:
    return [
        (
            scanned.name,
            scanned.is_missing,
            scanned.error.text if scanned.error else "",
            [(each.frame.offset, isinstance(each, Member)) for each in scanned.members],
        )
        for scanned in scanner.scan(packs, salvage=salvage)
    ]


@pytest.mark.parametrize("salvage", [False, True])
def test_workers_see_what_is_seen_here(store: PackStore, tmp_path: Path, salvage: bool) -> None:
    """Pack by pack and member by member."""
    packs = [*store.packs(ROOT), StoredPack("packs/team-a/alice/0123456789ab-0123456789ab.tar.zst", 5)]
    with Scanner(store, None, octets=1 << 40) as scanner:
        here = _all(scanner, packs, salvage=salvage)
    with Scanner(store, partial(open_store, str(tmp_path), create=False), octets=1 << 40) as scanner:
        there = _all(scanner, packs, salvage=salvage)

    assert here == there
    assert [len(members) for *_, members in here] == [19, 19 if salvage else 0, 19, 19, 0]
    assert sum(not is_sound for *_, members in here for _, is_sound in members) == 1
    assert [is_missing for _, is_missing, *_ in here] == [False] * 4 + [True]


def _ends(directory: str) -> PackStore:
    os.kill(os.getpid(), signal.SIGKILL)
    return open_store(directory, create=False)


def test_a_worker_that_is_killed_is_told(store: PackStore, tmp_path: Path) -> None:
    """As the kernel does when memory is short: one sentence, and no waiting."""
    with (
        Scanner(store, partial(_ends, str(tmp_path)), octets=1 << 40) as scanner,
        pytest.raises(ArchiveUnavailable, match="run the same command again"),
    ):
        _all(scanner, list(store.packs(ROOT)), salvage=False)


def test_verify_and_rebuild_use_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same result."""
    monkeypatch.setattr(scanning, "WORTH_A_PROCESS", 1)
    with archive_in(tmp_path) as archive:
        _filled(archive)
        before = placements(archive)
        assert archive.verify(full=True).is_clean
        assert archive.rebuild().placements == len(before)
        assert placements(archive) == before


def _filled(archive: Archive) -> None:
    fill(archive, {1: b"one", 2: b"two"})
    fill(archive, {1: b"three"}, ref=BOB)


def test_the_last_message_of_a_pack_that_was_cut_is_salvaged(tmp_path: Path) -> None:
    """End marker and seek table are gone; every frame that is whole is as good as ever."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: b"one", 2: b"two", 3: b"three"})
        before = placements(archive)
        (pack,) = pack_files(tmp_path)
        octets = pack.read_bytes()
        with archive._store.open(pack.relative_to(tmp_path).as_posix()) as source:
            end = frames(source)[-1]
        pack.chmod(0o640)
        pack.write_bytes(octets[: end.offset])

        report = archive.rebuild()

        assert placements(archive) == before
        assert any("end" in each.text for each in report.corrupt)
