"""A session lives as long as its access token; the run goes on with the next one (trap 90)."""

from __future__ import annotations

from archivmail.model.outcome import Result
from archivmail.model.reasons import Reason
from tests.sync.conftest import World
from tests.sync.mailserver import FakeFolder

BODIES = tuple(b"Subject: %d\r\n\r\nbody %d" % (n, n) for n in range(1, 11))


def test_a_run_goes_on_with_a_new_session(world: World) -> None:
    """Once, and in the same run: every message, none twice, and the counts are those of one run."""
    world.server.folders = {"INBOX": FakeFolder(), "Sent": FakeFolder()}
    world.server.inbox.append(*BODIES)
    world.server.folders["Sent"].append(b"Subject: sent\r\n\r\n")
    world.server.expires_after = 7

    outcome = world.sync()

    assert (Result.SUCCEEDED, 11) == (outcome.result, outcome.added)
    assert dict(enumerate(BODIES, 1)) == world.of_inbox()
    assert 2 == world.server.connections
    assert {"INBOX": 10, "Sent": 1} == {each.display: each.added for each in outcome.folders}
    assert [("fetch", Reason.CONNECTION_FAILED)] == world.watcher.failures


def test_folders_that_are_done_are_not_opened_again(world: World) -> None:
    """What the first session got through keeps its outcome."""
    world.server.folders = {name: FakeFolder() for name in ("A", "B", "C")}
    for number, folder in enumerate(world.server.folders.values()):
        folder.append(b"Subject: %d a\r\n\r\n" % number, b"Subject: %d b\r\n\r\n" % number)
    world.server.expires_after = 3

    outcome = world.sync()

    assert Result.SUCCEEDED is outcome.result
    assert ["A", "B", "B", "C"] == world.server.examined
    assert [2, 2, 2] == [each.added for each in outcome.folders]


def test_a_reset_in_the_first_session_is_still_told(world: World) -> None:
    """S14: one outcome for both passes over the folder."""
    world.server.inbox.append(*BODIES)
    world.sync()
    world.server.inbox.validity += 1
    world.server.inbox.append(b"Subject: new\r\n\r\n")
    world.server.expires_after = 7

    outcome = world.sync()

    assert Result.SUCCEEDED is outcome.result
    assert outcome.folders[0].reset_from is not None
    assert 1 == len(world.watcher.resets)


def test_a_long_run_outlives_many_tokens(world: World) -> None:
    """A first sync of hours: each session that lasted has a successor."""
    world.server.inbox.append(*BODIES)
    world.server.expires_after = 3
    world.server.on_message = lambda _: world.later(minutes=2)

    outcome = world.sync()

    assert (Result.SUCCEEDED, 10) == (outcome.result, outcome.added)
    assert 4 == world.server.connections


def test_sessions_that_end_at_once_are_not_repeated_for_ever(world: World) -> None:
    """The trouble is another one: the run ends, keeps what it has, and its retries are those of any lost session."""
    world.server.inbox.append(*BODIES)
    world.server.expires_after = 3

    outcome = world.sync()

    assert (Result.PARTIAL, 6) == (outcome.result, outcome.added)
    assert outcome.failure is not None
    assert (Reason.CONNECTION_FAILED, False) == (outcome.failure.reason, outcome.failure.needs_user)
    assert 2 == world.server.connections
    assert 6 == len(world.of_inbox())
