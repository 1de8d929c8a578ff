"""How many commands may be on the way to a mail server at once."""

import re

DEPTH = 2  # the next command waits at the server while the present one is answered; more would gain nothing

_MINDS = re.compile(r"microsoft exchange|outlook\.com|office ?365|domino|groupwise|davmail", re.IGNORECASE)
"""Servers known or suspected to read on only when they have answered; a stall would look like a lost connection."""


def depth_for(greeting: str) -> int:
    """By what the server says of itself."""
    return 1 if _MINDS.search(greeting) else DEPTH
