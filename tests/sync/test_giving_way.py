"""A run that lets others go first: it ends between two batches, keeps everything, and goes on where it was."""

from __future__ import annotations

import pytest

from archivmail.model.outcome import Result
from archivmail.model.reasons import Reason
from tests.sync.conftest import World
from tests.sync.mailserver import FakeFolder

MESSAGES = [b"Subject: %d\r\n\r\nbody\r\n" % number for number in range(1000)]


def test_a_run_gives_way_between_two_batches(world: World) -> None:
    """No message is cut off and none is downloaded twice; counts say how far it got."""
    world.server.inbox.append(*MESSAGES)
    seen: list[int] = []
    world.server.on_message = seen.append
    world.should_give_way = lambda: len(seen) >= 150

    outcome = world.sync()

    asked = [uid for _, uids in world.server.fetched for uid in uids]
    assert (Result.INTERRUPTED, Reason.GAVE_WAY) == (outcome.result, outcome.failure and outcome.failure.reason)
    assert asked == seen  # what had been asked for came, to the last message
    assert 150 <= len(asked) < 1000
    (inbox,) = outcome.folders
    assert (1000, len(asked), 1000 - len(asked)) == (inbox.counts.server, inbox.counts.archived, inbox.counts.pending)
    assert set(asked) == set(world.of_inbox())

    world.should_give_way = lambda: False
    again = world.sync()

    assert (Result.SUCCEEDED, 1000 - len(asked)) == (again.result, again.added)
    assert 1000 == len(seen) == len(set(seen)) == len(world.of_inbox())
    assert ["Interrupted", "Succeeded"] == [
        str(entry.facts["result"]) for entry in world.archive.audit_entries() if entry.kind == "run"
    ]


def test_a_run_gives_way_between_two_folders(world: World) -> None:
    """What is left is the next folder, not the next batch."""
    world.server.inbox.append(*MESSAGES[:10])
    world.server.folders["Sent"] = FakeFolder()
    world.server.folders["Sent"].append(*MESSAGES[10:20])
    world.should_give_way = lambda: bool(world.server.fetched)

    assert world.sync().result is Result.INTERRUPTED
    assert [("INBOX", 10)] == [(name, len(uids)) for name, uids in world.server.fetched]


@pytest.mark.parametrize("turns", [20])
def test_turn_by_turn_a_run_gets_through(world: World, turns: int) -> None:
    """Every turn archives a batch at least, so it ends whatever the others do."""
    world.server.inbox.append(*MESSAGES)
    for _ in range(turns):
        before = len(world.server.fetched)
        world.should_give_way = lambda before=before: len(world.server.fetched) > before  # type: ignore[misc]
        outcome = world.sync()
        if outcome.result is Result.SUCCEEDED:
            break

    assert outcome.result is Result.SUCCEEDED
    assert 1000 == len(world.of_inbox()) == len(world.server.fetched_uids())
