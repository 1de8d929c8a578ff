"""First sync, news, removal, another UIDVALIDITY: the same on Dovecot and on Cyrus."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from archivmail.model.outcome import Result
from tests.corpus.realistic import messages
from tests.engine.world import World, folder_of
from tests.servers.fixtures import Mailbox

pytestmark = pytest.mark.servers

ODD = [
    b"Subject: 8-bit\r\n\r\n" + bytes(range(128, 256)),
    b"Subject: \xe4\xf6\xfc\r\n\r\nraw header\r\n",
    b"Subject: lone\r\n\r\nCR \r in a line, and no final newline",
    b"From x Thu Jan  1 00:00:00 1970\r\nSubject: mbox\r\n\r\nFrom here\r\n>From there\r\n.\r\n..\r\n",
    b"Subject: long\r\n\r\n" + b"x" * 100_000 + b"\r\n",
    b"Subject: header only\r\n",
    b"Message-ID: <same@example.org>\r\nSubject: 1\r\n\r\none\r\n",
    b"Message-ID: <same@example.org>\r\nSubject: 1\r\n\r\ntwo\r\n",
]
PLAIN = [b"Subject: %d\r\n\r\nbody %d\r\n" % (number, number) for number in range(1, 11)]


def test_everything_is_archived_and_the_mailbox_is_as_before(world: World) -> None:
    """S16, S20, trap 32, trap 64, trap 66: folders of each kind, flags, odd octets; not one flag is changed."""
    server, user = world.server, world.user
    for name in ("Sent", "Projekte", "Projekte/Übersicht", "旅行"):
        server.create_folder(user, name)
    server.bulk_append(user, "INBOX", ODD)
    server.bulk_append(user, "Sent", messages(40, seed=1, small=True), ["\\Seen", "$Label1"])
    server.bulk_append(user, "Projekte/Übersicht", messages(20, seed=2, small=True), ["\\Flagged"])
    server.bulk_append(user, "旅行", ODD[:3])
    before = server.states(user)

    outcome = world.sync()

    world.assert_complete(outcome)
    assert 71 == outcome.added == len(world.held())
    assert before == server.states(user)
    flags = {frozenset(row.flags) - {"\\Recent"} for row in world.rows() if row.display == "Sent"}
    assert {frozenset({"\\Seen", "$Label1"})} == flags


def test_run_without_news_fetches_nothing_and_writes_nothing(world: World) -> None:
    """S15, S17, trap 1: `n:*` would bring the last message again; every further run finds nothing."""
    world.server.bulk_append(world.user, "INBOX", PLAIN)
    world.sync()
    packs = sorted((world.folder / "packs").rglob("*"))

    quiet = world.sync()
    world.later(days=2)  # the daily comparison is due
    compared = world.sync()

    assert ([], 0, 0) == (world.watcher.stored, quiet.added, compared.added)
    assert packs == sorted((world.folder / "packs").rglob("*"))
    world.assert_complete(compared)


def test_news_alone_are_fetched(world: World) -> None:
    """S15: what is held is not asked for again."""
    world.server.bulk_append(world.user, "INBOX", PLAIN)
    world.sync()
    world.server.append(world.user, "INBOX", ODD[0])

    outcome = world.sync()

    assert [len(ODD[0])] == world.watcher.stored
    world.assert_complete(outcome)


def test_what_the_server_loses_the_archive_keeps(world: World) -> None:
    """Trap 5: the tail is removed, so UIDNEXT-1 does not exist, and the runs converge all the same."""
    world.server.bulk_append(world.user, "INBOX", PLAIN)
    world.sync()
    world.server.append(world.user, "INBOX", ODD[0])
    world.server.expunge(world.user, "INBOX", [2, 10, 11])

    outcome = world.sync()
    world.later(days=2)
    again = world.sync()

    world.assert_complete(outcome)
    assert (8, 8, 0) == (
        folder_of(outcome, "INBOX").counts.server,
        folder_of(outcome, "INBOX").counts.archived,
        again.added,
    )
    assert set(range(1, 11)) == {uid for _, _, uid in world.held()}


def test_other_uidvalidity_starts_over_in_the_same_run(world: World) -> None:
    """S14, trap 7: all of the new epoch is placed, the old placements stay, no octets are stored twice."""
    server, user = world.server, world.user
    server.create_folder(user, "Work")
    server.bulk_append(user, "Work", PLAIN)
    world.sync()
    before = world.held()
    server.expunge(user, "Work", [1])
    server.reset_uidvalidity(user, "Work", renumber=True)
    server.append(user, "Work", ODD[0])

    outcome = world.sync()

    world.assert_complete(outcome)
    assert ["Work"] == [folder for folder, _, _ in world.watcher.resets]
    assert before.items() <= world.held().items()
    assert 11 == len({row.content_id for row in world.rows()})
    assert "imap_uidvalidity_reset" in [entry.kind for entry in world.archive.audit_entries()]


def test_message_replaced_in_place_is_kept_in_both_forms(world: World) -> None:
    """Trap 70: a draft is saved again under a new UID; a flag alone is no new message."""
    server, user = world.server, world.user
    server.create_folder(user, "Drafts")
    first = server.append(user, "Drafts", PLAIN[0], ["\\Draft"])
    world.sync()
    server.set_flags(user, "Drafts", [first], ["\\Draft", "\\Flagged"])
    flagged = world.sync()
    server.append(user, "Drafts", PLAIN[1], ["\\Draft"])
    server.expunge(user, "Drafts", [first])

    replaced = world.sync()

    assert (0, 1) == (flagged.added, replaced.added)
    world.assert_complete(replaced)
    assert 2 == len(world.held())


def test_date_of_arrival_is_the_servers_and_no_measure_of_progress(world: World) -> None:
    """Trap 25: mail that was imported with an old date is new all the same, and its date is kept."""
    world.server.bulk_append(world.user, "INBOX", PLAIN[:3])
    world.sync()
    world.server.append(world.user, "INBOX", ODD[0], internaldate=datetime(1999, 12, 31, 23, 59, 58, tzinfo=UTC))

    outcome = world.sync()

    world.assert_complete(outcome)
    (row,) = (row for row in world.rows() if row.uid == 4)
    assert datetime(1999, 12, 31, 23, 59, 58, tzinfo=UTC) == row.received_at


def test_password_may_hold_any_letters(world: World) -> None:
    """Trap 92: AUTHENTICATE PLAIN in UTF-8."""
    world.server.set_password(world.user, 'Pässwörd 密码 "\\')
    world.password = 'Pässwörd 密码 "\\'
    world.server.append(world.user, "INBOX", PLAIN[0])

    world.assert_complete(world.sync())


# --- in the middle of a run ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["fetch", "message"])
def test_messages_that_vanish_in_mid_run_are_no_failure(world: World, step: str) -> None:
    """Trap 12, trap 40: another session removes them between SEARCH and FETCH, or while the answers arrive."""
    world.server.bulk_append(world.user, "INBOX", PLAIN)
    world.once(step, lambda: world.server.expunge(world.user, "INBOX", [3, 9, 10]))

    outcome = world.sync()
    world.quietly()

    assert outcome.added == len(world.held())
    assert set(range(1, 9)) - {3} <= {uid for _, _, uid in world.held()}
    assert Result.SUCCEEDED == outcome.result
    world.assert_complete(world.sync())


@pytest.mark.parametrize("step", ["examine", "uids", "fetch", "message"])
def test_messages_that_arrive_in_mid_run_come_with_the_next_at_the_latest(world: World, step: str) -> None:
    """What arrives after the list is no part of this pass, and the next one sees it."""
    world.server.bulk_append(world.user, "INBOX", PLAIN)
    world.once(step, lambda: world.server.append(world.user, "INBOX", ODD[0]))

    first = world.sync()
    world.quietly()
    second = world.sync()

    assert Result.SUCCEEDED == first.result
    assert 11 == first.added + second.added
    world.assert_complete(second)


@pytest.mark.parametrize("step", ["examine", "uids", "fetch", "message"])
def test_uidvalidity_that_changes_in_mid_run_mixes_nothing(dovecot_world: World, step: str) -> None:
    """Trap 11: whatever the run says of it, the next one has all under the new UIDVALIDITY, and nothing twice."""
    world, server, user = dovecot_world, dovecot_world.server, dovecot_world.user
    server.bulk_append(user, "INBOX", PLAIN)
    before = server.uid_validity(user, "INBOX")
    world.once(step, lambda: server.reset_uidvalidity(user, "INBOX"))

    world.sync()
    world.quietly()
    second = world.sync()

    world.assert_complete(second)
    assert {before, server.uid_validity(user, "INBOX")} >= {validity for _, validity, _ in world.held()}
    assert 10 == len(set(world.held().values())) == len({row.content_id for row in world.rows()})


@pytest.mark.parametrize("step", ["examine", "uids", "fetch", "message"])
def test_folder_made_anew_in_mid_run_is_never_filed_under_the_old_uidvalidity(
    cyrus_mailbox: Mailbox, tmp_path: Path, step: str
) -> None:
    """Trap 11, trap 58: no octets stand under UIDs that are not theirs.

    On Cyrus alone: Dovecot 2.3.19 damages its own index when a folder is made anew while another session has the old
    one open, and then serves the new octets (sdbox) or none.
    """
    world = World(cyrus_mailbox, tmp_path)
    server, user = world.server, world.user
    server.create_folder(user, "Work")
    server.bulk_append(user, "Work", PLAIN)
    old, old_validity = server.messages(user, "Work"), server.uid_validity(user, "Work")

    def make_anew() -> None:
        server.delete_folder(user, "Work")
        server.create_folder(user, "Work")
        server.bulk_append(user, "Work", ODD)

    world.once(step, make_anew, at=2 if step == "examine" else 1)
    world.sync()
    world.quietly()
    world.assert_complete(world.sync())

    for row in world.rows():
        held = b"".join(world.archive.octets(row.content_id))
        assert held == (old[row.uid] if row.uid_validity == old_validity else ODD[row.uid - 1])
    world.close()
