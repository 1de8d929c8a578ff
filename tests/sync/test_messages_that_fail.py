"""Messages that the server does not give whole: put together and marked, or named (traps 34, 44 to 47)."""

from __future__ import annotations

import pytest

from archivmail.model.message import HEADER_AND_TEXT, PARTIAL
from archivmail.model.outcome import Result
from archivmail.model.reasons import Reason
from tests.sync.conftest import World
from tests.sync.mailserver import FakeFolder

BODIES = tuple(b"Subject: %d\r\n\r\nbody %d" % (n, n) for n in range(1, 6))
STUB = (
    b'MIME-Version: 1.0\r\nContent-Type: text/plain; charset="us-ascii"\r\nFrom: Microsoft Exchange Server 2010\r\n'
    b"To: A <a@example.com>\r\nSubject: Retrieval using the IMAP4 protocol failed for the following\r\n message: 3\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\nThe server couldn't retrieve the following message:\r\n"
)


def marks(world: World) -> dict[int, set[str]]:
    """How the octets of each UID were put together."""
    found: dict[int, set[str]] = {}
    for row in world.archive.placements():
        found.setdefault(row.uid, set()).add(row.assembled)
    return found


def counts(world: World, *, forced: bool = False) -> tuple[Result, int, int]:
    """Result, archived and pending of a run."""
    outcome = world.sync(forced=forced)
    return outcome.result, outcome.folders[0].counts.archived, outcome.folders[0].counts.pending


@pytest.mark.parametrize("how", ["refused", "empty"])
@pytest.mark.parametrize("way", [HEADER_AND_TEXT, PARTIAL])
def test_a_message_that_is_not_given_whole_is_put_together_and_marked(world: World, how: str, way: str) -> None:
    """Trap 34, trap 36, trap 47: found alone by halving, then tried in parts; the others are not marked."""
    inbox = world.server.inbox
    inbox.append(*BODIES)
    getattr(inbox, how).add(3)
    inbox.parts[3] = {way: b"in parts"}

    outcome = world.sync()

    assert (Result.SUCCEEDED, 5) == (outcome.result, outcome.folders[0].counts.archived)
    assert b"in parts" == world.of_inbox()[3]
    assert {1: {""}, 2: {""}, 3: {way}, 4: {""}, 5: {""}} == marks(world)
    assert "put together from parts: 1, UID 3 among them" in (outcome.folders[0].note or "")


@pytest.mark.parametrize("most", [1, 3])
def test_a_server_that_gives_fewer_than_asked_for_gives_the_rest_whole(world: World, most: int) -> None:
    """Trap 34, trap 35: OK and no octets is no reason to put together what comes when it is asked for alone."""
    inbox = world.server.inbox
    inbox.append(*BODIES)
    inbox.parts = {uid: {HEADER_AND_TEXT: b"in parts"} for uid in range(1, 6)}
    world.server.most_given = most

    outcome = world.sync()

    assert Result.SUCCEEDED is outcome.result
    assert dict(enumerate(BODIES, 1)) == world.of_inbox()
    assert [] == world.server.assembled


def test_a_later_run_that_gets_the_whole_keeps_both(world: World) -> None:
    """Trap 44: Zimbra's HEADER differs from BODY[]; the whole is a version of its own under the same UID."""
    inbox = world.server.inbox
    inbox.append(*BODIES)
    inbox.refused.add(3)
    inbox.parts[3] = {HEADER_AND_TEXT: b"in parts"}
    world.sync()
    inbox.refused.clear()
    world.server.fetched.clear()

    world.later(hours=25)
    world.sync()

    assert [3] == world.server.fetched_uids()
    kept = [b"".join(world.archive.octets(row.content_id)) for row in world.archive.placements() if row.uid == 3]
    assert [b"in parts", BODIES[2]] == kept
    assert {"", HEADER_AND_TEXT} == marks(world)[3]
    world.later(hours=25)
    world.sync()
    assert [3] == world.server.fetched_uids(), "it is proven now"


def test_octets_that_come_whole_and_the_same_are_proven(world: World) -> None:
    """Trap 44: then the mark goes, also in a catalog made anew from the packs."""
    inbox = world.server.inbox
    inbox.append(*BODIES)
    inbox.empty.add(3)
    inbox.parts[3] = {HEADER_AND_TEXT: BODIES[2]}
    world.sync()
    assert {HEADER_AND_TEXT} == marks(world)[3]
    inbox.empty.clear()

    world.later(hours=25)
    outcome = world.sync()

    assert {""} == marks(world)[3]
    assert 0 == outcome.added


def test_a_message_that_stays_in_parts_is_asked_for_ever_less_often(world: World) -> None:
    """Trap 4: a proof that fails goes into the ledger; it neither blocks nor is it counted as pending."""
    inbox = world.server.inbox
    inbox.append(*BODIES)
    inbox.refused.add(3)
    inbox.parts[3] = {PARTIAL: b"in parts"}
    world.sync()
    world.server.fetched.clear()

    for _ in range(5):
        world.later(hours=1)
        assert (Result.SUCCEEDED, 5, 0) == counts(world)
    assert [] == world.server.fetched_uids(), "the folder has no news, so nothing is asked"
    for _ in range(30):
        world.later(hours=3)
        assert (Result.SUCCEEDED, 5, 0) == counts(world)
    assert 4 <= len(world.server.fetched_uids()) <= 8


def test_what_was_put_together_is_not_placed_elsewhere_unseen(world: World) -> None:
    """Trap 44, RFC 8474: another folder may give the message whole, so it is fetched there."""
    inbox = world.server.inbox
    inbox.append(BODIES[0])
    inbox.refused.add(1)
    inbox.email_ids[1] = "M1"
    inbox.parts[1] = {HEADER_AND_TEXT: b"in parts"}
    world.sync()
    inbox.append(BODIES[0])
    inbox.email_ids[2] = "M1"

    world.sync()

    assert BODIES[0] == world.of_inbox()[2]


def test_a_passing_fault_is_given_the_chance_to_pass(world: World) -> None:
    """§1.8 [UNAVAILABLE] on one UID: not put together at the first try, but at the second."""
    inbox = world.server.inbox
    inbox.append(*BODIES)
    inbox.refused.add(3)
    inbox.refusal = "Server error while fetching messages"
    inbox.parts[3] = {HEADER_AND_TEXT: b"in parts"}

    assert (Result.PARTIAL, 4, 1) == counts(world)
    assert [] == world.server.assembled
    world.later(minutes=5)
    assert (Result.SUCCEEDED, 5, 0) == counts(world)


def test_a_message_that_breaks_sessions_is_got_in_pieces(world: World) -> None:
    """Trap 46, trap 48: a message too large for the patience of the line; the third session takes it piece by piece."""
    inbox = world.server.inbox
    inbox.append(*BODIES)
    inbox.fatal.add(3)
    inbox.parts[3] = {PARTIAL: BODIES[2]}

    for _ in range(3):
        outcome = world.sync()
        world.later(minutes=10)

    assert (Result.SUCCEEDED, 5) == (outcome.result, outcome.folders[0].counts.archived)
    assert [("INBOX", 3, PARTIAL)] == world.server.assembled


def test_a_folder_without_any_octets_is_not_asked_for_parts_without_end(world: World) -> None:
    """Trap 4: after fifty messages in a row that give nothing in any way, the rest waits for the next run."""
    inbox = world.server.inbox
    inbox.append(*(b"%d" % number for number in range(200)))
    inbox.empty |= set(inbox.messages)

    assert (Result.PARTIAL, 0, 200) == counts(world)
    assert 100 == len(world.server.assembled)


@pytest.mark.parametrize("how", ["whole", "in-parts"])
def test_a_notice_of_exchange_is_not_taken_for_the_message(world: World, how: str) -> None:
    """Trap 45: kept in the ledger under its own reason, not stored, not counted, tried again with growing delay."""
    inbox = world.server.inbox
    inbox.append(*BODIES)
    if how == "whole":
        inbox.messages[3] = STUB
    else:
        inbox.empty.add(3)
        inbox.parts[3] = {HEADER_AND_TEXT: STUB}

    for _ in range(4):
        outcome = world.sync()
        world.later(minutes=10)

    (folder,) = outcome.folders
    assert (Result.PARTIAL, 4, 1) == (outcome.result, folder.counts.archived, folder.counts.quarantined)
    assert [(3, Reason.MESSAGE_REPLACED)] == [(each.uid, each.reason) for each in folder.quarantined]
    assert {1, 2, 4, 5} == set(world.of_inbox())
    assert "Outlook" in (folder.note or "")

    inbox.messages[3], inbox.empty = BODIES[2], set()
    assert (Result.SUCCEEDED, 5, 0) == counts(world, forced=True)
    assert BODIES[2] == world.of_inbox()[3]


def test_the_ledger_forgets_what_the_server_no_longer_has(world: World) -> None:
    """Trap 12: also of messages that are archived in parts and wait for a proof."""
    inbox = world.server.inbox
    inbox.append(*BODIES)
    inbox.refused.add(3)
    inbox.parts[3] = {PARTIAL: b"in parts"}
    world.sync()
    world.later(hours=25)
    world.sync()
    del inbox.messages[3]
    world.later(hours=25)
    world.sync()
    world.server.examined.clear()

    world.later(hours=2)
    world.sync()

    assert [] == world.server.examined, "nothing is due, so the folder is skipped"


def test_a_server_that_takes_no_long_sets_is_asked_for_fewer(world: World) -> None:
    """Trap 49, §1.8 BAD: what it did not understand once is not said again."""
    inbox = world.server.inbox
    inbox.append(*(b"%d" % number for number in range(300)))
    world.server.longest_set = 40

    assert (Result.SUCCEEDED, 300, 0) == counts(world)
    lengths = [len(uids) for _, uids in world.server.fetched]
    assert 5 >= sum(length > 40 for length in lengths)
    assert 40 >= max(lengths[5:])


def test_a_server_that_complained_is_asked_for_less(world: World) -> None:
    """§1.8 [LIMIT]: the session says how much it bears."""
    world.server.inbox.append(*(b"%d" % number for number in range(100)))
    world.server.most_messages = 7

    assert (Result.SUCCEEDED, 100, 0) == counts(world)
    assert 7 == max(len(uids) for _, uids in world.server.fetched)


@pytest.mark.parametrize("largest", [3, 4])
def test_folders_that_end_at_a_known_limit_are_never_complete(world: World, largest: int) -> None:
    """Trap 31: every folder of that size, also when nothing changes; a larger one proves that there is no limit."""
    world.server.view_limits = frozenset({3, 9})
    world.server.folders["Old"] = FakeFolder()
    world.server.inbox.append(*BODIES[:3])
    world.server.folders["Old"].append(*BODIES[:largest])

    for _ in range(2):
        outcome = world.sync()
        limited = [folder.display for folder in outcome.folders if folder.limited]
        assert (["INBOX", "Old"] if largest == 3 else []) == limited
        assert (largest == 3) == (outcome.result is Result.PARTIAL)
