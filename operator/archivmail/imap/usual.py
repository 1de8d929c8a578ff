"""The usual FETCH and STATUS responses, each read by one pattern: what nearly every server sends nearly every time.

It saves half of the work for each. Whatever has another form is left to `tokens`, which reads anything.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from archivmail.imap import replies
from archivmail.model.message import Sighting
from archivmail.model.uidset import MAX_UID, Uid

_ITEMS = (
    rb"UID (\d{1,10}) "
    rb'|FLAGS \(([^()"{}\[\]\x00-\x1f\x7f-\xff]{0,1000})\) '
    rb'|INTERNALDATE "([^"\\\x00-\x1f\x7f-\xff]{1,40})" '
    rb'|EMAILID \(([^()"{}\\ \x00-\x1f\x7f-\xff]{1,255})\) '
)
_USUAL = {
    count: re.compile(rb"\* \d{1,10} FETCH \((?:%b){%d}BODY\[\] \{(\d{1,10})\}" % (_ITEMS, count)) for count in (3, 4)
}
_STATUS = re.compile(
    rb'(?:"([^"\\\x00-\x1f]*)"|([A-Za-z0-9._/&+,-]{1,1000})) '
    rb"\(((?:(?:MESSAGES|UIDNEXT|UIDVALIDITY) \d{1,20}(?: |(?=\))))*)\)"
)


@dataclass(frozen=True, slots=True)
class Usual:
    """A message whose octets, `size` of them, come next, and then nothing but a parenthesis."""

    sighting: Sighting
    size: int


def usual(line: bytes, *, has_email_id: bool) -> Usual | None:
    """The first line of a response, without its line end. UID, flags and date, and the id where it was asked for."""
    found = _USUAL[4 if has_email_id else 3].fullmatch(line)
    if found is None:
        return None
    number, flags, date, email_id, size = found.groups()
    # As many items as there are kinds, and each kind is there: each stands there once.
    if number is None or flags is None or date is None or (email_id is None) is has_email_id:
        return None
    uid = int(number)
    if not 0 < uid <= MAX_UID:
        return None
    told = email_id.decode("ascii") if email_id else None
    if told and told.upper() == "NIL":
        return None
    return Usual(Sighting(Uid(uid), date.decode("ascii"), _flags(flags), told), int(size))


def usual_status(text: bytes) -> tuple[bytes, dict[bytes, int]] | None:
    """Name and numbers of a STATUS response, from what follows its word."""
    found = _STATUS.fullmatch(text)
    if found is None:
        return None
    quoted, atom, items = found.groups()
    words = items.split()
    return quoted or atom or b"", dict(zip(words[::2], map(int, words[1::2]), strict=True))


@lru_cache(maxsize=1024)  # most messages of a folder have the same few
def _flags(text: bytes) -> tuple[str, ...]:
    return replies.sighting(Uid(1), {b"FLAGS": text.split()}).flags
