"""Small packs become one: the same members octet for octet, the same catalog, and nobody is cut off on the way."""

from datetime import timedelta
from pathlib import Path

import pytest

from archivmail.archive.archive import Archive
from archivmail.archive.packs.local import LocalStore
from archivmail.archive.packs.reading import Member, frames, scan
from archivmail.archive.upkeep import Plan
from archivmail.model.errors import RunInProgress
from tests.archive.builders import ALICE, BOB, MAIL, archive_in, content_id, fill, pack_files, placements, read
from tests.archive.keeping.mailboxes import AT_ONCE, octets_of, pack_names, require_sound, run, runs


def _frames(directory: Path) -> list[bytes]:
    """Every member's frame, compressed, in the order of the packs."""
    store, found = LocalStore(directory), []
    for pack in store.packs("packs/"):
        with store.open(pack.name) as source:
            members = [each for each in scan(source, frames(source)) if isinstance(each, Member)]
            found += [source.read_at(each.frame.offset, each.frame.length) for each in members]
    return found


def test_a_merged_pack_holds_the_same_frames(tmp_path: Path) -> None:
    """Copied octet for octet, in their order; old ones go when their grace is over."""
    with archive_in(tmp_path) as archive:
        runs(archive, 9)
        before, kept = _frames(tmp_path), placements(archive)

        report = archive.keeping.keep_up(ALICE, Plan(grace=timedelta(0)))

        assert (report.rewritten, report.into, report.removed) == (12, 1, 12)
        assert len(pack_files(tmp_path)) == 1
        assert _frames(tmp_path) == before
        assert placements(archive) == kept
        assert [read(archive, octets_of(number)) for number in range(1, 10)] == [octets_of(n) for n in range(1, 10)]
        require_sound(archive)


def test_old_packs_stay_for_the_time_of_grace(tmp_path: Path) -> None:
    """Whoever reads or copies by the old list finds every pack of it; verify takes no offence."""
    with archive_in(tmp_path) as archive:
        runs(archive, 9)
        old = pack_names(tmp_path)

        archive.keeping.keep_up(ALICE, Plan(grace=timedelta(hours=1)))

        assert set(pack_names(tmp_path)) > set(old)
        report = archive.verify(full=True)
        assert report.is_clean
        assert len(report.redundant) == len(old)
        (stats,) = archive.keeping.stats()
        assert (stats.packs, stats.waiting_packs) == (1, len(old))

        assert archive.keeping.keep_up(ALICE, Plan(grace=timedelta(0))).removed == len(old)
        assert len(pack_names(tmp_path)) == 1
        require_sound(archive)


def test_packs_alone_give_the_same_catalog_while_old_and_new_coexist(tmp_path: Path) -> None:
    """The new one names those it replaces; a member that stands in both is one sighting. Epochs stay as they were."""
    with archive_in(tmp_path) as archive:
        runs(archive, 5)
        run(archive, {1: (b"other", ""), 2: (b"mail", "")}, uid_validity=8)
        run(archive, {1: (octets_of(1), "")}, uid_validity=7)  # came back, with an equal sighting of another epoch
        before, epochs = placements(archive), sorted((row.uid, row.epoch) for row in archive.placements())
        archive.keeping.keep_up(ALICE, Plan(is_thorough=True))

        for _ in range(2):
            archive.rebuild()
            assert placements(archive) == before
            assert sorted((row.uid, row.epoch) for row in archive.placements()) == epochs
            archive.keeping.keep_up(ALICE, AT_ONCE)
        assert len(pack_files(tmp_path)) == 1


def test_an_old_pack_from_a_backup_changes_nothing(tmp_path: Path) -> None:
    """Copied back among the others, it is known by its name; upkeep takes it away again."""
    with archive_in(tmp_path) as archive:
        runs(archive, 9)
        backup = {path: path.read_bytes() for path in pack_files(tmp_path)}
        archive.keeping.keep_up(ALICE, AT_ONCE)
        before = placements(archive)
        for path, octets in backup.items():
            path.write_bytes(octets)

        require_sound(archive)
        assert placements(archive) == before
        archive.keeping.keep_up(ALICE, AT_ONCE)
        assert len(pack_files(tmp_path)) == 1


def test_what_a_damaged_successor_lost_comes_from_the_packs_before(tmp_path: Path) -> None:
    """A pack that is not whole takes nobody's place, be it that they are there for grace or from a backup."""
    with archive_in(tmp_path) as archive:
        runs(archive, 9)
        before = {row[:6] for row in placements(archive)}
        archive.keeping.keep_up(ALICE, Plan(is_thorough=True))
        (new,) = [path for path in pack_files(tmp_path) if path.stat().st_size > 2000]
        octets = bytearray(new.read_bytes())
        octets[300] ^= 0xFF
        new.chmod(0o640)
        new.write_bytes(octets)

        archive.rebuild()

        assert {row[:6] for row in placements(archive)} == before
        assert [read(archive, octets_of(number)) for number in range(1, 10)] == [octets_of(n) for n in range(1, 10)]


def test_a_damaged_pack_is_left_as_it_is_and_named(tmp_path: Path) -> None:
    """Nothing is copied from it, and the others wait with it."""
    with archive_in(tmp_path) as archive:
        runs(archive, 9)
        pack = pack_files(tmp_path)[4]
        octets = bytearray(pack.read_bytes())
        octets[40] ^= 0xFF
        pack.chmod(0o640)
        pack.write_bytes(octets)
        before = pack_names(tmp_path)

        report = archive.keeping.keep_up(ALICE, Plan(grace=timedelta(0)))

        assert len(report.damaged) == 1
        assert pack.name in report.damaged[0]
        assert pack_names(tmp_path) == before


def test_a_run_goes_on_after_a_merge(tmp_path: Path) -> None:
    """Its pack sorts behind the merged one, contents are known, and the next merge takes both."""
    with archive_in(tmp_path) as archive:
        runs(archive, 9)
        archive.keeping.keep_up(ALICE, AT_ONCE)
        run(archive, {90: (octets_of(1), ""), 91: (b"new", "")})
        merged, new = pack_names(tmp_path)
        assert merged < new
        archive.keeping.keep_up(ALICE, AT_ONCE)

        assert len(pack_files(tmp_path)) == 1
        require_sound(archive)


def test_nothing_is_done_while_a_run_has_the_account(tmp_path: Path) -> None:
    """And no run begins while upkeep has it."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: MAIL})
        writer = archive.take(ALICE)
        with pytest.raises(RunInProgress):
            archive.keeping.keep_up(ALICE, Plan())
        writer.close()


def test_being_told_to_stop_leaves_a_sound_archive(tmp_path: Path) -> None:
    """Between two packs, and within one."""
    with archive_in(tmp_path) as archive:
        runs(archive, 9)
        before = pack_names(tmp_path)
        for asked in range(1, 8):
            answers = iter([False] * asked + [True] * 99)
            report = archive.keeping.keep_up(ALICE, Plan(grace=timedelta(0)), should_stop=lambda: next(answers))  # noqa: B023 - used within the turn
            assert not report.is_done
            assert pack_names(tmp_path) == before
        require_sound(archive)


def test_a_dry_run_changes_nothing_and_tells_what_would_be(tmp_path: Path) -> None:
    """The same figures as the run that follows."""
    with archive_in(tmp_path) as archive:
        runs(archive, 9)
        files = {path: path.stat().st_mtime_ns for path in pack_files(tmp_path)}
        trail = list(archive.audit_entries())

        told = archive.keeping.keep_up(ALICE, Plan(is_dry_run=True))

        assert {path: path.stat().st_mtime_ns for path in pack_files(tmp_path)} == files
        assert list(archive.audit_entries()) == trail
        done = archive.keeping.keep_up(ALICE, Plan())
        assert (
            (told.rewritten, told.into, told.copied) == (done.rewritten, done.into, done.copied) == (12, 1, told.copied)
        )


def test_accounts_are_merged_apart(tmp_path: Path) -> None:
    """A pack is of one account."""
    with archive_in(tmp_path) as archive:
        for ref in (ALICE, BOB):
            runs(archive, 8, ref=ref)
            archive.keeping.keep_up(ref, AT_ONCE)

        assert [path.parent.name for path in pack_files(tmp_path)] == ["alice", "bob"]
        require_sound(archive)


def test_a_pack_that_only_a_crash_kept_from_the_catalog_is_taken_in(tmp_path: Path) -> None:
    """Older than the newest, so no run adopts it: the catalog forgot it, the store has it."""
    with archive_in(tmp_path) as archive:
        runs(archive, 4)
        before = placements(archive)
        _forget(archive, pack_names(tmp_path)[1])
        assert placements(archive) != before

        report = archive.keeping.keep_up(ALICE, Plan())

        assert report.adopted == 1
        assert placements(archive) == before
        require_sound(archive)


def test_a_pack_that_holds_nothing_new_goes(tmp_path: Path) -> None:
    """Everything in it is elsewhere too: two writers at once, or a merge that a crash cut off."""
    with archive_in(tmp_path) as archive:
        runs(archive, 4)
        first = pack_files(tmp_path)[0]
        twin = first.with_name(f"{first.name[:13]}{'f' * 12}.tar.zst")
        twin.write_bytes(first.read_bytes())

        archive.keeping.keep_up(ALICE, Plan(grace=timedelta(0)))

        assert not twin.exists()
        assert read(archive, octets_of(1)) == octets_of(1)
        assert content_id(octets_of(1)) in {row.content_id for row in archive.placements()}
        require_sound(archive)


def _forget(archive: Archive, pack: str) -> None:
    """As if the catalog's transaction had not come through."""
    with archive._database.writing() as connection:
        of_pack = f"(SELECT id FROM packs WHERE name LIKE '%{pack}')"
        for table in ("placements", "contents"):
            connection.exec_driver_sql(f"DELETE FROM {table} WHERE pack_id = {of_pack}")
        connection.exec_driver_sql(f"DELETE FROM packs WHERE name LIKE '%{pack}'")
