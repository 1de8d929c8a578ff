"""How long mail is kept, and how a message that was removed is remembered."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NewType

RemovalId = NewType("RemovalId", str)
"""Names one removal: twelve hex digits that packs, catalog and audit trail have in common."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What an account's resource says about removal. The default keeps everything for ever."""

    keep_for: timedelta | None = None
    """Counted from INTERNALDATE; None: for ever."""
    hold: bool = False
    """Nothing may be removed, by whatever way."""


class Why(StrEnum):
    """Why a message is not in the archive any more."""

    EXPIRED = "expired"
    """Past `keepFor`. Holds only while the policy says so."""
    ERASED = "erased"
    """By `archivmail erase`. Holds for ever: the same octets are never taken in again."""


@dataclass(frozen=True, slots=True)
class Gone:
    """What is left of a message: why it was removed, and by which removal."""

    why: Why
    removal: RemovalId

    def __str__(self) -> str:
        return f"{self.why} {self.removal}"

    @classmethod
    def parse(cls, text: str) -> "Gone":
        """Inverse of `str()`. Raises ValueError."""
        why, _, removal = text.partition(" ")
        return cls(Why(why), RemovalId(removal))
