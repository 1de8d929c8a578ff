"""Invariant 2, UIDVALIDITY and origins: sightings are added, octets are not."""

from __future__ import annotations

import pytest

from archivmail.model.account import FolderRules, Origin
from archivmail.model.outcome import Result
from archivmail.model.reasons import Reason
from archivmail.sync import gathering
from tests.sync.conftest import World
from tests.sync.mailserver import FakeFolder

BODIES = tuple(b"Message-ID: <one@example.org>\r\n\r\nbody %d" % n for n in range(1, 6))


def test_equal_message_ids_with_other_octets_are_both_kept(world: World) -> None:
    """Trap 64: Message-ID is an index, never an identity."""
    world.server.inbox.append(*BODIES)

    world.sync()

    assert dict(enumerate(BODIES, 1)) == world.of_inbox()


def test_equal_octets_are_stored_once_and_placed_often(world: World) -> None:
    """Trap 60: labels and copies."""
    world.server.folders["Copies"] = FakeFolder()
    world.server.inbox.append(*BODIES, *BODIES)
    world.server.folders["Copies"].append(*BODIES)

    outcome = world.sync()

    assert (15, 10, 15) == (outcome.added, outcome.deduplicated, len(world.placements()))


def test_folder_starts_over_in_the_same_run_when_uidvalidity_changes(world: World) -> None:
    """S14, trap 7: audit event, told once, old placements kept, nothing stored twice."""
    world.server.inbox.append(*BODIES)
    world.sync()
    world.server.inbox.validity = 8

    outcome = world.sync()

    assert (7, 8) == (outcome.folders[0].reset_from, outcome.folders[0].uid_validity)
    assert (Result.SUCCEEDED, 5, 5) == (outcome.result, outcome.added, outcome.deduplicated)
    assert [("INBOX", 7, 8)] == world.watcher.resets
    assert 1 == world.audit().count("imap_uidvalidity_reset")
    assert {(b"INBOX", validity, uid) for validity in (7, 8) for uid in range(1, 6)} == set(world.placements())


def test_uidvalidity_that_comes_back_is_not_trusted(world: World) -> None:
    """Trap 8: 1, 2, 1 with other content."""
    inbox = world.server.inbox
    inbox.append(*BODIES)
    world.sync()
    inbox.validity = 8
    world.sync()
    inbox.validity = 7
    inbox.messages = {1: b"another message under an old number"}
    inbox.next_uid = 2

    outcome = world.sync()

    contents = {b"".join(world.archive.octets(row.content_id)) for row in world.archive.placements()}
    assert (Result.SUCCEEDED, 1) == (outcome.result, outcome.added)
    assert b"another message under an old number" in contents
    assert set(BODIES) <= contents


def test_unknown_uidvalidity_keeps_the_stored_value_and_compares_contents(world: World) -> None:
    """S13, trap 9: said in the status, nothing lost, nothing twice, no reset told, before and after."""
    inbox = world.server.inbox
    inbox.append(*BODIES)
    world.sync()
    inbox.validity = None
    inbox.append(b"arrived meanwhile")

    unknown = world.sync()
    again = world.sync()
    inbox.validity = 7
    known = world.sync()

    assert (7, Result.SUCCEEDED, 6) == (
        unknown.folders[0].uid_validity,
        unknown.result,
        unknown.folders[0].counts.archived,
    )
    assert unknown.folders[0].note is not None
    assert 0 == again.added
    assert (None, Result.SUCCEEDED, 6) == (known.folders[0].reset_from, known.result, known.folders[0].counts.archived)
    assert [] == world.watcher.resets


def test_first_sight_without_uidvalidity_archives_everything(world: World) -> None:
    """Trap 9: a folder that never had one."""
    world.server.inbox.validity = None
    world.server.inbox.append(*BODIES)

    assert (Result.SUCCEEDED, 5) == (world.sync().result, len(world.placements()))
    assert 0 == world.sync().added


def test_another_origin_starts_over_even_with_equal_uidvalidity(world: World) -> None:
    """trap 101: S12: state belongs to host, port and user; a move is no UIDVALIDITY reset."""
    world.server.inbox.append(*BODIES)
    world.sync()
    world.server.origin = Origin("imap.example.net", 993, "alice")
    world.server.inbox.messages[1] = b"other mail under the same number"
    world.server.fetched.clear()

    outcome = world.sync()

    assert [1, 2, 3, 4, 5] == world.server.fetched_uids()
    assert (Result.SUCCEEDED, None) == (outcome.result, outcome.folders[0].reset_from)


def test_held_email_id_is_placed_without_downloading(world: World) -> None:
    """Gmail-like: three labels, one download (RFC 8474 EMAILID, X-GM-MSGID)."""
    ids = {uid: f"M{uid}" for uid in range(1, 6)}
    world.server.inbox.append(*BODIES)
    world.server.inbox.email_ids = ids
    world.server.folders["All"] = FakeFolder(messages=dict(enumerate(BODIES, 1)), next_uid=6, email_ids=ids)

    outcome = world.sync()

    assert [1, 2, 3, 4, 5] == world.server.fetched_uids("INBOX")
    assert [] == world.server.fetched_uids("All")
    assert (Result.SUCCEEDED, 10) == (outcome.result, len(world.placements()))


def test_facts_are_asked_for_in_pieces(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 9: a folder of a million messages at Gmail is not held in memory, and none of them is forgotten."""
    monkeypatch.setattr(gathering, "SIGHTINGS_AT_ONCE", 2)
    test_held_email_id_is_placed_without_downloading(world)
    assert {1, 2} == {len(uids) for _, uids in world.server.looked_at}


def test_many_folders_with_little_news_make_one_pack(world: World) -> None:
    """One open pack a run, across folders."""
    for number in range(40):
        world.server.folders[f"f{number}"] = FakeFolder()
        world.server.folders[f"f{number}"].append(b"mail %d" % number)

    world.sync()

    assert (1, 40) == (world.packs(), len(world.placements()))


def test_name_in_include_that_matches_nothing_is_told(world: World) -> None:
    """A typing error must not pass for completeness."""
    world.server.inbox.append(*BODIES)

    outcome = world.sync(rules=FolderRules(include=("INBOX", "Sent Itmes")))

    missing = outcome.folders[-1]
    assert (Result.PARTIAL, "Sent Itmes", Reason.FOLDER_MISSING) == (
        outcome.result,
        missing.display,
        missing.failure.reason if missing.failure else None,
    )


def test_rules_that_select_nothing_stall_the_account(world: World) -> None:
    """An archive of nothing is not complete."""
    outcome = world.sync(rules=FolderRules(exclude=("*",)))

    assert outcome.failure is not None
    assert (Result.FAILED, Reason.NO_FOLDER_SELECTED, True) == (
        outcome.result,
        outcome.failure.reason,
        outcome.failure.needs_user,
    )


def test_uids_that_are_given_a_second_time_are_compared_by_content(world: World) -> None:
    """Trap 6: the mailbox was restored from a backup; UIDs 3 and 4 mean other mail under the same UIDVALIDITY."""
    inbox = world.server.inbox
    inbox.append(b"one", b"two", b"lost", b"lost too")
    world.sync()
    del inbox.messages[3], inbox.messages[4]
    inbox.next_uid = 3
    world.sync()
    inbox.append(b"other", b"other too")

    outcome = world.sync()

    kept = {b"".join(world.archive.octets(row.content_id)) for row in world.archive.placements()}
    assert {b"one", b"two", b"lost", b"lost too", b"other", b"other too"} == kept
    assert Result.SUCCEEDED is outcome.result
    assert "imap_uids_reused" in world.audit()
    world.server.fetched.clear()
    world.later(hours=25)
    world.sync()
    assert [] == world.server.fetched, "once is enough"


def test_uids_reused_between_two_runs_are_compared_by_content(world: World) -> None:
    """Trap 6: all of it happened while nobody looked, but UIDNEXT is still below what was listed."""
    inbox = world.server.inbox
    inbox.append(b"one", b"two", b"three", b"four", b"five")
    world.sync()
    for uid in (3, 4, 5):
        del inbox.messages[uid]
    inbox.next_uid = 3
    inbox.append(b"other")

    world.sync()

    kept = {b"".join(world.archive.octets(row.content_id)) for row in world.archive.placements()}
    assert b"other" in kept
