"""What an export was asked for and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

MAX_FAILURES = 1000
"""Failures that a report names; the others are counted."""


class Format(StrEnum):
    EML = "eml"
    MAILDIR = "maildir"
    MBOX = "mbox"
    TAR = "tar"


@dataclass(frozen=True, slots=True)
class Failure:
    """A message that could not be read, by the name it would have had, and one sentence."""

    name: str
    content_id: str
    """64 hex digits."""
    error: str


@dataclass(frozen=True, slots=True)
class ExportReport:
    """`written` and `present` are files; `present` were there from an earlier call, or are the same file as another."""

    written: int = 0
    present: int = 0
    failed: int = 0
    written_bytes: int = 0
    """Raw octets of the messages."""
    failures: tuple[Failure, ...] = ()
    """At most 1,000 of them."""

    @property
    def is_complete(self) -> bool:
        return self.failed == 0


Progress = Callable[[ExportReport], None]
"""Called after each message; must be quick."""
