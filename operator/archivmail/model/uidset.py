"""Sets of UIDs as sorted ranges.

RFC 9051 §2.3.1.1: a UID is an unsigned 32-bit number, never 0. Mailboxes are runs of neighbours, so ranges keep a
folder of a million messages in a few kilobytes, and they are the form the wire wants (RFC 9051 §9 sequence-set).
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NewType

Uid = NewType("Uid", int)
UidValidity = NewType("UidValidity", int)
MAX_UID = 0xFFFF_FFFF


class UidSet:
    """An immutable set of UIDs. Cost of every operation grows with the ranges, not with the UIDs."""

    __slots__ = ("_len", "_ranges")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        """Take inclusive ranges in any order, overlapping or not. Raises ValueError outside 1..4294967295."""
        merged: list[tuple[int, int]] = []
        for low, high in sorted((min(pair), max(pair)) for pair in ranges):
            if low < 1 or high > MAX_UID:
                raise ValueError(f"a UID is a number from 1 to {MAX_UID}, not {low}:{high}")
            if merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        self._ranges = tuple(merged)
        self._len = sum(high - low + 1 for low, high in merged)

    @classmethod
    def of(cls, uids: Iterable[int]) -> "UidSet":
        """The set of these UIDs."""
        ranges: list[tuple[int, int]] = []
        for uid in sorted(uids):
            if ranges and uid <= ranges[-1][1] + 1:
                ranges[-1] = (ranges[-1][0], uid)
            else:
                ranges.append((uid, uid))
        return cls(ranges)

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Inclusive, ascending, neither touching nor overlapping."""
        return self._ranges

    @property
    def highest(self) -> Uid:
        """The highest UID, 0 for the empty set."""
        return Uid(self._ranges[-1][1] if self._ranges else 0)

    def __len__(self) -> int:
        return self._len

    def __bool__(self) -> bool:
        return bool(self._ranges)

    def __iter__(self) -> Iterator[Uid]:
        for low, high in self._ranges:
            for uid in range(low, high + 1):
                yield Uid(uid)

    def __contains__(self, uid: object) -> bool:
        if not isinstance(uid, int):
            return False
        at = bisect_right(self._ranges, (uid, MAX_UID + 1)) - 1
        return at >= 0 and self._ranges[at][0] <= uid <= self._ranges[at][1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UidSet) and other._ranges == self._ranges

    def __hash__(self) -> int:
        return hash(self._ranges)

    def __or__(self, other: "UidSet") -> "UidSet":
        return UidSet((*self._ranges, *other._ranges))

    def __sub__(self, other: "UidSet") -> "UidSet":
        left: list[tuple[int, int]] = []
        cuts = iter(other._ranges)
        cut = next(cuts, None)
        for low, high in self._ranges:
            start = low
            while cut is not None and cut[1] < start:
                cut = next(cuts, None)
            while cut is not None and cut[0] <= high:
                if cut[0] > start:
                    left.append((start, cut[0] - 1))
                start = cut[1] + 1
                if cut[1] >= high:
                    break
                cut = next(cuts, None)
            if start <= high:
                left.append((start, high))
        return UidSet(left)

    def __and__(self, other: "UidSet") -> "UidSet":
        return self - (self - other)

    def __repr__(self) -> str:
        return f"UidSet({str(self)!r})"

    def __str__(self) -> str:
        """RFC 9051 §9 sequence-set, ascending; the empty set gives the empty string, which is not a sequence-set."""
        return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in self._ranges)

    def first(self, count: int) -> "UidSet":
        """The `count` lowest UIDs."""
        taken: list[tuple[int, int]] = []
        for low, high in self._ranges:
            if count <= 0:
                break
            last = min(high, low + count - 1)
            taken.append((low, last))
            count -= last - low + 1
        return UidSet(taken)
