"""Literals of another length than announced, as what stands behind them tells (traps 42, 77, 81). Pure.

A length that is wrong by a few octets files octets of one message under another, so whatever does not fit is refused.
"""

import re

from archivmail.imap.bodies import WireBody
from archivmail.imap.tokens import Words

_RESPONSE = re.compile(rb"\n(?:v\d+ (?:OK|NO|BAD)\b|\* \d+ [A-Za-z])")
WRONG_LENGTH = "sent a literal of another length than announced"


def swallowed_its_end(built: Words) -> bool:
    """Does what is missing stand at the end of the octets, or further responses? Then they were announced too long."""
    last = built.open[-1] if built.depth == 1 and built.open else None
    if not isinstance(last, WireBody):
        return False
    return last.ending.rstrip(b"\r\n").endswith(b")") or _RESPONSE.search(last.ending) is not None


def goes_on_behind(built: Words) -> bool:
    """Do words follow the parenthesis that ends a response with octets? They are those of a later response."""
    items = built.top[0] if built.top else None
    return len(built.top) > 1 and isinstance(items, list) and any(isinstance(each, WireBody) for each in items)
