"""Which mail is past its time. Knows INTERNALDATE (RFC 9051 §2.3.3) as seconds since 1970, 0 for none; no archive."""

from datetime import datetime

from archivmail.model.retention import Policy, Why


def cutoff(policy: Policy, now: datetime) -> int | None:
    """Seconds since 1970 before which a message is past its time; None when nothing ever is.

    A hold suspends the retention: what expired before is not touched again, what expires meanwhile stays.
    """
    if policy.hold or policy.keep_for is None:
        return None
    # Before 1970 there was no mail, and 0 stands for a date that could not be read.
    return max(0, int((now - policy.keep_for).timestamp()))


def is_expired(received_s: int, limit: int | None) -> bool:
    """A message without a readable date, or with one before 1970, is kept: nobody knows its age."""
    return limit is not None and 0 < received_s < limit


def counts_as_settled(why: Why, received_s: int, limit: int | None) -> bool:
    """Whether a removed message that the server still lists needs nothing more.

    An expired one only while the policy in force would remove it: who keeps mail longer gets it archived again.
    """
    return why is Why.ERASED or is_expired(received_s, limit)


def is_longer(before: Policy, after: Policy) -> bool:
    """Whether mail that was past its time no longer is, so that every folder must be compared anew."""
    if after.hold or after.keep_for is None:
        return not (before.hold or before.keep_for is None)
    return before.keep_for is not None and not before.hold and after.keep_for > before.keep_for
