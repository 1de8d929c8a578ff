"""When and how a message that the server will not give whole is put together from parts (traps 34, 44, 46, 47).

What is put together is never proven: Zimbra's HEADER differs from what BODY[] begins with, and RFC822.SIZE is only
about right on some servers. It is stored all the same, marked, because the alternative is nothing.
"""

from archivmail.decide.replies import Meaning, read
from archivmail.model.folder import LedgerEntry
from archivmail.model.message import HEADER_AND_TEXT, PARTIAL, Refused
from archivmail.model.reasons import Reason

EVERY_WAY = (HEADER_AND_TEXT, PARTIAL)
PIECES_ONLY = (PARTIAL,)
MAX_PROOFS_A_PASS = 100  # each costs a round trip; those left out come next time
BREAKS_BEFORE_PIECES = 2  # once may be chance

_BREAKS = frozenset({Reason.CONNECTION_FAILED, Reason.SERVER_VIOLATION})


def ways_after_refusal(refused: Refused, before: LedgerEntry | None) -> tuple[str, ...]:
    """How to try a message that was refused alone. A fault that passes is given the chance to, once."""
    is_passing = read(refused.code, refused.text).meaning is Meaning.PASSING
    return () if is_passing and before is None else EVERY_WAY


def ways_instead(entry: LedgerEntry | None) -> tuple[str, ...]:
    """How to try a message that was the last word of sessions before: in pieces, so that each try gets further."""
    is_breaking = entry is not None and entry.reason in _BREAKS and entry.attempts >= BREAKS_BEFORE_PIECES
    return PIECES_ONLY if is_breaking else ()


def is_plausible(octets: int, declared: int | None) -> bool:
    """May so many octets be the message of which the server says RFC822.SIZE is `declared`?

    Servers are off by some percent (trap 43), so a fifth is allowed; text that is missing as a whole is noticed.
    """
    return octets > 0 and (declared is None or 5 * abs(octets - declared) <= declared)


def is_all_header(octets: int, declared: int | None) -> bool:
    """Is a header of so many octets, with no text, the message? Only where the server says so exactly."""
    return octets > 0 and octets == declared
