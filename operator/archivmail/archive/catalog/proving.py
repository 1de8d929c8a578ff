"""Prove the audit trail: every entry as it was written, none missing, out of its place or cut off at the end."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from archivmail.archive.catalog.trail import FIRST
from archivmail.archive.rows import AuditEntry

MAX_PROBLEMS = 1000
"""Of those told one by one; the others are counted."""


@dataclass(slots=True)
class TrailProof:
    """What was found. `problems` are sentences that each name an entry."""

    entries: int = 0
    seq: int = 0
    """Of the newest entry; 0 when the trail is empty."""
    hash: bytes = FIRST
    problems: list[str] = field(default_factory=list)
    more: int = 0
    """Problems beyond MAX_PROBLEMS."""

    @property
    def is_sound(self) -> bool:
        return not self.problems

    def _found(self, text: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(text)
        else:
            self.more += 1


@dataclass(frozen=True, slots=True)
class Expected:
    """An entry that must be there: from the anchor, or noted by a person."""

    seq: int
    hash: bytes
    source: str
    """As the sentence names it."""


def prove(entries: Iterable[AuditEntry], expected: Iterable[Expected]) -> TrailProof:
    """`entries` oldest first, as `trail.entries` gives them."""
    proof = TrailProof()
    wanted: dict[int, list[Expected]] = {}
    for each in expected:
        wanted.setdefault(each.seq, []).append(each)
    for entry in entries:
        for text in _wrong(entry, proof):
            proof._found(text)
        for each in wanted.pop(entry.seq, ()):
            if each.hash != entry.hash:
                proof._found(f"entry {entry.seq} is not the one that {each.source} names")
        proof.entries += 1
        proof.seq, proof.hash = entry.seq, entry.hash
    for seq in sorted(wanted):
        for each in wanted[seq]:
            if seq > proof.seq:
                proof._found(f"{_span(proof.seq + 1, seq)} cut off at the end: {each.source} names entry {seq}")
            elif seq:
                proof._found(f"entry {seq}, which {each.source} names, is not there")
    return proof


def _wrong(entry: AuditEntry, so_far: TrailProof) -> Iterator[str]:
    if entry.seq > so_far.seq + 1:
        yield f"{_span(so_far.seq + 1, entry.seq - 1)} missing"
    if not entry.is_unchanged:
        yield f"entry {entry.seq} was changed after it was written"
    elif entry.previous != so_far.hash and entry.seq == so_far.seq + 1:
        yield f"entry {entry.seq} does not follow the one that stands before it"


def _span(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"
