"""Mail past its time goes, and nothing else; a hold stops it; and what is said of it stays true."""

import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from archivmail.archive import retention
from archivmail.archive.archive import Archive
from archivmail.archive.catalog import purging
from archivmail.archive.catalog.querytext import parse
from archivmail.archive.upkeep import Plan
from archivmail.model.errors import ArchiveUnavailable
from archivmail.model.retention import Policy
from archivmail.model.uidset import UidSet
from tests.archive.builders import ALICE, INBOX, archive_in, content_id, fetched, pack_files, placements, read, state
from tests.archive.keeping.mailboxes import AT_ONCE, COPIES, YEAR, days_ago, files_with, require_sound, rows, run

OLD = b"Subject: old\r\n\r\nmarker-of-the-old-message\r\n"
YOUNG = b"Subject: young\r\n\r\nmarker-of-the-young-message\r\n"
UNDATED = b"Subject: undated\r\n\r\nnobody knows its age\r\n"
MIXED = b"Subject: mixed\r\n\r\nold here, young there\r\n"


def _filled(directory: Path) -> Archive:
    """An old message, a young one, one without a date, and one that is old in one folder and young in another."""
    archive = archive_in(directory)
    run(archive, {1: (OLD, days_ago(366)), 2: (YOUNG, days_ago(364)), 3: (UNDATED, ""), 4: (MIXED, days_ago(800))})
    run(archive, {1: (MIXED, days_ago(3)), 2: (OLD, days_ago(900))}, of=COPIES)
    return archive


def _held(archive: Archive) -> UidSet:
    """UIDs of INBOX that a run takes for archived."""
    writer = archive.take(ALICE)
    try:
        epoch = writer.latest_epoch(INBOX.name)
        assert epoch is not None
        return writer.archived(epoch)
    finally:
        writer.close()


def _kept(archive: Archive) -> set[bytes]:
    return {bytes(row[5]) for row in placements(archive)}


def test_a_message_goes_when_every_place_of_it_is_past_its_time(tmp_path: Path) -> None:
    """On INTERNALDATE; a message without a readable date, or young in one folder, is kept whole."""
    with _filled(tmp_path) as archive:
        archive.set_policy(ALICE, YEAR, by="tests")
        report = archive.keeping.keep_up(ALICE, AT_ONCE)

        assert (report.expired.messages, report.expired.octets) == (1, len(OLD))
        assert _kept(archive) == {content_id(each) for each in (YOUNG, UNDATED, MIXED)}
        assert len(placements(archive)) == 4
        assert files_with(tmp_path, b"marker-of-the-old-message") == []
        assert files_with(tmp_path, b"marker-of-the-young-message") != []
        require_sound(archive)


def test_without_keep_for_nothing_ever_goes(tmp_path: Path) -> None:
    """The default."""
    with _filled(tmp_path) as archive:
        before = placements(archive)
        assert archive.keeping.keep_up(ALICE, AT_ONCE).expired.messages == 0
        assert placements(archive) == before


def test_a_hold_stops_every_removal(tmp_path: Path) -> None:
    """Until it is released."""
    with _filled(tmp_path) as archive:
        before = placements(archive)
        archive.set_policy(ALICE, Policy(YEAR.keep_for, hold=True), by="tests")
        archive.keeping.keep_up(ALICE, AT_ONCE)
        assert placements(archive) == before
        assert read(archive, OLD) == OLD

        archive.set_policy(ALICE, YEAR, by="tests")
        assert archive.keeping.keep_up(ALICE, AT_ONCE).expired.messages == 1


def test_each_removal_is_in_the_trail_with_who_when_and_why(tmp_path: Path) -> None:
    """By id, folder and UID; no subject, no address."""
    with _filled(tmp_path) as archive:
        archive.set_policy(ALICE, YEAR, by="tests")
        archive.keeping.keep_up(ALICE, AT_ONCE)

        (entry,) = [each for each in archive.audit_entries() if each.kind == "message_removed"]
        facts = dict(entry.facts)
        assert len(str(facts.pop("removal"))) == 12
        assert facts == {
            "contentId": content_id(OLD).hex(),
            "folder": "INBOX",
            "uidValidity": 7,
            "uid": 1,
            "places": 2,
            "why": "expired",
            "by": "tests",
        }
        assert archive.prove_trail().is_sound


def test_a_removed_message_that_the_server_still_has_is_not_downloaded_again(tmp_path: Path) -> None:
    """Its UID counts as archived, before and after a rebuild."""
    with _filled(tmp_path) as archive:
        archive.set_policy(ALICE, YEAR, by="tests")
        archive.keeping.keep_up(ALICE, AT_ONCE)

        assert str(_held(archive)) == "1:4"
        archive.rebuild()
        assert str(_held(archive)) == "1:4"


def test_a_removed_message_under_another_uidvalidity_is_not_stored_again(tmp_path: Path) -> None:
    """It has to be fetched to be known; its octets are not kept, and the next run does not fetch it."""
    with _filled(tmp_path) as archive:
        archive.set_policy(ALICE, YEAR, by="tests")
        archive.keeping.keep_up(ALICE, AT_ONCE)
        run(archive, {9: (OLD, days_ago(366))}, uid_validity=8)

        assert content_id(OLD) not in _kept(archive)
        assert str(_held(archive)) == "9"
        assert files_with(tmp_path, b"marker-of-the-old-message") == []
        require_sound(archive)
        assert str(_held(archive)) == "9"


def test_a_removed_message_that_arrives_anew_with_a_young_date_is_kept(tmp_path: Path) -> None:
    """What is past its time is a sighting, not the octets."""
    with _filled(tmp_path) as archive:
        archive.set_policy(ALICE, YEAR, by="tests")
        archive.keeping.keep_up(ALICE, AT_ONCE)
        run(archive, {20: (OLD, days_ago(1))})

        assert read(archive, OLD) == OLD
        require_sound(archive)
        assert archive.keeping.keep_up(ALICE, AT_ONCE).expired.messages == 0


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(Policy(), id="for-ever"),
        pytest.param(Policy(timedelta(days=3650)), id="longer"),
        pytest.param(Policy(YEAR.keep_for, hold=True), id="hold"),
    ],
)
def test_who_keeps_mail_longer_gets_what_the_server_still_has(tmp_path: Path, policy: Policy) -> None:
    """Complete must not say of a message that it is archived which the policy in force wants kept."""
    with _filled(tmp_path) as archive:
        archive.set_policy(ALICE, YEAR, by="tests")
        archive.keeping.keep_up(ALICE, AT_ONCE)
        archive.set_policy(ALICE, policy, by="tests")

        assert str(_held(archive)) == "2:4"
        run(archive, {1: (OLD, days_ago(366))})
        assert str(_held(archive)) == "1:4"
        assert read(archive, OLD) == OLD
        require_sound(archive)
        assert str(_held(archive)) == "1:4"


def test_octets_stay_in_packs_until_they_are_worth_it_and_count_as_dead(tmp_path: Path) -> None:
    """A pack of much young mail is not written anew for one old message; nobody finds that all the same."""
    with archive_in(tmp_path) as archive:
        run(archive, {number: (b"%d" % number * 3000, days_ago(1)) for number in range(2, 40)})
        run(archive, {1: (OLD, days_ago(366))} | {number: (b"x%d" % number, days_ago(1)) for number in range(50, 80)})
        archive.set_policy(ALICE, YEAR, by="tests")

        archive.keeping.keep_up(ALICE, Plan(grace=timedelta(0)))

        (stats,) = archive.keeping.stats()
        assert stats.dead_octets > 0
        assert content_id(OLD) not in _kept(archive)
        assert files_with(tmp_path, b"marker-of-the-old-message") != []
        require_sound(archive)
        assert content_id(OLD) not in _kept(archive)

        archive.keeping.keep_up(ALICE, AT_ONCE)
        (stats,) = archive.keeping.stats()
        assert stats.dead_octets == 0
        assert files_with(tmp_path, b"marker-of-the-old-message") == []


def test_words_of_a_removed_message_find_no_other_one(tmp_path: Path) -> None:
    """SQLite would give the number of its row to the next message, while the index still has its words."""
    with archive_in(tmp_path) as archive:
        run(archive, {1: (YOUNG, days_ago(1)), 2: (OLD, days_ago(366))})
        while archive.drain_index():
            pass
        archive.set_policy(ALICE, YEAR, by="tests")
        archive.keeping.keep_up(ALICE, AT_ONCE)
        assert archive.keeping.texts_to_purge() == 1
        run(archive, {3: (UNDATED, "")})
        while archive.drain_index():
            pass

        ids = {row[0] for row in rows(tmp_path, "SELECT id FROM contents")}
        assert _found(tmp_path, "old") & ids == set()
        assert archive.keeping.purge_texts() == 1
        assert archive.keeping.texts_to_purge() == 0
        assert _found(tmp_path, "old") == set()
        assert len(_found(tmp_path, "young")) == len(_found(tmp_path, "undated")) == 1


def _found(directory: Path, word: str) -> set[object]:
    """Rows of the text index that have a word."""
    return {row[0] for row in rows(directory, f"SELECT rowid FROM message_text WHERE message_text MATCH '{word}'")}


def test_a_run_that_a_crash_kept_from_its_removal_is_finished_by_the_next(tmp_path: Path) -> None:
    """Tombstones were durable, the catalog was not: the removal is done, and in the trail."""
    with _filled(tmp_path) as archive:
        archive.set_policy(ALICE, YEAR, by="tests")
        archive._database.close()
        before = (tmp_path / "catalog.db").read_bytes()
    with archive_in(tmp_path) as archive:
        archive.keeping.keep_up(ALICE, Plan())
    (tmp_path / "catalog.db").write_bytes(before)

    with archive_in(tmp_path) as archive:
        assert content_id(OLD) in _kept(archive)
        assert str(_held(archive)) == "1:4"
        assert content_id(OLD) not in _kept(archive)
        removed = [each for each in archive.audit_entries() if each.kind == "message_removed"]
        assert [each.facts["contentId"] for each in removed] == [content_id(OLD).hex()]
        require_sound(archive)


def test_a_hold_set_after_such_a_crash_keeps_the_message(tmp_path: Path) -> None:
    """What was not removed yet is not removed."""
    with _filled(tmp_path) as archive:
        archive.set_policy(ALICE, YEAR, by="tests")
        before = (tmp_path / "catalog.db").read_bytes()
    with archive_in(tmp_path) as archive:
        before = (tmp_path / "catalog.db").read_bytes()
        archive.keeping.keep_up(ALICE, Plan())
    (tmp_path / "catalog.db").write_bytes(before)

    with archive_in(tmp_path) as archive:
        archive.set_policy(ALICE, Policy(YEAR.keep_for, hold=True), by="tests")
        assert str(_held(archive)) == "1:4"
        assert read(archive, OLD) == OLD
        require_sound(archive)
        assert content_id(OLD) in _kept(archive)
        assert len(pack_files(tmp_path)) == 2


@pytest.mark.slow
def test_many_messages_go_in_batches(tmp_path: Path) -> None:
    """More than one transaction's worth."""
    with archive_in(tmp_path) as archive:
        run(archive, {number: (b"old %d" % number, days_ago(400)) for number in range(1, 1101)})
        archive.set_policy(ALICE, YEAR, by="tests")

        assert archive.keeping.keep_up(ALICE, AT_ONCE).expired.messages == 1100
        assert placements(archive) == []
        assert str(_held(archive)) == "1:1100"
        require_sound(archive)


def test_a_stored_message_is_fetched_as_ever_beside_removed_ones(tmp_path: Path) -> None:
    """Tombstones of others make nothing of it."""
    with _filled(tmp_path) as archive:
        archive.set_policy(ALICE, YEAR, by="tests")
        archive.keeping.keep_up(ALICE, AT_ONCE)
        writer = archive.take(ALICE)
        epoch = writer.latest_epoch(INBOX.name)
        assert epoch is not None
        assert writer.store(epoch, fetched(30, b"quite new")).is_new_content
        writer.checkpoint()
        writer.close()
        assert read(archive, b"quite new") == b"quite new"


@pytest.mark.parametrize(
    ("policy", "is_complete"),
    [
        pytest.param(Policy(), False, id="for-ever"),
        pytest.param(Policy(YEAR.keep_for, hold=True), False, id="hold"),
        pytest.param(Policy(timedelta(days=30)), True, id="shorter"),
    ],
)
def test_who_keeps_mail_longer_compares_every_folder_at_the_next_run(
    tmp_path: Path, policy: Policy, is_complete: bool
) -> None:
    """A folder whose marks have not changed would be skipped for a day, though a message of it is wanted again."""
    with _filled(tmp_path) as archive:
        archive.set_policy(ALICE, YEAR, by="tests")
        writer = archive.take(ALICE)
        epoch = writer.latest_epoch(INBOX.name)
        assert epoch is not None
        writer.put_folder_state(INBOX, state(epoch, archived=4))
        writer.checkpoint()
        writer.close()
        archive.set_policy(ALICE, policy, by="tests")

        ((_, kept),) = archive.folder_states(ALICE)
        assert kept.complete is is_complete


def test_a_date_before_there_was_mail_tells_no_age(tmp_path: Path) -> None:
    """A server's nonsense must not remove a message the moment it is archived."""
    absurd = b"Subject: absurd\r\n\r\nof the year one\r\n"
    dates = {1: "01-Jan-0001 00:00:00 +0000", 2: "31-Dec-1969 23:59:59 +0000"}
    with archive_in(tmp_path) as archive:
        run(archive, {uid: (absurd + str(uid).encode(), date) for uid, date in dates.items()})
        archive.set_policy(ALICE, YEAR, by="tests")
        assert archive.keeping.keep_up(ALICE, Plan(is_dry_run=True)).expired.messages == 0
        assert archive.keeping.keep_up(ALICE, AT_ONCE).expired.messages == 0
        assert len(placements(archive)) == 2


@pytest.mark.parametrize(
    "policy", [Policy(), Policy(YEAR.keep_for, hold=True), Policy(timedelta(days=3650))], ids=["none", "hold", "longer"]
)
def test_a_policy_that_changes_under_a_removal_is_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: Policy
) -> None:
    """Between the pack of tombstones and the catalog: nothing goes, now or when the account is taken next."""
    buried = retention._buried

    def changed(*arguments: Any) -> Any:
        pack = buried(*arguments)
        archive.set_policy(ALICE, policy, by="tests")
        return pack

    with _filled(tmp_path) as archive:
        archive.set_policy(ALICE, YEAR, by="tests")
        monkeypatch.setattr(retention, "_buried", changed)
        assert archive.keeping.keep_up(ALICE, AT_ONCE).expired.messages == 0
        monkeypatch.undo()
        run(archive, {5: (b"Subject: new\r\n\r\n", days_ago(0))})

        assert read(archive, OLD) == OLD
        require_sound(archive)


def test_a_removal_that_a_crash_cut_off_obeys_a_policy_made_longer_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tombstones are durable, the catalog knows nothing: whoever takes the account next finishes or forgets it."""

    def torn(*_: Any) -> None:
        raise ArchiveUnavailable("the power is gone")

    with _filled(tmp_path) as archive:
        archive.set_policy(ALICE, YEAR, by="tests")
        monkeypatch.setattr(retention.recording, "record", torn)
        with pytest.raises(ArchiveUnavailable):
            archive.keeping.keep_up(ALICE, AT_ONCE)
        monkeypatch.undo()
        archive.set_policy(ALICE, Policy(timedelta(days=3650)), by="tests")
        run(archive, {5: (b"Subject: new\r\n\r\n", days_ago(0))})

        assert read(archive, OLD) == OLD
        require_sound(archive)


@pytest.mark.parametrize("at_once", [1, 50, 10**6])
def test_words_of_removed_messages_leave_the_index_in_bounded_portions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Whatever fits into one: removed words find nothing, and those of the others are as they were."""
    monkeypatch.setattr(purging, "_WORDS_AT_ONCE", at_once)
    text = b"Subject: old%d\r\n\r\nzxqgone common old%d common\r\n"
    old = {uid: (text % (uid, uid), days_ago(500)) for uid in range(1, 8)}
    young = {uid: (b"Subject: young%d\r\n\r\ncommon zxqstays\r\n" % uid, days_ago(5)) for uid in range(11, 18)}
    with archive_in(tmp_path) as archive:
        run(archive, old | young)
        while archive.drain_index():
            pass
        archive.set_policy(ALICE, YEAR, by="tests")
        archive.keeping.keep_up(ALICE, AT_ONCE)
        assert archive.keeping.purge_texts() == len(old)

        assert files_with(tmp_path / "packs", b"zxqgone") == []
        assert rows(tmp_path, "SELECT count(*) FROM message_text WHERE message_text MATCH 'zxqgone OR old3'") == [(0,)]
        assert len(archive.search(parse('"common zxqstays"'))) == len(young)
        assert rows(tmp_path, "INSERT INTO message_text (message_text) VALUES ('integrity-check')") == []


def test_taking_words_out_costs_few_octets_a_word(tmp_path: Path) -> None:
    """Five thousand messages have millions of words: as objects of Python they took 800 MB."""
    words, count = 400, 60
    mails = {
        uid: (b"Subject: x\r\n\r\n" + b" ".join(b"w%d" % (each * uid % 997) for each in range(words)), days_ago(500))
        for uid in range(1, count + 1)
    }
    with archive_in(tmp_path) as archive:
        run(archive, mails)
        while archive.drain_index():
            pass
        archive.set_policy(ALICE, YEAR, by="tests")
        archive.keeping.keep_up(ALICE, AT_ONCE)
        tracemalloc.start()
        try:
            archive.keeping.purge_texts()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 40 * words * count + 500_000
