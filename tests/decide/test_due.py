"""S1, S4, S5: when a run is due, and when to try again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from archivmail.decide.due import Acknowledge, Observed, RunNow, Step, Trigger, WaitForChange, WaitUntil, next_step
from archivmail.decide.retrying import NEEDS_USER_RETRY, next_attempt
from archivmail.decide.spreading import EXACT, spread_of
from archivmail.model.outcome import Failure
from archivmail.model.reasons import Reason
from archivmail.model.status import AccountStatus

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SYNCED = AccountStatus(
    observed_generation=3,
    last_handled_reconcile_at="r1",
    last_attempt_time=NOW - 5 * MINUTE,
    next_sync_time=NOW + 5 * MINUTE,
)
ACCOUNT = Observed(3, suspend=False, interval=10 * MINUTE, requested_at="r1", status=SYNCED, created_at=NOW)
MANUAL = replace(ACCOUNT, interval=timedelta(0), status=replace(SYNCED, next_sync_time=None))


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        pytest.param(ACCOUNT, WaitUntil(NOW + 5 * MINUTE), id="not-due-yet"),
        pytest.param(
            replace(ACCOUNT, status=replace(SYNCED, next_sync_time=NOW)), RunNow(Trigger.INTERVAL), id="due-by-interval"
        ),
        pytest.param(
            replace(ACCOUNT, status=replace(SYNCED, next_sync_time=NOW, consecutive_failures=1)),
            RunNow(Trigger.RETRY),
            id="due-for-a-retry",
        ),
        pytest.param(
            replace(ACCOUNT, status=AccountStatus(), requested_at=None), RunNow(Trigger.FIRST), id="new-object"
        ),
        pytest.param(replace(ACCOUNT, generation=4), RunNow(Trigger.GENERATION), id="new-generation"),
        pytest.param(replace(ACCOUNT, requested_at="r2"), RunNow(Trigger.REQUEST), id="any-new-value-is-a-request"),
        pytest.param(replace(ACCOUNT, requested_at=None), WaitUntil(NOW + 5 * MINUTE), id="annotation-removed"),
        pytest.param(
            replace(ACCOUNT, status=replace(SYNCED, next_sync_time=None)), RunNow(Trigger.RETRY), id="cut-off-first-run"
        ),
        pytest.param(replace(ACCOUNT, suspend=True, requested_at="r2"), WaitForChange(), id="suspended"),
        pytest.param(replace(ACCOUNT, suspend=True, generation=4), Acknowledge(), id="suspended-and-not-seen-yet"),
        pytest.param(MANUAL, WaitForChange(), id="manual-only"),
        pytest.param(replace(MANUAL, requested_at="r2"), RunNow(Trigger.REQUEST), id="manual-and-requested"),
        pytest.param(
            replace(MANUAL, status=AccountStatus(), requested_at=None), Acknowledge(), id="manual-and-never-requested"
        ),
        pytest.param(replace(MANUAL, generation=4), Acknowledge(), id="manual-with-new-generation"),
        pytest.param(
            replace(MANUAL, status=replace(SYNCED, consecutive_failures=1, next_sync_time=NOW)),
            RunNow(Trigger.RETRY),
            id="manual-request-failed-and-is-retried",
        ),
    ],
)
def test_step_follows_spec_status_and_time(observed: Observed, expected: Step) -> None:
    """One rule a row; a restart changes none of the inputs, so it runs only what is due."""
    assert expected == next_step(observed, NOW)


def failed(reason: Reason = Reason.CONNECTION_FAILED, *, needs_user: bool = False, hint: int = 0) -> Failure:
    return Failure(reason, "text", retry_after=timedelta(seconds=hint) if hint else None, needs_user=needs_user)


@pytest.mark.parametrize(
    ("failure", "failures", "seconds"),
    [
        pytest.param(failed(), 1, 1, id="first"),
        pytest.param(failed(), 2, 60, id="second"),
        pytest.param(failed(), 3, 300, id="third-is-really-used"),
        pytest.param(failed(), 4, 600, id="then-the-interval"),
        pytest.param(failed(hint=7200), 1, 7200, id="server-hint-is-a-lower-bound"),
        pytest.param(failed(hint=2), 3, 300, id="short-hint-changes-nothing"),
        pytest.param(failed(Reason.AUTHENTICATION_FAILED, needs_user=True), 1, 21600, id="refused-credentials-6h"),
        pytest.param(failed(Reason.TLS_FAILED, needs_user=True), 1, 3600, id="certificate-hourly"),
        pytest.param(failed(Reason.SECRET_NOT_FOUND, needs_user=True), 1, 1, id="secret-may-come-any-moment"),
        pytest.param(failed(Reason.QUOTA_EXCEEDED, hint=3600), 1, 3600, id="quota-of-a-day-an-hour-first"),
        pytest.param(failed(Reason.QUOTA_EXCEEDED, hint=3600), 2, 7200, id="quota-of-a-day-then-two"),
        pytest.param(failed(Reason.QUOTA_EXCEEDED, hint=3600), 9, 21600, id="quota-of-a-day-six-at-most"),
        pytest.param(failed(Reason.RUN_IN_PROGRESS), 9, 15, id="another-process-is-at-it"),
    ],
)
def test_failed_sessions_are_tried_again_after(failure: Failure, failures: int, seconds: int) -> None:
    """S5: 1 s, 60 s, 300 s, then the interval; refused credentials are not hammered."""
    at = next_attempt(failure, failures=failures, interval=10 * MINUTE, now=NOW, spread=EXACT)

    assert NOW + timedelta(seconds=seconds) == at


def test_jitter_moves_retries_by_at_most_five_percent_and_never_below_a_hint() -> None:
    """Whatever the account and the attempt; a hint may only be exceeded."""
    spreads = [spread_of(f"uid-{number}") for number in range(500)]
    third = [next_attempt(failed(), failures=3, interval=10 * MINUTE, now=NOW, spread=each) for each in spreads]
    hinted = [
        next_attempt(failed(hint=1000), failures=1, interval=10 * MINUTE, now=NOW, spread=each) for each in spreads
    ]

    seconds = [(each - NOW).total_seconds() for each in third if each]
    assert 285 <= min(seconds) < 288
    assert 312 < max(seconds) <= 315
    assert all(each and timedelta(seconds=1000) <= each - NOW <= timedelta(seconds=1050) for each in hinted)


def test_invalid_spec_and_spent_manual_requests_wait_for_a_change() -> None:
    """None: no time at which trying again would help."""
    assert next_attempt(failed(Reason.SPEC_INVALID), failures=1, interval=MINUTE, now=NOW, spread=EXACT) is None
    assert next_attempt(failed(), failures=4, interval=timedelta(0), now=NOW, spread=EXACT) is None


def test_a_certificate_is_looked_at_again_after_an_hour() -> None:
    """trap 100: it is renewed, or a clock is set, without anybody touching the resource; no loop until then."""
    failure = replace(failed(Reason.TLS_FAILED), stage="login", needs_user=True)
    for failures in (1, 2, 50):
        assert NOW + NEEDS_USER_RETRY == next_attempt(
            failure, failures=failures, interval=MINUTE, now=NOW, spread=EXACT
        )


def test_a_token_endpoint_that_calls_the_spec_wrong_is_asked_again() -> None:
    """Without a time for the next run it would be due at once, again and again."""
    failure = replace(failed(Reason.SPEC_INVALID), stage="login", needs_user=True)
    assert NOW + NEEDS_USER_RETRY == next_attempt(failure, failures=1, interval=MINUTE, now=NOW, spread=EXACT)
