"""How much is asked of a server at once after it complained (imap-traps §1.8)."""

from archivmail.decide.batching import FIRST_GUESS_BYTES, MAX_BATCH_MESSAGES, SizeEstimate, next_batch
from archivmail.decide.pacing import MOST_HALVINGS, QUIET_S, Pace, most_messages, slower
from archivmail.model.uidset import UidSet


def test_each_complaint_halves_what_is_asked_for() -> None:
    """[LIMIT], [THROTTLED]: down to a few messages, never to none."""
    pace, seen = Pace(), []
    for _ in range(MOST_HALVINGS + 2):
        seen.append(most_messages(pace, 0.0))
        pace = slower(pace, 0.0)
    assert seen == [200, 100, 50, 25, 12, 6, 3, 3]


def test_quiet_brings_it_back_step_by_step() -> None:
    """A little before the while is over, and at its end."""
    pace = slower(slower(Pace(), 0.0), 0.0)
    found = [most_messages(pace, at) for at in (QUIET_S - 1, QUIET_S, 2 * QUIET_S, 9 * QUIET_S)]
    assert found == [50, 100, 200, 200]


def test_a_complaint_after_quiet_counts_from_there() -> None:
    """What was regained is not lost with the next one."""
    pace = slower(slower(slower(Pace(), 0.0), 0.0), 0.0)
    assert most_messages(slower(pace, 2 * QUIET_S), 2 * QUIET_S) == 50


def test_a_smaller_batch_has_fewer_octets_too() -> None:
    """A rate limit counts both."""
    left = UidSet([(1, 1000)])
    whole = next_batch(left, SizeEstimate())
    assert len(whole) == 8 * 1024 * 1024 // FIRST_GUESS_BYTES
    assert len(next_batch(left, SizeEstimate(), MAX_BATCH_MESSAGES // 4)) == len(whole) // 4
    assert len(next_batch(left, SizeEstimate(1, 10**9), 1)) == 1
