"""Sets of UIDs as sorted ranges.

RFC 9051 §2.3.1.1: a UID is an unsigned 32-bit number, never 0. Mailboxes are runs of neighbours, so ranges keep a
folder of a million messages in a few kilobytes, and they are the form the wire wants (RFC 9051 §9 sequence-set).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import NewType

Uid = NewType("Uid", int)
UidValidity = NewType("UidValidity", int)
MAX_UID = 0xFFFF_FFFF


class UidSet:
    """An immutable set of UIDs. Cost of every operation grows with the ranges, not with the UIDs.

    Between a large set and a small one it grows with the small one, but for a copy.
    """

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
        small, large = sorted((self, other), key=lambda each: len(each._ranges))
        if not small:
            return large
        start, end = large._near(small)
        middle = UidSet((*large._ranges[start:end], *small._ranges))
        return large._with(start, end, middle)

    def __sub__(self, other: "UidSet") -> "UidSet":
        if not self or not other:
            return self
        start, end = self._near(other)
        cut_start, cut_end = other._near(self)
        left = _difference(self._ranges[start:end], other._ranges[cut_start:cut_end])
        return self._with(start, end, UidSet(left))

    def __and__(self, other: "UidSet") -> "UidSet":
        small, large = sorted((self, other), key=lambda each: len(each._ranges))
        return small - (small - large)

    def _near(self, other: "UidSet") -> tuple[int, int]:
        """Which of the ranges overlap or touch the span of `other`, which is not empty.

        A batch of a large folder is a few ranges among thousands: the others are copied as they are, or a folder with
        many gaps would cost the square of their number.
        """
        low, high = other._ranges[0][0], other._ranges[-1][1]
        start = bisect_left(self._ranges, low - 1, key=itemgetter(1))
        return start, bisect_right(self._ranges, high + 1, lo=start, key=itemgetter(0))

    def _with(self, start: int, end: int, middle: "UidSet") -> "UidSet":
        """The same with `middle` in the place of some ranges; what is beside them must not touch it."""
        made = UidSet()
        made._ranges = self._ranges[:start] + middle._ranges + self._ranges[end:]
        made._len = self._len - sum(high - low + 1 for low, high in self._ranges[start:end]) + middle._len
        return made

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

    def pieces(self, count: int) -> Iterator["UidSet"]:
        """The set in parts of `count` UIDs, ascending; the last one may have fewer."""
        taken: list[tuple[int, int]] = []
        room = count
        for low, high in self._ranges:
            start = low
            while start <= high:
                last = min(high, start + room - 1)
                taken.append((start, last))
                room -= last - start + 1
                start = last + 1
                if not room:
                    yield UidSet(taken)
                    taken, room = [], count
        if taken:
            yield UidSet(taken)


def _difference(ranges: Iterable[tuple[int, int]], others: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    left: list[tuple[int, int]] = []
    cuts = iter(others)
    cut = next(cuts, None)
    for low, high in ranges:
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
    return left
