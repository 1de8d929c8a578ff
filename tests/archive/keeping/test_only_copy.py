"""Upkeep removes no pack that is the only one with its messages: a catalog may be older than the packs, or a pack lost.

The catalog is restored from a backup of before a merge, or a disk loses what others were merged into.
"""

import sqlite3
from datetime import timedelta
from pathlib import Path

from archivmail.archive.archive import Archive
from archivmail.archive.upkeep import Plan
from tests.archive.builders import ALICE, archive_in, pack_files, placements, read
from tests.archive.keeping.mailboxes import AT_ONCE, COPIES, days_ago, octets_of, run, runs

COUNT = 9
IN_ITS_GRACE = Plan(grace=timedelta(days=1), is_thorough=True)


def _copied(catalog: Path, copy: Path) -> None:
    """As docs/backup.md does it."""
    source, target = sqlite3.connect(catalog), sqlite3.connect(copy)
    with target:
        source.backup(target)
    source.close()
    target.close()


def _restored(copy: Path, catalog: Path) -> None:
    for path in catalog.parent.glob(f"{catalog.name}*"):
        path.unlink()
    copy.rename(catalog)


def _rebuilds_to(archive: Archive, expected: object) -> None:
    """The packs that are there give every place, and the octets of every message."""
    archive.rebuild()
    assert placements(archive) == expected
    assert [read(archive, octets_of(number)) for number in range(1, COUNT + 1)]


def test_a_merged_pack_outlives_upkeep_under_a_catalog_of_before_the_merge(tmp_path: Path) -> None:
    """The packs that it counts on are gone; the one that took their place is unknown to it and all there is."""
    catalog, copy = tmp_path / "catalog.db", tmp_path / "copy.db"
    with archive_in(tmp_path) as archive:
        runs(archive, COUNT)
        expected = placements(archive)
    _copied(catalog, copy)
    with archive_in(tmp_path) as archive:
        assert archive.keeping.keep_up(ALICE, AT_ONCE).removed
    _restored(copy, catalog)

    with archive_in(tmp_path) as archive:
        told = [archive.keeping.keep_up(ALICE, AT_ONCE).damaged for _ in range(2)]
        assert all(any("archivmail rebuild" in text for text in each) for each in told)
        assert archive.verify().orphans
        _rebuilds_to(archive, expected)


def test_a_merged_pack_outlives_a_backup_that_is_copied_over_it(tmp_path: Path) -> None:
    """Catalog and packs of the backup know only some of the packs that it was made from; the others are in it alone."""
    catalog, copy = tmp_path / "catalog.db", tmp_path / "copy.db"
    with archive_in(tmp_path) as archive:
        runs(archive, 4)
        _copied(catalog, copy)
        backup = {path: path.read_bytes() for path in pack_files(tmp_path)}
        for number in range(5, COUNT + 1):
            run(archive, {number: (octets_of(number), days_ago(10))})
        expected = placements(archive)
        archive.keeping.keep_up(ALICE, AT_ONCE)
    (merged,) = pack_files(tmp_path)
    for path, octets in backup.items():
        path.write_bytes(octets)
    _restored(copy, catalog)

    with archive_in(tmp_path) as archive:
        told = [archive.keeping.keep_up(ALICE, AT_ONCE).damaged for _ in range(2)]
        assert all(any(merged.name in text for text in each) for each in told)
        assert merged.exists()
        _rebuilds_to(archive, expected)


def test_a_merge_that_was_cut_off_outlives_damage_to_what_it_was_made_from(tmp_path: Path) -> None:
    """The catalog counts on the others, and since then one of them was found damaged."""
    catalog, copy = tmp_path / "catalog.db", tmp_path / "copy.db"
    with archive_in(tmp_path) as archive:
        runs(archive, COUNT)
        _copied(catalog, copy)
        before = pack_files(tmp_path)
        archive.keeping.keep_up(ALICE, IN_ITS_GRACE)
    (merged,) = set(pack_files(tmp_path)) - set(before)
    _restored(copy, catalog)
    octets = bytearray(before[0].read_bytes())
    octets[60] ^= 0xFF  # in the frame of the message
    before[0].chmod(0o640)
    before[0].write_bytes(octets)

    with archive_in(tmp_path) as archive:
        assert archive.verify(full=True).corrupt
        assert any(merged.name in text for text in archive.keeping.keep_up(ALICE, AT_ONCE).damaged)
        assert merged.exists()
        archive.rebuild()
        assert read(archive, octets_of(1)) == octets_of(1)


def test_packs_in_their_grace_stay_while_the_one_in_their_place_is_lost(tmp_path: Path) -> None:
    """Whoever takes away what a lost pack was made from takes away the mail."""
    with archive_in(tmp_path) as archive:
        runs(archive, COUNT)
        expected = placements(archive)
        before = set(pack_files(tmp_path))
        archive.keeping.keep_up(ALICE, IN_ITS_GRACE)
        (merged,) = set(pack_files(tmp_path)) - before
        octets = merged.read_bytes()
        merged.unlink()

        report = archive.keeping.keep_up(ALICE, AT_ONCE)
        assert report.removed == 0
        assert any(merged.name in text for text in report.damaged)
        assert set(pack_files(tmp_path)) == before

        merged.write_bytes(octets)
        assert archive.keeping.keep_up(ALICE, AT_ONCE).removed == len(before)
        assert placements(archive) == expected


def test_packs_in_their_grace_go_once_the_lost_one_is_made_good(tmp_path: Path) -> None:
    """What was in it was fetched once more, and so nothing waits for it."""
    with archive_in(tmp_path) as archive:
        runs(archive, COUNT)
        expected = placements(archive)
        before = set(pack_files(tmp_path))
        archive.keeping.keep_up(ALICE, IN_ITS_GRACE)
        (merged,) = set(pack_files(tmp_path)) - before
        merged.unlink()
        archive.verify(full=True)
        run(archive, {number: (octets_of(number), days_ago(10)) for number in range(1, COUNT)})
        assert archive.keeping.keep_up(ALICE, AT_ONCE).removed == 0, "one of them is not made good"

        run(archive, {COUNT: (octets_of(COUNT), days_ago(10))})
        run(archive, {number: (octets_of(number), days_ago(10)) for number in range(3, COUNT + 1, 3)}, of=COPIES)
        report = archive.keeping.keep_up(ALICE, AT_ONCE)
        assert report.removed >= len(before)
        assert (report.damaged, len(pack_files(tmp_path))) == ([], 1), "nothing is in the way of a merge"
        assert archive.verify(full=True).corrupt == ()
        assert not before & set(pack_files(tmp_path))
        assert placements(archive) == expected
        assert [read(archive, octets_of(number)) for number in range(1, COUNT + 1)]


def test_packs_of_a_backup_heal_the_merged_one_that_was_damaged(tmp_path: Path) -> None:
    """They hold soundly what `verify` found damaged, so they are not needless: upkeep takes them in."""
    with archive_in(tmp_path) as archive:
        runs(archive, COUNT)
        backup = {path: path.read_bytes() for path in pack_files(tmp_path)}
        archive.keeping.keep_up(ALICE, AT_ONCE)
        (merged,) = pack_files(tmp_path)
        octets = bytearray(merged.read_bytes())
        octets[60] ^= 0xFF  # in the frame of the first message
        merged.chmod(0o640)
        merged.write_bytes(octets)
        assert archive.verify(full=True).corrupt

        for path, kept in backup.items():
            path.write_bytes(kept)
        assert archive.verify().orphans
        archive.keeping.keep_up(ALICE, AT_ONCE)
        assert [read(archive, octets_of(number)) for number in range(1, COUNT + 1)] == [
            octets_of(number) for number in range(1, COUNT + 1)
        ]
