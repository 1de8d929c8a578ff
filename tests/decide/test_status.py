"""S7, S4: the result record in `.status`, and the Events that a change of it is worth."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from archivmail.decide.due import Trigger
from archivmail.decide.notices import notices
from archivmail.decide.spreading import EXACT, Spread
from archivmail.decide.status import begin, finish
from archivmail.model.notices import Severity
from archivmail.model.outcome import AccountOutcome, Failure, Result
from archivmail.model.reasons import Reason
from archivmail.model.status import AccountStatus, ConditionStatus, ConditionType, FolderSummary
from archivmail.model.uidset import UidValidity
from tests.decide.builders import NOW, SPEC, a_failure, a_folder, an_outcome

BEGUN = begin(AccountStatus(), generation=3, trigger=Trigger.FIRST, now=NOW - timedelta(seconds=42))


def finished(
    outcome: AccountOutcome, previous: AccountStatus = BEGUN, *, requested_at: str | None = "r1", spread: Spread = EXACT
) -> AccountStatus:
    return finish(previous, outcome, spec=SPEC, generation=3, requested_at=requested_at, now=NOW, spread=spread)


def test_success_is_recorded_with_all_its_numbers() -> None:
    """Counts sum over folders; lastSyncTime is the end of the run that succeeded."""
    status = finished(an_outcome(a_folder(), a_folder("Sent", server=5, archived=5), added=8, excluded=2))

    assert status.messages is not None
    assert (8, 8, 0, 0, 8) == (
        status.messages.server,
        status.messages.archived,
        status.messages.pending,
        status.messages.quarantined,
        status.messages.added_last_run,
    )
    assert FolderSummary(selected=2, excluded=2, complete=2, failed=0) == status.folder_summary
    assert (3, "r1", "48211") == (
        status.observed_generation,
        status.last_handled_reconcile_at,
        status.observed_secret_version,
    )
    assert (NOW - timedelta(seconds=42), NOW, NOW + timedelta(minutes=10)) == (
        status.last_attempt_time,
        status.last_sync_time,
        status.next_sync_time,
    )
    assert (42, Result.SUCCEEDED, 0) == (
        status.last_sync_duration_seconds,
        status.last_result,
        status.consecutive_failures,
    )


def test_failed_run_keeps_the_last_success_and_the_last_counts() -> None:
    """A status never shows less than is known."""
    good = finished(an_outcome(a_folder()))
    bad = finished(an_outcome(result=Result.FAILED, failure=a_failure()), good)

    assert (good.last_sync_time, good.messages, good.folders) == (bad.last_sync_time, bad.messages, bad.folders)
    assert (Result.FAILED, 1, NOW + timedelta(seconds=1)) == (
        bad.last_result,
        bad.consecutive_failures,
        bad.next_sync_time,
    )


def test_interrupted_run_is_due_again_and_leaves_its_request_open() -> None:
    """S3, S4: a shutdown neither counts as a failure nor as an answer."""
    due = replace(BEGUN, next_sync_time=NOW - timedelta(minutes=1), consecutive_failures=2)
    status = finished(an_outcome(result=Result.INTERRUPTED), due)

    assert (due.next_sync_time, 2, None) == (
        status.next_sync_time,
        status.consecutive_failures,
        status.last_handled_reconcile_at,
    )


def test_run_that_times_out_goes_on_soon_if_it_got_somewhere() -> None:
    """A first sync longer than `timeout` must not wait a whole interval between its parts."""
    timeout = Failure(Reason.TIMED_OUT, "text")
    moved = finished(an_outcome(result=Result.INTERRUPTED, failure=timeout, added=5))
    stuck = finished(an_outcome(result=Result.INTERRUPTED, failure=timeout, added=0))

    assert (NOW + timedelta(seconds=1), "r1") == (moved.next_sync_time, moved.last_handled_reconcile_at)
    assert NOW + timedelta(minutes=10) == stuck.next_sync_time


def test_interval_is_spread_by_five_percent() -> None:
    """S1: both ends of the jitter: the account's place is just before, or just after, what five percent reach.

    10:10 is a multiple of ten minutes, so the phase is the place after it.
    """
    times = [finished(an_outcome(a_folder()), spread=Spread(phase)).next_sync_time for phase in (0.9, 0.0, 0.02, 0.1)]

    assert [NOW + timedelta(seconds=each) for each in (570, 600, 612, 630)] == times


def test_at_most_a_hundred_folders_stand_in_status_failing_ones_first() -> None:
    """trap 105: the size of a status is memory of the API server and of the operator."""
    old = [a_folder(f"old{n:03}", passed_at=NOW - timedelta(hours=1)) for n in range(150)]
    recent = [a_folder(f"recent{n}") for n in range(2)]
    bad = [a_folder("bad", failure=a_failure(), passed_at=None), a_folder("reset", reset_from=UidValidity(3))]
    status = finished(an_outcome(*old, *recent, *bad, result=Result.PARTIAL))

    assert ["reset", "bad", "recent0", "recent1"] == [folder.name for folder in status.folders[:4]]
    assert (100, True) == (len(status.folders), status.folders_truncated)


def test_events_tell_transitions_only() -> None:
    """First success, then silence, then one warning when it fails for the third time, then recovery."""
    good = finished(an_outcome(a_folder()))
    again = finished(an_outcome(a_folder()), good)
    failing = [good]
    for _ in range(4):
        failing.append(finished(an_outcome(result=Result.FAILED, failure=a_failure()), failing[-1]))
    told = [[n.reason for n in notices(a, b, None)] for a, b in pairwise(failing)]

    (both,) = notices(BEGUN, good, None)  # one Event for Ready and Complete
    assert Reason.SUCCEEDED is both.reason
    assert all(each.message in both.text for each in good.conditions)
    assert [] == notices(good, again, None)
    assert [[], [], [Reason.CONNECTION_FAILED], []] == told
    assert [Reason.SUCCEEDED] == [n.reason for n in notices(failing[-1], again, None)]


def test_every_uidvalidity_reset_is_a_warning() -> None:
    """Design §3.5: one Warning for each reset, however often."""
    good = finished(an_outcome(a_folder()))
    reset = an_outcome(a_folder(reset_from=UidValidity(6)), a_folder("Sent", reset_from=UidValidity(5)))
    first = finished(reset, good)
    second = notices(first, finished(reset, first), reset)

    assert [(Severity.WARNING, Reason.UID_VALIDITY_CHANGED)] * 2 == [(n.severity, n.reason) for n in second]
    assert "Folder 'INBOX': UIDVALIDITY changed from 6 to 7" in second[0].text


def test_a_used_up_quota_is_told_at_once_with_the_time_of_the_next_try() -> None:
    """§1.8 [OVERQUOTA]: the account stops until then, and nobody has to wonder."""
    failure = Failure(Reason.QUOTA_EXCEEDED, "the quota is used up", retry_after=timedelta(hours=1), stage="fetch")
    good = finished(an_outcome(a_folder()))
    status = finished(an_outcome(a_folder(), result=Result.PARTIAL, failure=failure, added=4), good)

    assert status.next_sync_time == NOW + timedelta(hours=1)
    ready = status.condition(ConditionType.READY)
    assert ready is not None
    assert (ready.status, ready.reason) == (ConditionStatus.FALSE, Reason.QUOTA_EXCEEDED)
    assert "The next try is at 2026-11-20T11:00:00Z" in ready.message


def test_a_hint_of_the_server_is_told_with_the_time() -> None:
    """§1.8 Exchange: once the account counts as not ready."""
    failure = Failure(Reason.SERVER_BUSY, "throttled", retry_after=timedelta(hours=2), stage="fetch")
    failing = replace(finished(an_outcome(a_folder())), consecutive_failures=2)
    status = finished(an_outcome(result=Result.FAILED, failure=failure), failing)

    ready = status.condition(ConditionType.READY)
    assert ready is not None
    assert "The next try is at 2026-11-20T12:00:00Z" in ready.message


def test_an_alert_is_shown_in_ready_and_is_an_event_once() -> None:
    """§1.8 [ALERT]: it must be shown (RFC 9051 §7.1), and not again while the server repeats it."""
    outcome = an_outcome(a_folder(), alerts=("Your mailbox moves tonight",))
    first = finished(outcome)
    second = finished(outcome, first)

    ready = first.condition(ConditionType.READY)
    assert ready is not None
    assert "Your mailbox moves tonight" in ready.message
    told = [each for each in notices(BEGUN, first, outcome) if each.reason is Reason.SERVER_ALERT]
    assert [(Severity.WARNING, "The server asks to show this: Your mailbox moves tonight")] == [
        (each.severity, each.text) for each in told
    ]
    assert [] == [each for each in notices(first, second, outcome) if each.reason is Reason.SERVER_ALERT]


def test_alerts_are_bounded() -> None:
    """A server that sends many is shown with the first few."""
    outcome = an_outcome(a_folder(), alerts=tuple(f"alert {number}" for number in range(10)))

    assert 3 == sum(each.reason is Reason.SERVER_ALERT for each in notices(BEGUN, finished(outcome), outcome))
