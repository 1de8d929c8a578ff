"""When to try again: a message that failed, a session that failed. Knows delays; knows no clock."""

from datetime import datetime, timedelta

from archivmail.decide.replies import QUOTA_PAUSE
from archivmail.decide.spreading import JITTER, Spread, jitter, moved, next_in_phase, whole_second
from archivmail.model.folder import LedgerEntry
from archivmail.model.outcome import Failure
from archivmail.model.reasons import Reason
from archivmail.model.uidset import Uid

QUICK_RETRIES = (timedelta(seconds=1), timedelta(seconds=60), timedelta(seconds=300))  # S5
QUARANTINE_RETRY = timedelta(days=1)
REFUSED_CREDENTIALS_RETRY = timedelta(hours=6)  # servers lock accounts out after a few wrong passwords
NEEDS_USER_RETRY = timedelta(hours=1)  # a certificate may be renewed without anybody touching the resource
QUOTA_LONGEST = timedelta(hours=6)  # quotas of a day come back piece by piece
RUN_IN_PROGRESS_RETRY = timedelta(seconds=15)
MAX_ERROR_TEXT = 300


def ledger_entry(before: LedgerEntry | None, uid: Uid, reason: Reason, error: str, now: datetime) -> LedgerEntry:
    """The entry after one more failed attempt: three quick retries, then quarantine with a daily one."""
    attempts = (before.attempts if before else 0) + 1
    is_quarantined = attempts > len(QUICK_RETRIES)
    delay = QUARANTINE_RETRY if is_quarantined else QUICK_RETRIES[attempts - 1]
    return LedgerEntry(
        uid=uid,
        attempts=attempts,
        reason=reason,
        error=error[:MAX_ERROR_TEXT],
        next_try=now + delay,
        quarantined=is_quarantined,
    )


def next_attempt(
    failure: Failure, *, failures: int, interval: timedelta, now: datetime, spread: Spread
) -> datetime | None:
    """When to run again after a failed session, in whole seconds; None: only on request or change.

    `failures` counts this one (1 = the first). A hint of the server is a lower bound: it is never shortened.
    """
    delay = _delay(failure, failures, interval)
    if delay is None:
        return None
    delay = moved(delay, spread, failures)
    if failure.retry_after is not None:
        later = JITTER * abs(jitter(spread.phase, failures)) if spread.phase is not None else 0.0
        delay = max(delay, failure.retry_after * (1 + later))
    return whole_second(now + delay)


def after_interval(interval: timedelta, now: datetime, spread: Spread) -> datetime | None:
    """The next regular run, in whole seconds; None where the interval is 0 (only on request)."""
    return whole_second(next_in_phase(now, interval, spread)) if interval > timedelta(0) else None


def _delay(failure: Failure, failures: int, interval: timedelta) -> timedelta | None:
    if failure.reason is Reason.AUTHENTICATION_FAILED:
        return REFUSED_CREDENTIALS_RETRY
    if failure.reason is Reason.RUN_IN_PROGRESS:
        return RUN_IN_PROGRESS_RETRY
    if failure.reason is Reason.SPEC_INVALID and failure.stage != "login":
        return None  # at the login it is a token endpoint that says so, and it may change its mind
    if failure.needs_user and failure.reason not in {Reason.SECRET_NOT_FOUND, Reason.SECRET_KEY_MISSING}:
        return max(interval, NEEDS_USER_RETRY)
    if failure.reason is Reason.QUOTA_EXCEEDED:
        return min(QUOTA_LONGEST, QUOTA_PAUSE * (1 << min(failures - 1, 8)))
    if failures <= len(QUICK_RETRIES):
        return QUICK_RETRIES[failures - 1]
    return interval if interval > timedelta(0) else None
