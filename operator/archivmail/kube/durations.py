"""Spans as Go writes them ("1h30m"), which is how Kubernetes resources write them.

Read here and by CEL's `duration()`; the pattern lets only through what both read alike: no sign, units h, m, s and ms,
and too few digits for an overflow (which CEL would answer with an evaluation error instead of our sentence).
Source: Go's time.ParseDuration.
"""

import re
from datetime import timedelta
from typing import Final

from archivmail.kube.rules import Rule, quoted

MAX_CHARACTERS: Final = 20  # at most three numbers of the sizes below: far from Go's limit of 2562047h
_FRACTION: Final = r"(\.[0-9]{1,9})?"
_PART: Final = rf"([0-9]{{1,6}}{_FRACTION}h|[0-9]{{1,7}}{_FRACTION}m|[0-9]{{1,9}}{_FRACTION}m?s)"
PATTERN: Final = rf"0|{_PART}+"
_NUMBER_AND_UNIT: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?(h|ms|m|s)", re.ASCII)
_NANOSECONDS: Final = {"h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000}


def parse_duration(text: str) -> timedelta:
    """The span, cut to the microsecond. Raises ValueError when the text is no span of this form."""
    return timedelta(microseconds=_nanoseconds(text) // 1000)


def span_rule(low: str, high: str, sentence: str, *, or_zero: bool = False) -> Rule:
    """The text is a span from `low` to `high`, both included, or, with `or_zero`, zero."""
    least, most = _nanoseconds(low), _nanoseconds(high)
    within = f"duration(self) >= duration('{low}') && duration(self) <= duration('{high}')"
    if or_zero:
        within = f"(duration(self) == duration('0s') || {within})"

    def holds(text: str) -> bool:
        try:
            span = _nanoseconds(text)
        except ValueError:
            return False
        return (or_zero and span == 0) or least <= span <= most

    return Rule(cel=f"self.matches({quoted(f'^({PATTERN})$')}) && {within}", sentence=sentence, holds=holds)


def _nanoseconds(text: str) -> int:
    if len(text) > MAX_CHARACTERS or not re.fullmatch(PATTERN, text, re.ASCII):
        raise ValueError("not a span such as 10m or 1h30m")
    total = 0
    for whole, fraction, unit in _NUMBER_AND_UNIT.findall(text):
        size = _NANOSECONDS[unit]
        total += int(whole) * size
        if fraction:
            total += int(fraction) * size // 10 ** len(fraction)
    return total
