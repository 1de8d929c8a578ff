"""Keep accounts apart in time: each has a place of its own in every span, always the same. Knows spans; knows no clock.

The place follows from the identity of the account, so that nothing is thrown anew at each run: accounts made by one
commit drift apart within a few runs and stay apart, also over a restart.
"""

import hashlib
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

JITTER = 0.05
"""No time is moved by more than this part of its span."""
_GOLDEN = 0.6180339887498949  # steps of the golden ratio fall far from all steps before


@dataclass(frozen=True, slots=True)
class Spread:
    """`phase` is the account's place in any span, 0 <= phase < 1; with None nothing is moved."""

    phase: float | None = None


EXACT = Spread()


def spread_of(identity: str) -> Spread:
    """The place of the account with this identity (the uid of its object)."""
    digest = hashlib.blake2b(identity.encode(), digest_size=8).digest()
    return Spread(int.from_bytes(digest) / 2**64)


def moved(delay: timedelta, spread: Spread, attempt: int) -> timedelta:
    """The delay before this attempt: other accounts that failed in the same moment come in other moments."""
    return delay if spread.phase is None else delay * (1 + JITTER * jitter(spread.phase, attempt))


def jitter(phase: float, attempt: int) -> float:
    """From -1 to 1, another one for each attempt."""
    return 2 * ((phase + attempt * _GOLDEN) % 1.0) - 1


def next_in_phase(now: datetime, interval: timedelta, spread: Spread) -> datetime:
    """One interval after `now`, drawn towards the account's own place by up to 5 % of the interval.

    Once it is there it stays there, as long as a run takes less than that.
    """
    nominal = now + interval
    if spread.phase is None:
        return nominal
    passed = (nominal.timestamp() / interval.total_seconds() - spread.phase) % 1.0  # since its last place
    distance = -passed if passed <= 0.5 else 1.0 - passed
    return nominal + interval * max(-JITTER, min(JITTER, distance))


def whole_second(time: datetime) -> datetime:
    """Not before `time`. `.status` has whole seconds: the time that is shown is the time that is meant."""
    return datetime.fromtimestamp(math.ceil(time.timestamp()), UTC)
