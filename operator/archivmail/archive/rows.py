"""What the archive tells of its messages: the values that readers, search and export hand out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from archivmail.model.account import AccountRef
from archivmail.model.folder import FolderName
from archivmail.model.message import ContentId
from archivmail.model.uidset import Uid, UidValidity


@dataclass(frozen=True, slots=True)
class PlacementRow:
    """One sighting of a message in a folder."""

    account: AccountRef
    folder: FolderName
    delimiter: bytes | None
    display: str
    """The folder's name, decoded for people."""
    uid_validity: UidValidity
    epoch: int
    """Counts up within the folder: a UIDVALIDITY that came back later has another one."""
    uid: Uid
    content_id: ContentId
    size: int
    internal_date: str
    """Raw, as the server wrote it."""
    received_at: datetime | None
    """`internal_date` in UTC; None where it could not be read."""
    flags: tuple[str, ...]
    assembled: str = ""
    """How the octets were put together where the server did not give them as one; see `Sighting`."""
    labels: tuple[str, ...] = ()
    """Gmail's labels."""


@dataclass(frozen=True, slots=True)
class ArchivedMessage:
    """A content with its envelope; the envelope is empty until the message is indexed."""

    content_id: ContentId
    size: int
    is_indexed: bool
    message_id: str
    sender: str
    recipients: str
    subject: str
    sent_at: datetime | None
    placements: tuple[PlacementRow, ...]


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the trail. `hash` covers `previous` and every field before it."""

    seq: int
    at: datetime
    kind: str
    namespace: str
    account: str
    facts: Mapping[str, str | int | bool] = field(default_factory=dict)
    previous: bytes = b""
    hash: bytes = b""
    is_intact: bool = True
    """False when this entry, or its place in the chain, was changed after it was written."""
    is_unchanged: bool = True
    """False when this entry itself was changed."""
