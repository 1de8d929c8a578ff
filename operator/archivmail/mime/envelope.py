"""Octets of a message -> its envelope: who, to whom, when, what about. Total and bounded; knows no archive.

RFC 5322 §3.6 with the tolerance of headers.py. An envelope is an index: it never decides whether mail is kept.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_tz

from archivmail.mime.headers import Fields, split, text_of

MAX_MESSAGE_ID = 998
"""Characters; RFC 5322 §2.1.1 allows no longer line."""

_MESSAGE_ID = re.compile(r"<[^<>]+>")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Decoded headers; "" where the message has none. Free of NUL, line ends and tabs, not of other control characters.

    Show them through `mime.terminal.clean`.
    """

    message_id: str = ""
    date: datetime | None = None
    """Aware, UTC, not before 1970; None where it is missing or cannot be read."""
    sender: str = ""
    recipients: str = ""
    """To, Cc and Bcc, separated by a comma and a blank."""
    subject: str = ""
    in_reply_to: str = ""


def envelope(octets: bytes) -> Envelope:
    """The envelope of a message, of which the first 512 KiB are enough."""
    fields, _ = split(octets)
    return of_fields(fields)


def of_fields(fields: Fields) -> Envelope:
    """The envelope of fields that are parsed already."""
    get = fields.get
    recipients = [text_of(fields[name]) for name in ("to", "cc", "bcc") if name in fields]
    return Envelope(
        message_id=_identifier(get("message-id", b"")),
        date=date_of(get("date", b"")),
        sender=text_of(get("from", b"")),
        recipients=", ".join(text for text in recipients if text),
        subject=text_of(get("subject", b"")),
        in_reply_to=_identifier(get("in-reply-to", b"")),
    )


def _identifier(raw: bytes) -> str:
    """The first `<…>`, blanks from folding removed; anything else as it stands."""
    text = text_of(raw[: 4 * MAX_MESSAGE_ID])
    found = _MESSAGE_ID.search(text)
    return (found[0].replace(" ", "") if found else text)[:MAX_MESSAGE_ID]


def date_of(raw: bytes) -> datetime | None:
    """RFC 5322 §3.3 with the obsolete forms, or ISO 8601; None where neither fits."""
    text = raw[:100].decode("latin-1").strip()
    if not text:
        return None
    try:
        parsed = parsedate_tz(text)
        if parsed is not None:
            moment = datetime(*parsed[:5], min(parsed[5], 59), tzinfo=UTC) - timedelta(seconds=parsed[9] or 0)
        else:
            moment = datetime.fromisoformat(text)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None  # parsedate_tz raises any of these on torn dates
    return moment if moment >= _EPOCH else None
