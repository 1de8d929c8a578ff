"""Invariant 1: a UID leaves the work to do only when it is archived or gone; failed ones never block others."""

from __future__ import annotations

import pytest

from archivmail.model.errors import ArchiveUnavailable, ConnectionLost, CredentialsRefused
from archivmail.model.outcome import Result
from archivmail.model.reasons import Reason
from archivmail.sync import gathering
from tests.sync.conftest import World
from tests.sync.mailserver import FakeFolder

BODIES = tuple(b"Subject: %d\r\n\r\nbody %d" % (n, n) for n in range(1, 11))


def test_first_sync_archives_everything(world: World) -> None:
    """S16, S20: octets equal, counts add up."""
    world.server.inbox.append(*BODIES)

    outcome = world.sync()

    assert dict(enumerate(BODIES, 1)) == world.of_inbox()
    assert (Result.SUCCEEDED, 10, 1) == (outcome.result, outcome.added, world.packs())
    assert (10, 10, 0, 0) == (
        outcome.folders[0].counts.server,
        outcome.folders[0].counts.archived,
        outcome.folders[0].counts.pending,
        outcome.folders[0].counts.quarantined,
    )


def test_run_without_news_opens_no_folder_and_writes_no_pack(world: World) -> None:
    """S17, trap 1, trap 30: STATUS alone shows that nothing changed."""
    world.server.inbox.append(*BODIES)
    world.sync()
    world.server.examined.clear()

    outcome = world.sync()

    assert (Result.SUCCEEDED, 0, 1) == (outcome.result, outcome.added, world.packs())
    assert [] == world.server.examined
    assert 10 == outcome.folders[0].counts.archived


def test_only_missing_uids_are_fetched(world: World) -> None:
    """S15: the set difference, not `last+1:*`."""
    world.server.inbox.append(*BODIES)
    world.sync()
    world.server.fetched.clear()
    del world.server.inbox.messages[4]
    world.server.inbox.append(b"news")

    world.sync()

    assert [("INBOX", (11,))] == world.server.fetched


def test_message_that_becomes_visible_late_is_fetched_by_the_daily_comparison(world: World) -> None:
    """Trap 13: a UID below the highest, with all marks equal to those of the last pass."""
    inbox = world.server.inbox
    inbox.append(*BODIES[:3])
    late = inbox.messages.pop(2)
    inbox.messages[3000], inbox.next_uid = b"placeholder", 3001
    world.sync()
    del inbox.messages[3000]
    inbox.messages[2] = late

    world.later(hours=23)
    world.sync()
    assert 2 not in world.of_inbox()
    world.later(hours=2)
    world.sync()

    assert late == world.of_inbox()[2]


def test_refused_message_is_found_by_halving_and_put_into_the_ledger(world: World) -> None:
    """S18, trap 36, trap 4: the others of the batch are archived, it alone stays pending."""
    world.server.inbox.append(*BODIES)
    world.server.inbox.refused = {6}

    outcome = world.sync()

    assert set(range(1, 11)) - {6} == set(world.of_inbox())
    assert (Result.PARTIAL, 1) == (outcome.result, outcome.folders[0].counts.pending)
    assert "1 of its messages could not be archived yet; UID 6: Some messages could not be FETCHed" in (
        outcome.folders[0].note or ""
    )


def test_ledger_entry_is_retried_and_leaves_when_the_server_gives_the_message(world: World) -> None:
    """Trap 2: only the failed UID is fetched again."""
    world.server.inbox.append(*BODIES)
    world.server.inbox.refused = {6}
    world.sync()
    world.server.inbox.refused = set()
    world.server.fetched.clear()
    world.later(minutes=10)

    outcome = world.sync()

    assert [6] == world.server.fetched_uids()
    assert (Result.SUCCEEDED, BODIES[5]) == (outcome.result, world.of_inbox()[6])


def test_message_is_quarantined_named_and_tried_again_daily_or_on_request(world: World) -> None:
    """Trap 4: three quick retries, then once a day; a request tries at once."""
    world.server.inbox.append(*BODIES)
    world.server.inbox.refused = {6}
    for _ in range(4):
        outcome = world.sync()
        world.later(minutes=10)
    (named,) = outcome.folders[0].quarantined
    assert ("INBOX", 6, Reason.MESSAGE_REFUSED, 4) == (named.folder, named.uid, named.reason, named.attempts)
    assert (9, 0, 1) == (
        outcome.folders[0].counts.archived,
        outcome.folders[0].counts.pending,
        outcome.folders[0].counts.quarantined,
    )

    world.server.fetched.clear()
    world.sync()
    assert [] == world.server.fetched_uids(), "not before a day is over"
    world.sync(forced=True)
    assert [6] == world.server.fetched_uids()
    world.later(hours=25)
    world.sync()
    assert [6, 6] == world.server.fetched_uids()
    told = [each.facts for each in world.archive.audit_entries() if each.kind == "messages_quarantined"]
    assert [{"folder": "INBOX", "uidValidity": told[0]["uidValidity"], "messages": 1, "uids": "6"}] == told, "once"


def test_ok_without_octets_is_not_taken_for_archived(world: World) -> None:
    """Trap 34, trap 35: the server lists it and gives nothing."""
    world.server.inbox.append(*BODIES)
    world.server.inbox.empty = {3}

    outcome = world.sync()

    assert (Result.PARTIAL, 1) == (outcome.result, outcome.folders[0].counts.pending)
    assert ("fetch", Reason.MESSAGE_EMPTY) in world.watcher.failures


def test_message_that_vanishes_between_list_and_fetch_is_no_failure(world: World) -> None:
    """Trap 12: gone is proven by a later list."""
    world.server.inbox.append(*BODIES)
    world.server.on_message = lambda uid: world.server.inbox.messages.pop(10, None) if uid == 1 else None

    outcome = world.sync()

    assert (Result.SUCCEEDED, 9, 9) == (
        outcome.result,
        outcome.folders[0].counts.server,
        outcome.folders[0].counts.archived,
    )


def test_message_that_is_counted_and_listed_no_more_is_not_gone(world: World) -> None:
    """Trap 12, trap 31: it comes without octets and leaves the list, and the folder counts it still."""
    inbox = world.server.inbox
    inbox.append(*BODIES)
    inbox.empty = {10}
    world.server.on_message = lambda _: inbox.hidden.add(10)

    outcome = world.sync()

    assert (Result.PARTIAL, True, False) == (outcome.result, outcome.folders[0].limited, outcome.folders[0].complete)
    world.server.on_message = lambda _: None
    inbox.empty, inbox.hidden = set(), set()
    world.later(minutes=10)
    assert Result.SUCCEEDED is world.sync().result
    assert BODIES[9] == world.of_inbox()[10]


def test_ledger_names_so_many_messages_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 9, trap 79: a server may list any number of messages that it does not give; all of them count."""
    monkeypatch.setattr(gathering, "MAX_ENTRIES", 4)
    world.server.inbox.append(*BODIES)
    world.server.inbox.empty = set(range(1, 11))

    for _ in range(4):
        outcome = world.sync(forced=True)

    counts = outcome.folders[0].counts
    assert (10, 0, 6, 4) == (counts.server, counts.archived, counts.pending, counts.quarantined)
    world.server.inbox.empty = {1, 2, 3, 4}
    outcome = world.sync()
    assert (6, 4) == (outcome.folders[0].counts.archived, outcome.folders[0].counts.quarantined)


def test_message_that_only_one_list_lacks_is_not_gone(world: World) -> None:
    """Trap 12, trap 22: one list of a server with several back ends is behind; the next one has the message again."""
    inbox = world.server.inbox
    inbox.append(*BODIES)
    inbox.empty, inbox.flickering = {10}, {10}

    outcome = world.sync()

    assert (Result.PARTIAL, 10, 1) == (
        outcome.result,
        outcome.folders[0].counts.server,
        outcome.folders[0].counts.pending,
    )
    inbox.empty, inbox.flickering = set(), set()
    world.later(minutes=10)
    assert Result.SUCCEEDED is world.sync().result
    assert BODIES[9] == world.of_inbox()[10]


def test_message_that_breaks_the_session_is_named_in_a_full_ledger_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trap 4: else each session would begin with it, and nothing behind it would ever be fetched."""
    monkeypatch.setattr(gathering, "MAX_ENTRIES", 2)
    world.server.inbox.append(*BODIES)
    world.server.inbox.refused, world.server.inbox.fatal = {1, 2}, {5}

    for _ in range(8):
        world.sync()
        world.later(minutes=10)

    assert {3, 4, 6, 7, 8, 9, 10} == set(world.of_inbox())


def test_session_lost_in_mid_fetch_keeps_what_came_and_goes_on_there(world: World) -> None:
    """Trap 48, trap 86: persisted as it arrives; the next run fetches the rest."""
    world.server.inbox.append(*BODIES)
    world.server.breaks_after = 4

    first = world.sync()
    kept = set(world.of_inbox())
    world.server.fetched.clear()
    world.later(seconds=2)
    second = world.sync()

    assert ({1, 2, 3, 4}, Result.PARTIAL, Reason.CONNECTION_FAILED) == (
        kept,
        first.result,
        first.failure.reason if first.failure else None,
    )
    assert (4, 6) == (first.folders[0].counts.archived, first.folders[0].counts.pending)
    assert {5, 6, 7, 8, 9, 10} == set(world.server.fetched_uids())
    assert (Result.SUCCEEDED, dict(enumerate(BODIES, 1))) == (second.result, world.of_inbox())


def test_message_that_always_breaks_the_session_does_not_block_the_others(world: World) -> None:
    """Trap 4: the suspect goes last next time, so one poison message costs itself alone."""
    world.server.inbox.append(*BODIES)
    world.server.inbox.fatal = {1}

    for _ in range(6):
        outcome = world.sync()
        world.later(minutes=10)

    assert set(range(2, 11)) == set(world.of_inbox())
    assert 1 == outcome.folders[0].counts.quarantined


def test_folder_that_refuses_every_message_is_given_up_for_this_run(world: World) -> None:
    """The bound on halving: not two commands for each of thousands of messages."""
    world.server.inbox.append(*(b"%d" % n for n in range(400)))
    world.server.inbox.refused = set(range(1, 401))

    outcome = world.sync()

    assert outcome.folders[0].failure is not None
    assert (400, 0) == (outcome.folders[0].counts.pending, len(world.of_inbox()))
    assert len(world.server.fetched) < 200


def test_failed_folder_does_not_stop_the_others(world: World) -> None:
    """S11: named, the rest archived, not complete."""
    world.server.folders = {"Bad": FakeFolder(is_closed=True), "INBOX": world.server.inbox}
    world.server.inbox.append(*BODIES)

    outcome = world.sync()

    bad, inbox = outcome.folders
    assert (Result.PARTIAL, Reason.FOLDER_REFUSED) == (outcome.result, bad.failure.reason if bad.failure else None)
    assert (True, 10) == (inbox.complete, len(world.of_inbox()))


def test_store_failure_ends_the_run_and_loses_nothing(world: World) -> None:
    """S19, trap 103: an archive that cannot be written moves no mark."""
    world.server.inbox.append(*BODIES)
    take = world.archive.take

    class Full:
        """An archive whose disk is full at the first checkpoint."""

        def __init__(self, inner: object) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> object:
            return getattr(self._inner, name)

        def checkpoint(self) -> None:
            raise ArchiveUnavailable("the archive cannot be written: no space left on device")

    world.archive.take = lambda ref: Full(take(ref))  # type: ignore[assignment, method-assign, return-value]
    failed = world.sync()
    world.archive.take = take  # type: ignore[method-assign]
    assert (Result.FAILED, Reason.ARCHIVE_UNAVAILABLE) == (failed.result, failed.failure and failed.failure.reason)
    assert {} == world.of_inbox()

    assert (Result.SUCCEEDED, dict(enumerate(BODIES, 1))) == (world.sync().result, world.of_inbox())


def test_limited_view_is_never_complete(world: World) -> None:
    """Trap 31, trap 22: EXISTS says more than the list shows, twice."""
    world.server.inbox.append(*BODIES)
    world.server.inbox.hidden = {1, 2}

    outcome = world.sync()

    assert (Result.PARTIAL, True, False) == (
        outcome.result,
        outcome.folders[0].limited,
        outcome.folders[0].complete,
    )


def test_failed_login_lists_nothing_and_keeps_what_is_known(world: World) -> None:
    """Finding 5: the reason tells an outage from a refusal."""
    world.server.inbox.append(*BODIES)
    world.sync()

    for error, needs_user in ((CredentialsRefused("refused"), True), (ConnectionLost("gone"), False)):
        world.server.login_error = error
        outcome = world.sync()
        assert outcome.failure is not None
        assert (Result.FAILED, error.reason, needs_user, "login") == (
            outcome.result,
            outcome.failure.reason,
            outcome.failure.needs_user,
            outcome.failure.stage,
        )
    assert 10 == len(world.of_inbox())


def test_run_stops_at_the_next_message_when_told(world: World) -> None:
    """S3: what came until then is kept, and the next run goes on."""
    world.server.inbox.append(*BODIES)
    seen: list[int] = []
    world.server.on_message = seen.append
    world.should_stop = lambda: len(seen) >= 3

    outcome = world.sync()

    assert (Result.INTERRUPTED, None, {1, 2, 3}) == (outcome.result, outcome.failure, set(world.of_inbox()))
    world.should_stop = lambda: False
    assert (Result.SUCCEEDED, 10) == (world.sync().result, len(world.of_inbox()))


def test_run_ends_at_its_timeout_and_says_so(world: World) -> None:
    """`spec.timeout`: what was archived stays archived."""
    world.server.inbox.append(*BODIES)
    world.server.on_message = lambda uid: world.later(hours=2) if uid == 4 else None

    outcome = world.sync()

    assert (Result.INTERRUPTED, Reason.TIMED_OUT) == (outcome.result, outcome.failure and outcome.failure.reason)
    assert {1, 2, 3, 4} == set(world.of_inbox())


def test_second_run_of_an_account_is_refused_while_one_goes_on(world: World) -> None:
    """trap 17, S2: RunInProgress, and nothing is harmed."""
    world.server.inbox.append(*BODIES)
    inner: list[object] = []

    def run_again(uid: int) -> None:
        if uid == 1:
            inner.append(world.sync())

    world.server.on_message = run_again
    outer = world.sync()

    (second,) = inner
    assert Reason.RUN_IN_PROGRESS is second.failure.reason  # type: ignore[attr-defined]
    assert (Result.SUCCEEDED, 10) == (outer.result, len(world.of_inbox()))
