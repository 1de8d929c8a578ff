"""What the scripted server serves."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Message:
    octets: bytes
    flags: tuple[str, ...] = ()
    internal_date: str = "17-Jul-1996 02:44:25 -0700"
    email_id: str = ""
    labels: bytes = b""
    """X-GM-LABELS as it stands on the wire, without the parentheses."""


@dataclass
class Folder:
    """`uid_validity` and `uid_next` None: not told; `uid_next` 0: one above the highest UID."""

    messages: dict[int, Message] = field(default_factory=dict)
    uid_validity: int | None = 1700000000
    uid_next: int | None = 0
    attributes: str = ""

    @property
    def next_uid(self) -> int | None:
        return self.uid_next if self.uid_next != 0 else max(self.messages, default=0) + 1

    def uids_in(self, wanted: bytes) -> list[int]:
        """The UIDs of a sequence set that exist; `n:*` includes the last one always (RFC 9051 §9 seq-range)."""
        last = max(self.messages, default=0)
        found: set[int] = set()
        for part in wanted.split(b","):
            first, _, end = part.partition(b":")
            low, high = (last if each == b"*" else int(each) for each in (first, end or first))
            low, high = min(low, high), max(low, high)
            found |= {uid for uid in self.messages if low <= uid <= high}
        return sorted(found)


def sample(count: int = 3, first_uid: int = 1) -> Folder:
    """A folder of that many small messages with neighbouring UIDs."""
    return Folder(
        {
            uid: Message(b"Subject: message %d\r\n\r\nbody of %d\r\n" % (uid, uid))
            for uid in range(first_uid, first_uid + count)
        }
    )
