"""Names, parents, renaming, deletion, overlapping views: folders as real servers have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from archivmail.model.account import FolderRules
from archivmail.model.outcome import Result
from tests.cli.program import archivmail
from tests.e2e.archives import contents_stored
from tests.engine.world import World, folder_of
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.fixtures import Mailbox

pytestmark = pytest.mark.servers

PLAIN = [b"Subject: %d\r\n\r\nbody %d\r\n" % (number, number) for number in range(1, 6)]
NAMES = [
    "a[b", "[Gmail]", "x]", "NIL", "123", "nil/NIL", "(p)", "a  b", "Grüße & Küsse", "&", "日本語/メール",
    "Clash", "clash", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}", "con", "a.eml",
    "Inbox2", "l" * 100, "new*",
]  # fmt: skip
ONLY_ON = {Dovecot: ['q"uote', "back\\slash", "per%cent", "{7}"], Cyrus: ["..", "...", "a/../b", "~home"]}


def test_folders_of_any_name_are_archived_and_exported_apart(world: World, tmp_path: Path) -> None:
    """Trap 53, trap 55, trap 56, trap 57: each is found, opened and kept under its own name; none leaves the export."""
    names = ["INBOX", *NAMES, *ONLY_ON[type(world.server)]]
    for number, name in enumerate(names):
        if name != "INBOX":
            world.server.create_folder(world.user, name)
        world.server.append(world.user, name, b"Subject: %d\r\n\r\nin folder %d\r\n" % (number, number))

    outcome = world.sync()
    ended = archivmail("export", "--format", "eml", "--output", tmp_path / "out", "--archive", world.folder)

    world.assert_complete(outcome)
    assert dict.fromkeys(names, 1) == {
        each.display: each.counts.archived for each in outcome.folders if each.counts.server
    }
    assert 0 == ended.code, ended.err
    assert len(names) == sum(path.is_file() for path in (tmp_path / "out").rglob("*-*.eml"))
    assert {tmp_path / "archive", tmp_path / "out"} == set(tmp_path.iterdir())


def test_parents_that_only_hold_others_are_no_failure(world: World) -> None:
    r"""Trap 50: Dovecot lists such parents as \Noselect, Cyrus makes real folders of them."""
    world.server.create_folder(world.user, "a/b/c")
    world.server.bulk_append(world.user, "a/b/c", PLAIN)

    outcome = world.sync()

    world.assert_complete(outcome)
    assert set(world.server.folders(world.user)) == {each.display for each in outcome.folders}


def test_special_use_selects_whatever_the_folder_is_called(world: World) -> None:
    """S10: the attribute is the server's word."""
    for name in ("Sent", "Trash", "Junkyard"):
        world.server.create_folder(world.user, name)
        world.server.bulk_append(world.user, name, PLAIN)

    outcome = world.sync(rules=FolderRules(exclude=("\\Trash", "\\Junk")))

    assert {"INBOX", "Sent", "Junkyard"} == {each.display for each in outcome.folders}
    assert (Result.SUCCEEDED, 1) == (outcome.result, outcome.excluded)


def test_renamed_folder_is_archived_under_both_names_and_stored_once(world: World) -> None:
    """Trap 58: what stood under the old name stays; EMAILID spares the download on Cyrus."""
    server, user = world.server, world.user
    server.create_folder(user, "Old")
    server.bulk_append(user, "Old", PLAIN)
    world.sync()
    server.rename_folder(user, "Old", "New")

    outcome = world.sync()

    world.assert_complete(outcome)
    assert {("Old", 5), ("New", 5)} == {
        (name, sum(row.display == name for row in world.rows())) for name in ("Old", "New")
    }
    assert 5 == len({row.content_id for row in world.rows()})
    assert [1] * 5 == list(contents_stored(world.folder).values())
    assert "Old" not in {each.display for each in outcome.folders}
    if isinstance(server, Cyrus):
        assert [0] * 5 == world.watcher.stored


def test_deleted_folder_stays_in_the_archive_and_a_new_one_of_its_name_is_another(world: World) -> None:
    """Trap 58, trap 8: same name, UIDs from 1 again, other mail."""
    server, user = world.server, world.user
    server.create_folder(user, "Work")
    server.bulk_append(user, "Work", PLAIN[:3])
    world.sync()
    server.delete_folder(user, "Work")
    assert Result.SUCCEEDED == world.sync().result
    server.create_folder(user, "Work")
    server.bulk_append(user, "Work", PLAIN[3:])

    outcome = world.sync()

    world.assert_complete(outcome)
    octets = {b"".join(world.archive.octets(row.content_id)) for row in world.rows()}
    assert set(PLAIN) == octets
    assert 5 == len(world.held())


def test_folder_that_goes_between_the_list_and_its_turn_harms_no_other(world: World) -> None:
    """S11, trap 58: the run names it, archives the rest, and the next one is complete."""
    server, user = world.server, world.user
    for name in ("A", "B", "C"):
        server.create_folder(user, name)
        server.bulk_append(user, name, PLAIN)
    world.once("status", lambda: server.delete_folder(user, "B"))

    first = world.sync()
    world.quietly()
    second = world.sync()

    assert Result.PARTIAL == first.result
    assert folder_of(first, "B").failure is not None
    assert {"A", "C"} == {folder for folder, _, _ in world.held()}
    world.assert_complete(second)


# --- what Dovecot alone shows ----------------------------------------------------------------------------------------


def test_inbox_that_is_renamed_leaves_an_empty_one(dovecot_world: World) -> None:
    """Trap 58: RFC 3501 §6.3.5."""
    world = dovecot_world
    world.server.bulk_append(world.user, "INBOX", PLAIN)
    world.sync()
    world.server.rename_folder(world.user, "INBOX", "2025")

    outcome = world.sync()

    world.assert_complete(outcome)
    assert (0, 5) == (folder_of(outcome, "INBOX").counts.server, folder_of(outcome, "2025").counts.server)
    assert 5 == len({row.content_id for row in world.rows()})


def test_lost_uid_list_of_a_maildir_gives_another_uidvalidity(tmp_path: Path) -> None:
    """Trap 7: as after a restore from a backup without Dovecot's own files."""
    with Dovecot(mail_format="maildir") as server:
        world = World(Mailbox(server, "alice", server.add_user("alice")), tmp_path)
        server.bulk_append("alice", "INBOX", PLAIN)
        world.sync()
        before = server.uid_validity("alice", "INBOX")
        server.stop()
        server.forget_session("alice")
        for name in ("dovecot-uidlist", "dovecot-uidvalidity*", "dovecot.index*", "dovecot.list.index*"):
            for lost in server.folder.rglob(name):
                lost.unlink()
        server.start()

        outcome = world.sync()

        assert before != server.uid_validity("alice", "INBOX")
        world.assert_complete(outcome)
        assert ["INBOX"] == [folder for folder, _, _ in world.watcher.resets]
        assert (10, 5) == (len(world.held()), len({row.content_id for row in world.rows()}))
        world.close()


VIRTUAL = r"""
mail_plugins = virtual
namespace virtual {
  prefix = virtual/
  separator = /
  location = virtual:~/virtual
}
"""


def test_virtual_folder_of_all_mail_stores_nothing_twice(tmp_path: Path) -> None:
    """Trap 60: three views of the same mail; every placement is kept, the octets once."""
    with Dovecot(extra_config=VIRTUAL) as server:
        world = World(Mailbox(server, "alice", server.add_user("alice")), tmp_path)
        server.create_folder("alice", "Work")
        server.bulk_append("alice", "INBOX", PLAIN[:2])
        server.bulk_append("alice", "Work", PLAIN[2:])
        server.make_virtual("alice", "All", "*\n-virtual/*\n  all\n")

        outcome = world.sync()

        world.assert_complete(outcome)
        assert {"INBOX": 2, "Work": 3, "virtual/All": 5} == {
            each.display: each.counts.archived for each in outcome.folders
        }
        assert 5 == len({row.content_id for row in world.rows()})
        world.close()


def test_connection_that_is_one_too_many_is_no_wrong_password(dovecot_world: World) -> None:
    """Trap 89: Dovecot says NO [UNAVAILABLE]... the account is not stalled, and the next run succeeds."""
    world = dovecot_world
    world.server.bulk_append(world.user, "INBOX", PLAIN)
    world.server.set_max_connections(1)
    first_ended = []

    def compete() -> None:
        other = World(world.mailbox, world.folder.parent / "other")
        first_ended.append(other.sync())
        other.close()

    world.once("status", compete)
    outcome = world.sync()

    (refused,) = first_ended
    assert (Result.FAILED, False) == (refused.result, refused.failure.needs_user)
    world.assert_complete(outcome)
