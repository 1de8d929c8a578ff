"""A mail server in memory whose faults are set by the test. Passes the contract suite of mail servers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from archivmail.model.account import Credentials, Endpoint, Origin, Rotation
from archivmail.model.errors import Aborted, ConnectionLost, FolderRefused, SessionExpired
from archivmail.model.folder import Folder, FolderName, Snapshot
from archivmail.model.message import ContentId, FetchedMessage, Refused, Sighting
from archivmail.model.uidset import Uid, UidSet, UidValidity


@dataclass(frozen=True, slots=True)
class Octets:
    """A body in memory."""

    octets: bytes

    @property
    def size(self) -> int:
        return len(self.octets)

    @property
    def content_id(self) -> ContentId:
        return ContentId(hashlib.sha256(self.octets).digest())

    def chunks(self) -> Iterator[bytes]:
        yield self.octets

    def close(self) -> None:
        pass


@dataclass(slots=True)
class FakeFolder:
    """`refused`: UIDs answered with NO; `empty`: OK without octets; `fatal`: the session breaks there."""

    validity: int | None = 7
    messages: dict[int, bytes] = field(default_factory=dict)
    next_uid: int = 1
    attributes: frozenset[str] = frozenset()
    refused: set[int] = field(default_factory=set)
    empty: set[int] = field(default_factory=set)
    fatal: set[int] = field(default_factory=set)
    hidden: set[int] = field(default_factory=set)
    """Counted by EXISTS, but in no list."""
    flickering: set[int] = field(default_factory=set)
    """In every other list only."""
    lists: int = 0
    """How often it was listed."""
    is_closed: bool = False
    """EXAMINE is answered with NO."""
    refusal: str = "Some messages could not be FETCHed (Failure)"
    email_ids: dict[int, str] = field(default_factory=dict)
    parts: dict[int, dict[str, bytes]] = field(default_factory=dict)
    """What can be put together of a message, by the way in which it is."""

    def append(self, *bodies: bytes) -> list[int]:
        given = []
        for body in bodies:
            self.messages[self.next_uid] = body
            given.append(self.next_uid)
            self.next_uid += 1
        return given


class FakeServer:
    """The mailbox and a log of what sessions asked for. Calling it connects."""

    def __init__(self, **folders: FakeFolder) -> None:
        self.folders = folders or {"INBOX": FakeFolder()}
        self.origin = Origin("imap.example.org", 993, "alice")
        self.fetched: list[tuple[str, tuple[int, ...]]] = []
        self.looked_at: list[tuple[str, tuple[int, ...]]] = []
        """For facts without octets."""
        self.assembled: list[tuple[str, int, str]] = []
        self.examined: list[str] = []
        self.view_limits: frozenset[int] = frozenset()
        self.most_messages = 200
        self.longest_set = 1000
        """A FETCH of more messages is answered with BAD."""
        self.most_given: int | None = None
        """A FETCH is answered with OK after so many messages, whatever it asked for."""
        self.login_error: Exception | None = None
        self.breaks_after: int | None = None
        """The session breaks after so many messages, once."""
        self.expires_after: int | None = None
        """Each session ends for its access token's sake after so many messages."""
        self.connections = 0
        self.on_message: Callable[[int], None] = lambda _: None

    def __call__(
        self,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        should_stop: Callable[[], bool],
        rotated: Callable[[Rotation], None],
    ) -> FakeSession:
        self.connections += 1
        if self.login_error is not None:
            raise self.login_error
        return FakeSession(self, should_stop)

    @property
    def inbox(self) -> FakeFolder:
        return self.folders["INBOX"]

    def fetched_uids(self, folder: str = "INBOX") -> list[int]:
        return [uid for name, uids in self.fetched if name == folder for uid in uids]


class FakeSession:
    """One session on a FakeServer. Satisfies MailServer."""

    def __init__(self, server: FakeServer, should_stop: Callable[[], bool]) -> None:
        self._server = server
        self._should_stop = should_stop
        self._opened: tuple[str, FakeFolder] = ("", FakeFolder())
        self.alerts: tuple[str, ...] = ()
        self.delivered = 0

    @property
    def origin(self) -> Origin:
        return self._server.origin

    @property
    def view_limits(self) -> frozenset[int]:
        return self._server.view_limits

    @property
    def most_messages(self) -> int:
        return self._server.most_messages

    def folders(self) -> list[Folder]:
        return [Folder(FolderName(name.encode()), b"/", each.attributes) for name, each in self._server.folders.items()]

    def status(self, folders: Iterable[Folder]) -> dict[FolderName, Snapshot]:
        found = {}
        for folder in folders:
            each = self._server.folders[folder.name.decode()]
            if not each.is_closed:
                found[folder.name] = _snapshot(each)
        return found

    def examine(self, folder: Folder) -> Snapshot:
        name = folder.name.decode()
        self._server.examined.append(name)
        if self._server.folders[name].is_closed:
            raise FolderRefused("the server says: NO [NOPERM] not yours")
        self._opened = (name, self._server.folders[name])
        return _snapshot(self._opened[1])

    def uids(self) -> UidSet:
        folder = self._opened[1]
        folder.lists += 1
        lacking = folder.hidden if folder.lists % 2 else folder.hidden | folder.flickering
        return UidSet.of(set(folder.messages) - lacking)

    def sightings(self, uids: UidSet) -> dict[Uid, Sighting]:
        known = self._opened[1].email_ids
        self._server.looked_at.append((self._opened[0], tuple(uids)))
        return {uid: Sighting(uid, email_id=known[uid]) for uid in uids if uid in known}

    def fetch(self, uids: UidSet, deliver: Callable[[FetchedMessage], None]) -> Refused | None:
        name, folder = self._opened
        self._server.fetched.append((name, tuple(uids)))
        if len(uids) > self._server.longest_set:
            return Refused(None, "Too long", is_bad=True)
        is_refused = False
        for uid in uids.first(self._server.most_given or len(uids)):
            if self._should_stop():
                raise Aborted("the run was told to stop")
            if uid in folder.fatal:
                raise ConnectionLost("the server closed the connection")
            if uid in folder.refused:
                is_refused = True
            elif uid in folder.messages and uid not in folder.empty:
                if self._server.expires_after == self.delivered:
                    raise SessionExpired("the server ended the session: AccessTokenExpired")
                if self._server.breaks_after == self.delivered:
                    self._server.breaks_after = None
                    raise ConnectionLost("the server closed the connection")
                self.delivered += 1
                sighting = Sighting(uid, "17-Jul-2026 02:44:25 -0700", ("\\Seen",), folder.email_ids.get(uid))
                deliver(FetchedMessage(sighting, Octets(folder.messages[uid])))
                self._server.on_message(uid)
        return Refused(None, folder.refusal) if is_refused else None

    def assemble(self, uid: Uid, ways: Sequence[str], deliver: Callable[[FetchedMessage], None]) -> None:
        name, folder = self._opened
        for way in ways:
            self._server.assembled.append((name, uid, way))
            if way in folder.parts.get(uid, {}):
                sighting = Sighting(uid, "17-Jul-2026 02:44:25 -0700", (), folder.email_ids.get(uid), assembled=way)
                deliver(FetchedMessage(sighting, Octets(folder.parts[uid][way])))
                return

    def fetch_batches(
        self,
        batches: Iterator[UidSet],
        deliver: Callable[[FetchedMessage], None],
        answered: Callable[[UidSet, Refused | None], None],
    ) -> None:
        """The next batch is taken before the present one is answered, as a real session does."""
        under_way = next(batches, None)
        while under_way is not None:
            early = next(batches, None)
            answered(under_way, self.fetch(under_way, deliver))
            under_way = early if early is not None else next(batches, None)

    def close(self) -> None:
        pass


def _snapshot(folder: FakeFolder) -> Snapshot:
    validity = UidValidity(folder.validity) if folder.validity else None
    return Snapshot(validity, Uid(folder.next_uid), len(folder.messages))
