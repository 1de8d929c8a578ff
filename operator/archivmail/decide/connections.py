"""How many connections this process opens to one server. Knows numbers; knows no server and no clock.

A server says only that there are too many, never how many it allows, so the number is found by trying: one fewer than
were open when it complained, and one more again for each while without a complaint (trap 89).
"""

import re
from dataclasses import dataclass, replace

# Operators of own servers limit connections by address (Cyrus maxlogins_per_host, cPanel 20); no provider publishes a
# limit that all its accounts share. The limits by account are no smaller: Dovecot 10 (mail_max_userip_connections),
# Gmail 15.
DEFAULT_PER_SERVER = 10
MAX_PER_SERVER = 1000
PER_ACCOUNT = 3  # beyond this one account gains nothing
RAISE_EVERY_S = 600.0  # a gut feeling: long enough not to knock at a full server in each run
LONGEST_WAIT_S = 600.0  # a run that waits keeps a slot from accounts of other servers

# Dovecot: "Maximum number of connections from user+IP exceeded"; Gmail: "Too many simultaneous connections", which its
# help explains as a limit of the account. Cyrus names both numbers: "(11 of 10 from host, 2 of 5 for user)".
_OF_ACCOUNT = re.compile(r"user\+ip|too many simultaneous connections|for (this|your) (user|account)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Allowance:
    """`lowered_to` is what a complaint of the server left of `ceiling`; it came at `lowered_at_s`."""

    ceiling: int
    lowered_to: int | None = None
    lowered_at_s: float = 0.0


def allowed(allowance: Allowance, now_s: float) -> int:
    """Connections that may be open at `now_s`; at least one."""
    if allowance.lowered_to is None:
        return allowance.ceiling
    regained = int(max(0.0, now_s - allowance.lowered_at_s) // RAISE_EVERY_S)
    return min(allowance.ceiling, allowance.lowered_to + regained)


def after_complaint(allowance: Allowance, open_: int, now_s: float) -> Allowance:
    """The server refused one of `open_` connections, that one counted, because they are too many."""
    least = min(allowed(allowance, now_s), open_ - 1)
    return replace(allowance, lowered_to=max(1, least), lowered_at_s=now_s)


def concerns_account(text: str) -> bool:
    """Does the complaint count the connections of one user, whoever opens them, and not those of an address?

    Other accounts of the server must not suffer for it.
    """
    return _OF_ACCOUNT.search(text) is not None
