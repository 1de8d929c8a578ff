"""Items of a FETCH response that hold octets of a message, whole or in part (RFC 9051 §7.5.2). Pure."""

import re
from dataclasses import dataclass

from archivmail.imap.tokens import pairs

_BODY_PART = re.compile(rb"BODY(?:\.PEEK)?\[(HEADER|TEXT)?\](?:<(\d{1,20})>)?")


@dataclass(frozen=True, slots=True)
class Part:
    """`BODY[HEADER]` is section b"HEADER"; `BODY[]<512>` is a piece from octet 512 on (RFC 9051 §6.4.5)."""

    section: bytes
    origin: int | None = None


def part(name: bytes) -> Part | None:
    """The part of a message that an item of FETCH holds; `name` in capitals. None for other items."""
    found = _BODY_PART.fullmatch(name)
    return Part(found[1] or b"", int(found[2]) if found[2] else None) if found else None


def parts(values: list[object]) -> dict[Part, object]:
    """The parts of a message among the items of a FETCH response; the first of each counts."""
    inner = values[0] if values and isinstance(values[0], list) else values
    found: dict[Part, object] = {}
    for name, value in pairs(inner, lambda name: part(name) is not None).items():
        known = part(name)
        if known is not None:
            found.setdefault(known, value)
    return found
