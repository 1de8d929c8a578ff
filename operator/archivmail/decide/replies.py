"""What an answer of a mail server means: RFC 5530 codes, and the words of servers that use none.

Data and one rule, no connection: `imap/faults.py` makes errors of it. Codes say more than words, but for two cases that
servers put under codes of another meaning: back-off hints and limits on connections.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

LONGEST_HINT = timedelta(days=1)
QUOTA_PAUSE = timedelta(hours=1)  # Gmail's daily quotas (2500 MB) end after up to 24 h; looking in costs one login
CROWDED_PAUSE = timedelta(minutes=1)  # the other connections are mostly those of other runs


class Meaning(StrEnum):
    """Who or what must change before it works."""

    BUSY = "busy"
    """Asked for too much in a while: slow down, come back later, and ask for less at once."""
    QUOTA = "quota"
    """What the account may use in a day is used up: nothing helps but to wait for hours."""
    CROWDED = "crowded"
    """Too many connections are open already."""
    PASSING = "passing"
    """A fault of the server that passes by itself."""
    CREDENTIALS = "credentials"
    UNSUITABLE = "unsuitable"
    """The account or the server must be set up otherwise."""
    FOLDER = "folder"
    """This folder cannot be opened; others can."""
    GONE = "gone"
    """The message was removed meanwhile."""
    LIMITED = "limited"
    """The server shows only a part of the folder."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reading:
    """`retry_after` is the server's hint, or what experience with this answer advises."""

    meaning: Meaning
    retry_after: timedelta | None = None


# RFC 5530 §3, RFC 3501 §7.1, RFC 7889, RFC 9738, RFC 9586, and THROTTLED of Gmail.
CODES: dict[str, Reading] = {
    "UNAVAILABLE": Reading(Meaning.PASSING),
    "INUSE": Reading(Meaning.PASSING),
    "SERVERBUG": Reading(Meaning.PASSING),
    "LIMIT": Reading(Meaning.BUSY, timedelta(minutes=15)),
    "THROTTLED": Reading(Meaning.BUSY, timedelta(minutes=15)),
    "OVERQUOTA": Reading(Meaning.QUOTA, QUOTA_PAUSE),
    "AUTHENTICATIONFAILED": Reading(Meaning.CREDENTIALS),
    "AUTHORIZATIONFAILED": Reading(Meaning.CREDENTIALS),
    "EXPIRED": Reading(Meaning.CREDENTIALS),
    "WEBALERT": Reading(Meaning.CREDENTIALS),
    "PRIVACYREQUIRED": Reading(Meaning.UNSUITABLE),
    "CONTACTADMIN": Reading(Meaning.UNSUITABLE),
    "NONEXISTENT": Reading(Meaning.FOLDER),
    "TRYCREATE": Reading(Meaning.FOLDER),
    "NOPERM": Reading(Meaning.FOLDER),
    "CORRUPTION": Reading(Meaning.FOLDER),
    "EXPUNGEISSUED": Reading(Meaning.GONE),
    "MESSAGELIMIT": Reading(Meaning.LIMITED),
    "UIDREQUIRED": Reading(Meaning.LIMITED),
}

_BACKOFF_HINT = re.compile(r"suggested backoff time:\s*(\d{1,12})\s*milliseconds", re.IGNORECASE)  # Exchange
_THROTTLED_AT_THE_END = re.compile(r"\[THROTTLED\]\s*$", re.IGNORECASE)  # Gmail

_STRONGER_THAN_CODES: tuple[tuple[re.Pattern[str], Reading], ...] = (
    # Gmail, Cyrus ("too many open connections"), Dovecot.
    (re.compile(r"too many (\w+ )?(connections|sessions|logins)|maximum number of connections|connection limit"
                r"|connections? (limit )?exceeded", re.IGNORECASE),
     Reading(Meaning.CROWDED, CROWDED_PAUSE)),
    (re.compile(r"bandwidth limits?|command or bandwidth|(daily|download) (quota|limit)|quota exceeded", re.IGNORECASE),
     Reading(Meaning.QUOTA, QUOTA_PAUSE)),
    (re.compile(r"rate limit|request is throttled|server (is )?(too )?busy", re.IGNORECASE),
     Reading(Meaning.BUSY, timedelta(minutes=15))),
    # Exchange takes a wrong password and tells at the first command (trap 91).
    (re.compile(r"authenticated but not connected", re.IGNORECASE), Reading(Meaning.CREDENTIALS)),
)  # fmt: skip

_WORDS: tuple[tuple[re.Pattern[str], Reading], ...] = (
    (re.compile(r"session expired, please login again", re.IGNORECASE), Reading(Meaning.QUOTA, QUOTA_PAUSE)),
    (re.compile(r"accesstokenexpired|session invalidated", re.IGNORECASE), Reading(Meaning.PASSING)),
    (re.compile(r"imap (access|service)?\s*(is )?(disabled|not enabled|not allowed)|not enabled for imap",
                re.IGNORECASE), Reading(Meaning.UNSUITABLE)),
    (re.compile(r"temporar(y|ily)|try again|(internal|server|system|backend|service) (internal )?(error|failure)"
                r"|unavailable|not available|timed? ?out|shutting down", re.IGNORECASE), Reading(Meaning.PASSING)),
    (re.compile(r"(invalid|bad|wrong|incorrect) (credentials|user|login|password)|password required"
                r"|(authentication|login|authenticate) (failed|failure|refused)", re.IGNORECASE),
     Reading(Meaning.CREDENTIALS)),
)  # fmt: skip

# Exchange: "Session invalidated - AccessTokenExpired"; Gmail: "Session expired, please login again", which it says to
# sessions without a token when their daily quota is used up.
_EXPIRED = re.compile(r"accesstokenexpired|session invalidated|(session|token) (has |is )?expired", re.IGNORECASE)

_MECHANISM = re.compile(
    r"(mechanism|authenticate|authentication|auth).{0,40}(unsupported|not supported|not allowed|unknown|unavailable"
    r"|not enabled|disabled|invalid)|(unsupported|unknown|unrecognized|invalid).{0,40}(mechanism|auth)",
    re.IGNORECASE,
)


def read(code: str | None, text: str) -> Reading:
    """What the response code (upper-case, without brackets) and the text of a NO, BAD or BYE say."""
    hint = _BACKOFF_HINT.search(text)
    if hint:
        return Reading(Meaning.BUSY, min(timedelta(milliseconds=int(hint[1])), LONGEST_HINT))
    if _THROTTLED_AT_THE_END.search(text):
        return CODES["THROTTLED"]
    found = _first(_STRONGER_THAN_CODES, text) or CODES.get(code or "") or _first(_WORDS, text)
    return found or Reading(Meaning.UNKNOWN)


def without_name(text: str, *names: str) -> str:
    """The text without the name of a folder, in whatever form it is repeated: a folder may be called `Login failed`."""
    for name in filter(None, names):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "…", text)
    return text


def tells_of_expiry(text: str) -> bool:
    """Did a session that began with an access token end because the token ran out (trap 90)?"""
    return _EXPIRED.search(text) is not None


def refuses_mechanism(code: str | None, text: str) -> bool:
    """Did the server refuse the way of logging in, and not the credentials?"""
    return code in {None, "CANNOT", "CLIENTBUG"} and _MECHANISM.search(text) is not None


def _first(table: tuple[tuple[re.Pattern[str], Reading], ...], text: str) -> Reading | None:
    return next((reading for pattern, reading in table if pattern.search(text)), None)
