"""Which packs of an account to write anew. Knows sizes, ages and the order of packs; no store, no clock.

Only packs that follow one another are put together, because the order of members restores the epochs of folders. A run
of packs is merged when its largest is no larger than the rest together: each copy of an octet at least doubles the pack
it lies in, so nothing is copied more than about ten times before it lies in a pack that is left alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

SMALL = 32 * 1024**2
"""Octets from which a pack is left alone: a cheap upload, and a thousand of them hold about 100 GB of mail."""
MEMBER_WEIGHT = 4096
"""Octets that a member counts at least, so that some 8,000 of them make a pack that is left alone."""
MANY = 8
"""Small packs in a row that are worth a merge; an arbitrary number: fewer mean more copying, more mean more files."""
MOST = 500
"""Packs of one merge: bounds its memory and the time in which it can be stopped only at a member."""
MOST_REPLACED = 10_000
"""Names that one pack may carry of those that it replaces."""
OLD = timedelta(days=30)
"""After that time a few small packs are merged too, for no more will come soon."""
DEAD_SHARE = 0.25
"""Share of a pack's octets that belong to removed messages from which it is written anew."""
DEAD_FOR = timedelta(days=30)
"""How long octets of an expired message may stay in a pack whatever their share."""
GRACE = timedelta(days=1)
"""How long a pack stays after another took its place: a reader or a backup may be on its way through the old list."""
BATCH = 500
"""Messages removed in one transaction."""


@dataclass(frozen=True, slots=True)
class PackFacts:
    """One pack, as the catalog knows it."""

    name: str
    size: int
    written_at: datetime
    dead: int = 0
    """Octets of messages that were removed."""
    dead_since: datetime | None = None
    replaced: int = 0
    """Names of packs that this one carries as replaced."""
    members: int = 0

    @property
    def weight(self) -> int:
        """Its octets, or more where it has many small members: each of them costs memory while a pack is rewritten."""
        return max(self.size, self.members * MEMBER_WEIGHT)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Packs that follow one another, to become one."""

    packs: tuple[PackFacts, ...]

    @property
    def size(self) -> int:
        return sum(pack.size for pack in self.packs)


def rewrites(packs: Sequence[PackFacts], now: datetime, *, is_thorough: bool = False) -> list[Rewrite]:
    """What to do, in the order of the packs, which is that of their names. No pack is in two of them.

    `is_thorough`: every dead octet goes, and every two small packs in a row are merged.
    """
    found: list[Rewrite] = []
    for stretch in _stretches(packs):
        runs = _runs(stretch, least=2 if is_thorough else MANY, now=now)
        merged = {pack.name for run in runs for pack in run}
        alone = [(pack,) for pack in stretch if pack.name not in merged and _is_dead_enough(pack, now, is_thorough)]
        found += [Rewrite(tuple(run)) for run in (*runs, *alone)]
    return sorted(found, key=lambda each: each.packs[0].name)


def is_over(retired_at: datetime, now: datetime, grace: timedelta) -> bool:
    """Whether a pack whose place another took may be removed."""
    return now - retired_at >= grace


def _stretches(packs: Sequence[PackFacts]) -> Iterator[list[PackFacts]]:
    """Packs in a row between those that are large; a large one is a stretch of its own."""
    stretch: list[PackFacts] = []
    for pack in packs:
        if pack.weight < SMALL:
            stretch.append(pack)
            continue
        if stretch:
            yield stretch
        yield [pack]
        stretch = []
    if stretch:
        yield stretch


def _runs(stretch: list[PackFacts], *, least: int, now: datetime) -> list[list[PackFacts]]:
    """Runs of a stretch that are worth a merge."""
    if len(stretch) < 2:
        return []
    largest = max(range(len(stretch)), key=lambda at: stretch[at].weight)
    if 2 * stretch[largest].weight > sum(pack.weight for pack in stretch):
        before, after = stretch[:largest], stretch[largest + 1 :]
        is_pair_of_equals = len(stretch) == 2 and stretch[0].weight == stretch[1].weight
        if not is_pair_of_equals and not _is_old(stretch, now) and least > 2:
            return _runs(before, least=least, now=now) + _runs(after, least=least, now=now)
    return [run for run in _portions(stretch) if len(run) >= (2 if _is_old(run, now) else least)]


def _portions(run: list[PackFacts]) -> Iterator[list[PackFacts]]:
    """A run in pieces that keep to the bounds."""
    piece: list[PackFacts] = []
    for pack in run:
        names = sum(each.replaced + 1 for each in piece) + pack.replaced + 1
        if piece and (
            len(piece) >= MOST or names > MOST_REPLACED or sum(each.weight for each in piece) + pack.weight > 2 * SMALL
        ):
            yield piece
            piece = []
        piece.append(pack)
    if piece:
        yield piece


def _is_old(run: Sequence[PackFacts], now: datetime) -> bool:
    """Every pack of it: the newest may soon get company."""
    return len(run) >= 2 and all(now - pack.written_at >= OLD for pack in run)


def _is_dead_enough(pack: PackFacts, now: datetime, is_thorough: bool) -> bool:
    if not pack.dead:
        return False
    since = pack.dead_since or now
    return is_thorough or pack.dead >= DEAD_SHARE * pack.size or now - since >= DEAD_FOR
