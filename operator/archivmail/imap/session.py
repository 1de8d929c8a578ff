"""One authenticated session with a mail server: what the sync ports call `MailServer` and `Connect`.

It reads only: EXAMINE, PEEK, and no command that changes anything. After an error that concerns more than one folder
the connection is closed and never used again (trap 81).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from archivmail.decide.compressing import Line
from archivmail.decide.limited import announced_limit, view_limits
from archivmail.imap.compression import Compression
from archivmail.imap.dialogue import Dialogue
from archivmail.imap.excerpts import Excerpts
from archivmail.imap.fallback import Fallback
from archivmail.imap.faults import Faults, violation
from archivmail.imap.fetching import Fetching, id_item
from archivmail.imap.greeting import encrypt, greeted
from archivmail.imap.limits import Limits
from archivmail.imap.listing import Listing
from archivmail.imap.login import HeldToken, TokenSource, log_in
from archivmail.imap.manners import Manners
from archivmail.imap.opened import Opened
from archivmail.imap.permits import Permit
from archivmail.imap.pipeline import Answered, Pipeline
from archivmail.imap.replies import Data, Status
from archivmail.imap.wire import Client
from archivmail.model.account import Credentials, Endpoint, Origin
from archivmail.model.errors import ArchivmailError, FolderRefused, ServerBusy, SessionExpired
from archivmail.model.folder import Folder, FolderName, Snapshot
from archivmail.model.message import FetchedMessage, Refused, Sighting
from archivmail.model.reasons import Reason
from archivmail.model.uidset import Uid, UidSet

MAX_ALERTS = 10


def connect(
    endpoint: Endpoint,
    credentials: Credentials,
    *,
    should_stop: Callable[[], bool],
    limits: Limits = Limits(),  # noqa: B008 - frozen
    tokens: TokenSource | None = None,
    permit: Permit | None = None,
    manners: Manners | None = None,
) -> "Session":
    """Connect, start TLS as asked, and log in once.

    Raises CredentialsRefused, SecretMissing, TlsRefused, ServerUnsuitable, ConnectionLost, ServerBusy, ServerViolation
    and Aborted; for OAuth also SpecInvalid and SessionExpired. `tokens` gives access tokens; without it the one in the
    credentials is used. `permit` is given back when the session ends or does not begin; `manners` is what is
    known of servers, and learns.
    """
    tokens, manners = tokens or HeldToken(credentials), manners or Manners()
    origin = Origin(endpoint.host, endpoint.port, credentials.username)
    faults = Faults(Excerpts(credentials))
    heard: list[Status] = []
    with _told_on_failure(permit, manners, origin):
        client = greeted(endpoint, limits, faults, should_stop, heard)
        try:
            encrypt(client, endpoint)
            client.wire.offered = None  # RFC 9051 §6.1.1: it changes with the login (trap 78)
            if client.wire.state != "AUTH":  # PREAUTH needs no login
                log_in(client, credentials, tokens)
            return Session(client, endpoint, credentials, limits, faults, tokens=tokens, permit=permit, manners=manners)
        except BaseException as error:
            client.wire.shutdown()
            if isinstance(error, SessionExpired):
                tokens.discard()
            raise


@contextmanager
def _told_on_failure(permit: Permit | None, manners: Manners, origin: Origin) -> Iterator[None]:
    """A session that does not begin or breaks needs no permit; what it was too much for, the next one is told."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, ServerBusy) and error.reason is Reason.SERVER_BUSY and error.retry_after is not None:
            manners.slow_down(origin)
        if permit is not None:
            if isinstance(error, ServerBusy) and error.reason is Reason.TOO_MANY_CONNECTIONS:
                permit.complain(error.text)
            permit.release()
        raise


class Session:
    """Satisfies `sync.ports.MailServer`. Not for two threads at once."""

    def __init__(
        self,
        client: Client,
        endpoint: Endpoint,
        credentials: Credentials,
        limits: Limits,
        faults: Faults,
        *,
        tokens: TokenSource,
        permit: Permit | None,
        manners: Manners,
    ) -> None:
        self._origin = Origin(endpoint.host, endpoint.port, credentials.username)
        self._limits = limits
        self._faults = faults
        self._tokens = tokens
        self._permit = permit
        self._manners = manners
        self._bads = 0
        self._stream = client.wire.stream
        self._alerts: dict[str, None] = {}
        self._is_usable = True
        for said in client.wire.heard:
            self._keep_alert(said)
        self._dialogue = Dialogue(self._stream, faults, limits, self._listen)
        self._opened: Opened | None = None
        offered = _told(client.wire.offered) or self._asked_capabilities()
        self.capabilities = manners.useful(self._origin, offered)
        parts = (self._dialogue, faults, limits, self.capabilities)
        self._listing = Listing(*parts, avoid=self._avoid)
        self._opened = Opened(
            *parts,
            avoid=self._avoid,
            is_one_by_one=lambda: self.is_one_by_one,
            minds=lambda: manners.minds(self._origin),
        )
        self._expected: dict[FolderName, int] = {}
        """Messages of folders, as STATUS told."""
        self._fetching = Fetching(*parts)
        self._compression = Compression(self._dialogue, self._stream, faults, limits, self.capabilities)
        self._fallback = Fallback(self._dialogue, faults, limits, id_item(self.capabilities))
        greeting = client.wire.heard[0].text if client.wire.heard else ""
        self._pipeline = Pipeline(
            self._dialogue,
            self._fetching,
            limits,
            depth=manners.depth(self._origin, greeting),
            minds=lambda: manners.minds(self._origin),
        )

    @property
    def origin(self) -> Origin:
        return self._origin

    @property
    def alerts(self) -> tuple[str, ...]:
        """[ALERT] texts, each once, at most 10, cleaned."""
        return tuple(self._alerts)

    @property
    def most_messages(self) -> int:
        """How many messages one `fetch` should ask for."""
        most = self._manners.most_messages(self._origin)
        return min(most, announced_limit(self.capabilities) or most)

    @property
    def view_limits(self) -> frozenset[int]:
        """Sizes at which the server may stop showing the messages of a folder."""
        return view_limits(self._origin.host, self.capabilities)

    @property
    def received_bytes(self) -> int:
        """Octets from the server, TLS taken off."""
        return self._stream.received

    @property
    def line(self) -> Line:
        """What is known of the line to the server."""
        return self._compression.line

    @property
    def is_one_by_one(self) -> bool:
        """Does the server take one command at a time only?"""
        return self._pipeline.depth == 1

    @property
    def is_wanted(self) -> bool:
        """Does another account wait for this connection's permit?"""
        return self._permit is not None and self._permit.is_wanted

    # --- commands ----------------------------------------------------------------------------------------------------

    def folders(self) -> list[Folder]:
        with self._guard():
            return self._listing.folders()

    def status(self, folders: Iterable[Folder]) -> dict[FolderName, Snapshot]:
        with self._guard():
            told = self._listing.status(folders, self._folder.name)
            self._expected = {name: snapshot.messages for name, snapshot in told.items()}
            return told

    def examine(self, folder: Folder) -> Snapshot:
        with self._guard():
            self._compression.start_if_worth()
            return self._folder.examine(folder, self._expected.get(folder.name))

    def uids(self) -> UidSet:
        with self._guard():
            return self._folder.uids()

    def sightings(self, uids: UidSet) -> dict[Uid, Sighting]:
        with self._guard():
            return self._fetching.sightings(uids)

    def fetch(self, uids: UidSet, deliver: Callable[[FetchedMessage], None]) -> Refused | None:
        with self._guard():
            return self._fetching.fetch(uids, deliver)

    def fetch_batches(
        self, batches: Iterator[UidSet], deliver: Callable[[FetchedMessage], None], answered: Answered
    ) -> None:
        with self._guard():
            self._pipeline.fetch(batches, deliver, answered)

    def assemble(self, uid: Uid, ways: Sequence[str], deliver: Callable[[FetchedMessage], None]) -> None:
        with self._guard():
            self._fallback.assemble(uid, ways, deliver)

    def close(self) -> None:
        """LOGOUT, and no longer than a second for the answer. Never raises."""
        if self._is_usable:
            self._is_usable = False
            self._stream.hurry(self._limits.close_s)
            with suppress(ArchivmailError):  # BYE is how it ends
                self._dialogue.run(b"LOGOUT")
        self._stream.close()
        if self._permit is not None:
            self._permit.release()

    # --- within ------------------------------------------------------------------------------------------------------

    @property
    def _folder(self) -> Opened:
        assert self._opened is not None
        return self._opened

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """A refused folder leaves the session as it is; anything else ends it."""
        if not self._is_usable:
            raise violation("is no longer connected")
        try:
            yield
        except FolderRefused:
            raise
        except BaseException as error:
            self._is_usable = False
            self._stream.close()
            if isinstance(error, SessionExpired):
                self._tokens.discard()
            with _told_on_failure(self._permit, self._manners, self._origin):
                raise

    def _avoid(self, *capabilities: str) -> None:
        self._manners.avoid(self._origin, frozenset(capabilities))

    def _asked_capabilities(self) -> frozenset[str]:
        found: set[str] = set()

        def hear(response: Status | Data) -> None:
            if isinstance(response, Data) and response.word == b"CAPABILITY":
                found.update(response.text.decode("ascii", "replace").upper().split())

        answer = self._dialogue.run(b"CAPABILITY", hear)
        error = None if answer.is_ok else self._faults.whole_session(answer)
        if error is not None:
            raise error
        return frozenset(found)

    def _listen(self, response: Status | Data) -> None:
        if isinstance(response, Status):
            self._keep_alert(response)
            self._bads += response.word == "BAD"
            if self._bads > self._limits.bads:
                raise violation(f"answered more than {self._limits.bads} commands with BAD")
        if self._opened is not None:
            self._opened.listen(response)

    def _keep_alert(self, said: Status) -> None:
        if said.code == "ALERT" and len(self._alerts) < MAX_ALERTS:
            text = self._faults.excerpt(said.text)
            if text:
                self._alerts[text] = None


def _told(offered: bytes | None) -> frozenset[str]:
    """What the server said at the login that it can do; empty when it is better asked again.

    iCloud's proxy edits what follows the capabilities; there they are asked for all the same, as mbsync does (trap 77).
    """
    told = frozenset((offered or b"").decode("ascii", "replace").upper().split())
    return frozenset() if "XAPPLEPUSHSERVICE" in told else told
