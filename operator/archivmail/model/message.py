"""A message: the raw octets and what the server says of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NewType, Protocol

from archivmail.model.uidset import Uid

HEADER_AND_TEXT: Final = "header+text"
PARTIAL: Final = "partial"

ContentId = NewType("ContentId", bytes)
"""SHA-256 over the raw octets: 32 bytes; shown as 64 hex digits."""


class Body(Protocol):
    """Raw octets that may be too many for memory. Read any number of times until `close`."""

    @property
    def size(self) -> int:
        """Number of octets."""
        ...

    @property
    def content_id(self) -> ContentId: ...

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The octets in order, in pieces of any size."""
        ...

    def close(self) -> None:
        """Give memory or temporary file back. Harmless when repeated."""
        ...


@dataclass(frozen=True, slots=True)
class Sighting:
    r"""What the server said about one UID apart from its octets.

    `internal_date` is the raw text of the server ("17-Jul-1996 02:44:25 -0700"), "" when it gave none.
    `email_id` is an immutable content id of the server (RFC 8474 EMAILID, or X-GM-MSGID), if offered.
    """

    uid: Uid
    internal_date: str = ""
    flags: tuple[str, ...] = ()
    email_id: str | None = None
    assembled: str = ""
    """How the octets were put together where the server would not give them as one BODY[]: HEADER_AND_TEXT or PARTIAL.

    They cannot be proven to be those of the message, octet for octet. Empty: they came as one.
    """
    labels: tuple[str, ...] = ()
    r"""Gmail's labels (X-GM-LABELS), decoded; system labels as `\Inbox`."""
    declared_size: int | None = None
    """RFC822.SIZE, where it was asked for. Servers err in it (trap 43); it is not recorded."""


@dataclass(frozen=True, slots=True)
class FetchedMessage:
    """One message as it came over the wire."""

    sighting: Sighting
    body: Body


@dataclass(frozen=True, slots=True)
class Stored:
    """What the archive did with one message. Durable only after the next checkpoint."""

    content_id: ContentId
    is_new_content: bool
    """False: the octets were there already, only the placement is new."""
    is_new_placement: bool
    """False: this very placement was recorded before."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The server answered NO or BAD to a FETCH: messages not delivered by then were refused with this text."""

    code: str | None
    """Upper-case response code without brackets (RFC 5530), if there was one."""
    text: str
    """What the server said, bounded, without control characters."""
    is_bad: bool = False
    """BAD: the server did not understand the command, so its form is at fault rather than a message."""
