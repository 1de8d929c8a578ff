"""A session with a scripted server in one call."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from archivmail.imap.limits import Limits
from archivmail.imap.session import Session, connect
from archivmail.model.folder import Folder, FolderName
from archivmail.model.uidset import UidSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from archivmail.model.account import Credentials
    from archivmail.model.message import FetchedMessage, Refused
    from tests.servers.scripted import ScriptedServer

INBOX = Folder(FolderName(b"INBOX"))
QUICK = Limits(connect_s=5, read_s=5, slice_s=0.05, close_s=0.3)


@dataclass
class Fetched:
    """What `fetch` delivered, by UID."""

    octets: dict[int, bytes]
    messages: dict[int, FetchedMessage]
    refused: Refused | None


def fetch(session: Session, uids: UidSet) -> Fetched:
    """Fetch and keep everything that is delivered; a UID delivered twice fails the test."""
    fetched = Fetched({}, {}, None)

    def deliver(message: FetchedMessage) -> None:
        uid = message.sighting.uid
        assert uid not in fetched.octets, f"UID {uid} was delivered twice"
        fetched.octets[uid] = b"".join(bytes(chunk) for chunk in message.body.chunks())
        fetched.messages[uid] = message

    fetched.refused = session.fetch(uids, deliver)
    return fetched


@contextmanager
def opened(
    server: ScriptedServer,
    *,
    limits: Limits = QUICK,
    should_stop: Callable[[], bool] = lambda: False,
    credentials: Credentials | None = None,
    folder: bytes | None = b"INBOX",
) -> Iterator[Session]:
    """A session, with a folder opened unless that is None."""
    session = connect(server.endpoint, credentials or server.credentials, should_stop=should_stop, limits=limits)
    try:
        if folder is not None:
            session.examine(replace(INBOX, name=FolderName(folder)))
        yield session
    finally:
        session.close()


def uid_set(*uids: int) -> UidSet:
    return UidSet.of(uids)
