"""How much to ask of a server at once that complained of too much: [LIMIT] of Yahoo, [THROTTLED] of Gmail, Exchange.

Each complaint halves it, each quiet while doubles it again. Dovecot's own IMAP client does likewise with waits.
"""

from dataclasses import dataclass

from archivmail.decide.batching import MAX_BATCH_MESSAGES

QUIET_S = 1800.0  # a gut feeling: twice the pause that a throttle gets
MOST_HALVINGS = 6


@dataclass(frozen=True, slots=True)
class Pace:
    """`halvings` as of `since_s`."""

    halvings: int = 0
    since_s: float = 0.0


def slower(pace: Pace, now_s: float) -> Pace:
    """The server complained."""
    return Pace(min(MOST_HALVINGS, _halvings(pace, now_s) + 1), now_s)


def most_messages(pace: Pace, now_s: float) -> int:
    """How many messages one command may ask for."""
    return max(1, MAX_BATCH_MESSAGES >> _halvings(pace, now_s))


def _halvings(pace: Pace, now_s: float) -> int:
    return max(0, pace.halvings - int(max(0.0, now_s - pace.since_s) // QUIET_S))
