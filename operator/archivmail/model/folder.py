"""A folder (what RFC 9051 calls a mailbox) as the server lists and opens it."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType

from archivmail.model.account import Origin
from archivmail.model.reasons import Reason
from archivmail.model.uidset import Uid, UidValidity

FolderName = NewType("FolderName", bytes)
"""The raw name, octet for octet as the server writes it: the identity of a folder within an account."""


@dataclass(frozen=True, slots=True)
class Folder:
    """One line of LIST (RFC 9051 §7.3.1). `attributes` are lower-case, with their backslash."""

    name: FolderName
    delimiter: bytes | None = b"/"
    attributes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Folder state as EXAMINE or STATUS told it (RFC 9051 §6.3.3, §6.3.11).

    `uid_validity` and `uid_next` are None where the server gave none or gave 0. `messages` is EXISTS.
    """

    uid_validity: UidValidity | None
    uid_next: Uid | None
    messages: int
    limited: bool = False
    """The server said that it shows only a part of the folder (RFC 9738 MESSAGELIMIT)."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """A stretch of time in which a folder of one origin kept one UIDVALIDITY.

    A value that comes back later is another epoch, so UIDs of an earlier one are never mistaken for archived.
    `number` counts up within the folder. `uid_validity` 0 means unknown: UIDs are then no identity at all.
    """

    id: int
    folder: FolderName
    origin: Origin
    uid_validity: UidValidity
    number: int


@dataclass(frozen=True, slots=True)
class FolderState:
    """What the last pass over a folder found; saves work, proves nothing by itself."""

    epoch: Epoch
    uid_next: Uid | None
    messages: int
    last_uid: Uid
    server: int
    archived: int
    pending: int
    quarantined: int
    passed_at: datetime
    compared_at: datetime | None
    """End of the last pass that compared every UID."""
    complete: bool = False
    """The pass left nothing to do."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """A UID that could not be archived yet: never skipped, never in the way of others."""

    uid: Uid
    attempts: int
    reason: Reason
    error: str
    next_try: datetime
    quarantined: bool = False
