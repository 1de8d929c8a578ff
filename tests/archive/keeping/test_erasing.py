"""`erase`: the octets are gone from every file, and nothing brings them back."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from archivmail.archive import erasing
from archivmail.archive.archive import Archive
from archivmail.archive.catalog import dialects
from archivmail.archive.erasing import Erasure
from archivmail.archive.export.report import ExportReport, Format
from archivmail.archive.export.run import export
from archivmail.archive.upkeep import Plan
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchiveDamaged, ArchiveUnavailable, SpecInvalid
from archivmail.model.retention import Policy
from tests.archive.builders import ALICE, BOB, INBOX, archive_in, content_id, pack_files, placements, read
from tests.archive.keeping.mailboxes import AT_ONCE, COPIES, days_ago, files_with, require_sound, run

MARKER = b"zxqmarkervalue"
MAIL = b"From: zxqmarkervalue@example.org\r\nSubject: about zxqmarkervalue\r\n\r\nzxqmarkervalue said this\r\n"
OTHER = b"Subject: another\r\n\r\nstays as it is\r\n"


def _filled(directory: Path) -> Archive:
    """The message in two folders of one account and in another account, indexed."""
    archive = archive_in(directory)
    run(archive, {1: (MAIL, days_ago(9)), 2: (OTHER, days_ago(9))})
    run(archive, {5: (MAIL, days_ago(8))}, of=COPIES)
    run(archive, {1: (MAIL, days_ago(9))}, ref=BOB)
    while archive.drain_index():
        pass
    return archive


def _erase(archive: Archive, *refs: AccountRef) -> list[Erasure]:
    told = [archive.keeping.erase(ref, [content_id(MAIL)], reason="court order 7", by="tests") for ref in refs]
    archive.keeping.purge_texts(is_final=True)
    return told


def _held(archive: Archive) -> str:
    writer = archive.take(ALICE)
    try:
        epoch = writer.latest_epoch(INBOX.name)
        assert epoch is not None
        return str(writer.archived(epoch))
    finally:
        writer.close()


def test_no_file_of_the_archive_holds_it_afterwards(tmp_path: Path) -> None:
    """Packs, catalog, its log, the text index: subject, sender and text, in any case of letters."""
    with _filled(tmp_path) as archive:
        assert len(files_with(tmp_path, MARKER)) >= 3
        told = _erase(archive, ALICE, BOB)

        assert [(each.places, each.packs, each.octets, each.unread) for each in told] == [
            (2, 1, len(MAIL), []),
            (1, 1, len(MAIL), []),
        ]
        assert files_with(tmp_path, MARKER) == []
        assert read(archive, OTHER) == OTHER
        require_sound(archive)
        assert files_with(tmp_path, MARKER) == []


def test_only_the_named_account_loses_it(tmp_path: Path) -> None:
    """Accounts hold their octets apart."""
    with _filled(tmp_path) as archive:
        _erase(archive, ALICE)

        assert [str(row.account) for row in archive.placements() if row.content_id == content_id(MAIL)] == [str(BOB)]
        assert read(archive, MAIL) == MAIL
        require_sound(archive)


def test_packs_of_before_hold_it_no_more_even_in_their_grace(tmp_path: Path) -> None:
    """A merge left them for readers and backups; an erasure does not wait."""
    with _filled(tmp_path) as archive:
        archive.keeping.keep_up(ALICE, Plan(is_thorough=True))
        (told,) = _erase(archive, ALICE)

        assert told.packs == 2
        assert [each for each in files_with(tmp_path / "packs", MARKER) if "alice" in each] == []
        require_sound(archive)


def test_the_same_octets_stored_twice_are_found(tmp_path: Path) -> None:
    """Two writers at once: the catalog knows one copy, the packs hold two."""
    with _filled(tmp_path) as archive:
        first = pack_files(tmp_path)[0]
        twin = first.with_name(f"{first.name[:13]}{'f' * 12}.tar.zst")
        twin.write_bytes(first.read_bytes())
        (told,) = _erase(archive, ALICE)

        assert told.packs == 2
        assert [each for each in files_with(tmp_path / "packs", MARKER) if "alice" in each] == []


def test_neither_the_server_nor_a_reset_brings_it_back(tmp_path: Path) -> None:
    """Its UID counts as archived; under another UID its octets are known by their hash and not kept."""
    with _filled(tmp_path) as archive:
        _erase(archive, ALICE, BOB)
        assert _held(archive) == "1:2"

        run(archive, {7: (MAIL, days_ago(0))})
        run(archive, {1: (MAIL, days_ago(0)), 2: (OTHER, days_ago(9))}, uid_validity=8)
        assert _held(archive) == "1:2"
        assert content_id(MAIL) not in {row[5] for row in placements(archive)}
        assert files_with(tmp_path, MARKER) == []
        require_sound(archive)
        assert _held(archive) == "1:2"


@pytest.mark.parametrize("name", ["as-it-was", "under-a-new-name"])
def test_a_pack_from_an_old_backup_does_not_bring_it_back(tmp_path: Path, name: str) -> None:
    """After a rebuild with it: known by its name, or by the hash of what was erased. Upkeep takes its octets out."""
    with _filled(tmp_path) as archive:
        old = {path: path.read_bytes() for path in pack_files(tmp_path) if "alice" in str(path)}
        _erase(archive, ALICE, BOB)
        before = placements(archive)
        for path, octets in old.items():
            back = path if name == "as-it-was" else path.with_name(f"0{path.name[1:13]}{'e' * 12}.tar.zst")
            back.write_bytes(octets)

        archive.rebuild()

        kept = {row[:6] for row in placements(archive)}
        assert kept >= {row[:6] for row in before}
        assert content_id(MAIL) not in {row[5] for row in kept}
        archive.keeping.keep_up(ALICE, AT_ONCE)
        assert files_with(tmp_path, MARKER) == []
        require_sound(archive)


def test_a_hold_refuses_it(tmp_path: Path) -> None:
    """Exit code 2, with a sentence; nothing is touched and no erasure is in the trail."""
    with _filled(tmp_path) as archive:
        archive.set_policy(ALICE, Policy(hold=True), by="tests")
        before = {path: path.read_bytes() for path in pack_files(tmp_path)}
        for act in (lambda: _erase(archive, ALICE), lambda: archive.keeping.preview_erasure(ALICE, [content_id(MAIL)])):
            with pytest.raises(SpecInvalid, match="hold"):
                act()

        assert {path: path.read_bytes() for path in pack_files(tmp_path)} == before
        assert [each.kind for each in archive.audit_entries()] == ["hold_set"]


def test_it_is_in_the_trail_before_and_after(tmp_path: Path) -> None:
    """Who, when, why and what, by id; the same removal stands in the packs."""
    with _filled(tmp_path) as archive:
        (told,) = _erase(archive, ALICE)

        begun, removed = archive.audit_entries()
        assert dict(begun.facts) == {
            "removal": told.removal,
            "messages": 1,
            "reason": "court order 7",
            "by": "tests",
        }
        assert (removed.kind, removed.facts["contentId"]) == ("message_removed", content_id(MAIL).hex())
        assert (removed.facts["why"], removed.facts["removal"]) == ("erased", told.removal)
        assert (removed.facts["reason"], removed.facts["by"], removed.facts["places"]) == ("court order 7", "tests", 2)
        assert files_with(tmp_path / "packs", told.removal.encode()) != []


def test_a_dry_run_tells_and_touches_nothing(tmp_path: Path) -> None:
    """What would go."""
    with _filled(tmp_path) as archive:
        before = {path: path.read_bytes() for path in pack_files(tmp_path)}
        told = archive.keeping.preview_erasure(ALICE, [content_id(MAIL)])

        assert (told.messages, told.places, told.octets) == ([content_id(MAIL).hex()], 2, len(MAIL))
        assert {path: path.read_bytes() for path in pack_files(tmp_path)} == before
        assert list(archive.audit_entries()) == []


def test_a_reader_who_comes_too_late_is_told(tmp_path: Path) -> None:
    """There is no such message any more."""
    with _filled(tmp_path) as archive:
        _erase(archive, ALICE, BOB)
        with pytest.raises((SpecInvalid, ArchiveDamaged)):
            read(archive, MAIL)


def test_a_pack_that_cannot_be_looked_through_is_named(tmp_path: Path) -> None:
    """Nobody knows what is in it, so the erasure must not be called complete."""
    with _filled(tmp_path) as archive:
        bad = pack_files(tmp_path)[1]
        bad.chmod(0o640)
        bad.write_bytes(b"no pack at all")
        (told,) = _erase(archive, ALICE)

        assert [each.rpartition("/")[2] for each in told.unread] == [bad.name]


def test_many_erased_messages_leave_nothing_in_free_pages(tmp_path: Path) -> None:
    """So many that whole pages of the catalog get free: they are overwritten, not only given back."""
    mails = {
        number: f"From: zxqmarkervalue{number}@example.org\r\nSubject: {'zxqmarkervalue ' * 20}\r\n\r\n".encode()
        for number in range(1, 201)
    }
    with archive_in(tmp_path) as archive:
        run(archive, {number: (octets, days_ago(9)) for number, octets in mails.items()} | {900: (OTHER, days_ago(9))})
        while archive.drain_index():
            pass
        ids = [content_id(octets) for octets in mails.values()]
        archive.keeping.erase(ALICE, ids, reason="court order 7", by="tests")
        archive.keeping.purge_texts(is_final=True)

        assert files_with(tmp_path, MARKER) == []
        assert read(archive, OTHER) == OTHER


def test_an_erasure_is_anchored_before_it_is_through(tmp_path: Path) -> None:
    """Whoever cuts the end of the trail off a moment later is found out."""
    with _filled(tmp_path) as archive:
        archive._anchoring.keep()
        _erase(archive, ALICE)
        anchor = json.loads((tmp_path / "audit" / "head.json").read_text())

        assert anchor["seq"] == [entry.seq for entry in archive.audit_entries()][-1]


def test_a_hold_set_while_packs_are_written_anew_refuses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the catalog commits nothing is gone; and no pack is left that would finish it."""
    without = erasing._without

    def held(*arguments: Any) -> Any:
        result = without(*arguments)
        archive.set_policy(ALICE, Policy(hold=True), by="tests")
        return result

    with _filled(tmp_path) as archive:
        before = {path: path.read_bytes() for path in pack_files(tmp_path)}
        monkeypatch.setattr(erasing, "_without", held)
        with pytest.raises(SpecInvalid, match="hold"):
            _erase(archive, ALICE)

        assert {path: path.read_bytes() for path in pack_files(tmp_path)} == before
        assert read(archive, MAIL) == MAIL
        require_sound(archive)


@pytest.mark.parametrize("kind", list(Format))
def test_an_export_under_way_names_what_was_erased_and_goes_on(tmp_path: Path, kind: Format) -> None:
    """It has its list from before; the others are written, and the report says what is not."""
    out = tmp_path / "out"
    with _filled(tmp_path / "archive") as archive:

        def progress(report: ExportReport) -> None:
            if report.written == 1 and not report.failed:
                _erase_now(archive, OTHER)

        report = export(
            archive,
            archive.placements(),
            format=kind,
            output=out if kind is not Format.TAR else out / "a.tar",
            progress=progress,
        )
        assert (report.written, report.failed) == (3, 1)
        assert "removed" in report.failures[0].error


def _erase_now(archive: Archive, octets: bytes) -> None:
    archive.keeping.erase(ALICE, [content_id(octets)], reason="court order 7", by="tests")


def test_a_log_that_somebody_reads_is_not_called_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search or an export in another process keeps SQLite from cutting it: said, and done by the next upkeep."""
    monkeypatch.setattr(dialects, "BUSY_TIMEOUT_S", 0.05)
    with _filled(tmp_path) as archive:
        reader = sqlite3.connect(tmp_path / "catalog.db")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM contents").fetchall()
        for ref in (ALICE, BOB):
            archive.keeping.erase(ref, [content_id(MAIL)], reason="court order 7", by="tests")
        with pytest.raises(ArchiveUnavailable, match="upkeep --thorough"):
            archive.keeping.purge_texts(is_final=True)
        reader.close()

        archive.keeping.purge_texts(is_final=True)
        assert files_with(tmp_path, MARKER) == []


def test_what_an_interrupted_rebuild_left_goes_too(tmp_path: Path) -> None:
    """The catalog in the making holds subjects and addresses as the old one does."""

    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with _filled(tmp_path) as archive:
        with pytest.raises(KeyboardInterrupt):
            archive.rebuild(progress=stop)
        assert list(tmp_path.glob(".*.rebuild*"))

        _erase(archive, ALICE, BOB)
        assert list(tmp_path.glob(".*.rebuild*")) == []
        require_sound(archive)
