"""What the answer of an OAuth token endpoint means (RFC 6749 §5.2): who or what must change before it works.

Data and one rule, no connection: `imap/oauth.py` makes errors of it. An outage must never look like a refused token, so
only an error code that the endpoint really gave can mean that.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

LONGEST_WAIT = timedelta(days=1)
THROTTLED_PAUSE = timedelta(minutes=1)  # 429 without Retry-After


class Answer(StrEnum):
    REFUSED = "refused"
    """The refresh token or the client is not accepted: a person must act."""
    SCOPE = "scope"
    """`spec.auth.oauth2.scopes` must be changed."""
    ADDRESS = "address"
    """This is no token endpoint, or not one for this client: `spec.auth.oauth2.tokenURL` must be changed."""
    BUSY = "busy"
    """It passes by itself."""
    UNREADABLE = "unreadable"
    """Not an answer of a token endpoint: a proxy, a login page of the network, a fault."""


@dataclass(frozen=True, slots=True)
class Reading:
    """`retry_after` is the endpoint's hint."""

    answer: Answer
    retry_after: timedelta | None = None


_CODES: dict[str, Answer] = {
    "invalid_scope": Answer.SCOPE,
    "unsupported_grant_type": Answer.ADDRESS,
    "invalid_request": Answer.ADDRESS,  # also how Microsoft answers for a tenant that does not exist
}
# RFC 6749 §4.1.2.1, RFC 8628 §3.5, and what Google says of itself.
_PASSING = re.compile(r"temporar|unavailable|server_error|slow_down|rate_?limit|too_many|quota|internal|timeout|busy")
_WAIT_STATUS = frozenset({408, 425, 429})
_NOT_THERE = frozenset({404, 405, 410, 501})


def read(status: int, error: str | None, retry_after: str | None, now: datetime) -> Reading:
    """`status` is that of HTTP, `error` the code in the body if there is one, `retry_after` the header (RFC 9110)."""
    hint = _wait(retry_after, now)
    if error is not None and _PASSING.search(error.lower()):
        return Reading(Answer.BUSY, hint)
    if status in _WAIT_STATUS:
        return Reading(Answer.BUSY, hint or THROTTLED_PAUSE)
    if status in _NOT_THERE or 300 <= status < 400:
        return Reading(Answer.ADDRESS)
    if status >= 500:
        return Reading(Answer.BUSY, hint)
    if error is not None:
        return Reading(_CODES.get(error, Answer.REFUSED))
    return Reading(Answer.UNREADABLE, hint)


def _wait(header: str | None, now: datetime) -> timedelta | None:
    """Retry-After (RFC 9110 §10.2.3): seconds, or a date."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), LONGEST_WAIT)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - now
    return min(max(wait, timedelta(0)), LONGEST_WAIT)
