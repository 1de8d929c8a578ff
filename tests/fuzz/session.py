"""A session whose server says whatever a fuzzer makes up, and what must hold of what is delivered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from archivmail.imap.dialogue import Dialogue
from archivmail.imap.excerpts import Excerpts
from archivmail.imap.faults import Faults
from archivmail.imap.fetching import Fetching
from archivmail.imap.limits import Limits
from archivmail.imap.pipeline import Pipeline
from archivmail.imap.stream import Stream
from archivmail.model.account import Credentials, Mechanism
from archivmail.model.errors import ArchivmailError
from archivmail.model.message import FetchedMessage
from archivmail.model.uidset import UidSet

LIMITS = replace(Limits(), read_s=1, receive_bytes=64, memory_bytes=40, small_literal_bytes=200, message_bytes=10_000)
UIDS = (5, 6, 7)
BATCHES = ((5, 6), (7,))


class Fed:
    """A socket from which these pieces come, and then the end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""

    def settimeout(self, seconds: float) -> None: ...

    def recv_into(self, buffer: memoryview) -> int:
        self._left = self._left or next(self._pieces, b"")
        taken, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)

    def send(self, octets: memoryview) -> int:
        return len(octets)


def pieces_of(octets: bytes, sizes: list[int]) -> Iterator[bytes]:
    """In pieces of these sizes, again and again."""
    at = 0
    while at < len(octets):
        for size in sizes:
            yield octets[at : at + size]
            at += size


def fetched(octets: bytes, sizes: list[int], *, has_ids: bool = False) -> dict[int, bytes]:
    """What is delivered of a session in which the server says this, whatever it is asked."""
    got: dict[int, bytes] = {}

    def deliver(message: FetchedMessage) -> None:
        assert message.sighting.uid not in got, "delivered twice"
        got[message.sighting.uid] = b"".join(bytes(chunk) for chunk in message.body.chunks())

    faults = Faults(Excerpts(Credentials(Mechanism.PASSWORD, "alice")))
    stream = Stream(Fed(pieces_of(octets, sizes)), LIMITS, lambda: False)  # type: ignore[arg-type] - as far as it is used
    dialogue = Dialogue(stream, faults, LIMITS, lambda _: None)
    fetching = Fetching(dialogue, faults, LIMITS, frozenset({"OBJECTID"} if has_ids else ()))
    pipeline = Pipeline(dialogue, fetching, LIMITS, depth=2, minds=lambda: None)
    with suppress(ArchivmailError):
        pipeline.fetch(iter([UidSet.of(batch) for batch in BATCHES]), deliver, lambda *_: None)
    return got


def require_own(got: dict[int, bytes]) -> None:
    """Only UIDs that were asked for, and in each no octets of another message.

    What a server counts into a literal of the same response cannot be told from the message.
    """
    assert got.keys() <= set(UIDS)
    for uid, octets in got.items():
        foreign = [other for other in (*UIDS, 9) if other != uid and b"<%d>" % other in octets]
        assert not foreign, f"UID {uid} got octets of {foreign}"


def own(uid: int) -> bytes:
    return b"<%d>" % uid * 20
