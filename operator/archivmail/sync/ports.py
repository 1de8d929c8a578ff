"""What a run needs from the outside: a mail server, an archive, a watcher. Adapters satisfy these by shape."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from archivmail.model.account import AccountRef, Credentials, Endpoint, Origin, Rotation
from archivmail.model.folder import Epoch, Folder, FolderName, FolderState, LedgerEntry, Snapshot
from archivmail.model.message import ContentId, FetchedMessage, Refused, Sighting, Stored
from archivmail.model.notices import AuditEvent
from archivmail.model.outcome import Progress
from archivmail.model.uidset import Uid, UidSet, UidValidity

# --- the mail server -------------------------------------------------------------------------------------------------


class MailServer(Protocol):
    """One authenticated session. Not thread-safe. Raises NeedsTime errors when the session is lost.

    After ConnectionLost, SessionExpired, ServerBusy, ServerViolation or Aborted the session is closed and must not be
    used again.
    """

    @property
    def origin(self) -> Origin: ...

    @property
    def alerts(self) -> tuple[str, ...]:
        """[ALERT] texts seen so far, bounded."""
        ...

    @property
    def most_messages(self) -> int:
        """How many messages one `fetch` should ask for at most: fewer after the server complained."""
        ...

    @property
    def view_limits(self) -> frozenset[int]:
        """Sizes of folders at which this server is known to stop showing messages."""
        ...

    def folders(self) -> list[Folder]:
        """Every folder of the personal namespace (LIST), each once, in the order of the server."""
        ...

    def status(self, folders: Iterable[Folder]) -> dict[FolderName, Snapshot]:
        """Snapshots without opening the folders (LIST-STATUS or pipelined STATUS).

        A folder whose STATUS was refused or incomplete is absent from the answer.
        """
        ...

    def examine(self, folder: Folder) -> Snapshot:
        """Open read-only (RFC 9051 §6.3.3). Raises FolderRefused."""
        ...

    def uids(self) -> UidSet:
        """Every UID of the opened folder. Raises FolderRefused when the server will not tell."""
        ...

    def sightings(self, uids: UidSet) -> dict[Uid, Sighting]:
        """What the server says of these UIDs, without octets, `email_id` included.

        Empty, at no cost, when the server has no immutable ids (RFC 8474 EMAILID, X-GM-MSGID).
        """
        ...

    def fetch(self, uids: UidSet, deliver: Callable[[FetchedMessage], None]) -> Refused | None:
        r"""UID FETCH of octets, flags and date without setting \\Seen; `deliver` gets each message once, as it arrives.

        `deliver` owns the body during the call only; it is closed after it returns. UIDs without octets in the answer
        are simply not delivered. An exception from `deliver` closes the session and is passed on.
        """
        ...

    def fetch_batches(
        self,
        batches: Iterator[UidSet],
        deliver: Callable[[FetchedMessage], None],
        answered: Callable[[UidSet, Refused | None], None],
    ) -> None:
        """`fetch` of one batch after the other, the next of which may be taken before the present one is answered.

        `answered` gets each batch once the server is through with it; no command of one's own may come from there.
        When this raises, batches that were taken and not answered are in part delivered; what broke it is in the oldest
        of them, or in `broke_at` of the error. It does not take another one once `batches` has ended, even if
        `answered` finds more to do. `deliver` and `answered` may be called in another thread, never two at once, and
        no more after this has returned. `operator.length_hint` of `batches` helps to choose a way.
        """
        ...

    def assemble(self, uid: Uid, ways: Sequence[str], deliver: Callable[[FetchedMessage], None]) -> None:
        """Deliver a message that `fetch` did not get, put together by the first of `ways` that gives something.

        Its sighting says so. Not delivered when none does; `deliver` as for `fetch`.
        """
        ...

    def close(self) -> None:
        """Log out politely within a second or two, or just drop the connection. Never raises."""
        ...


class Connect(Protocol):
    """Connect and log in once. Raises CredentialsRefused, TlsRefused, ServerUnsuitable, ConnectionLost, ServerBusy."""

    def __call__(
        self,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        should_stop: Callable[[], bool],
        rotated: Callable[[Rotation], None],
    ) -> MailServer:
        """`should_stop` is asked while waiting and between messages; when true the session raises Aborted.

        `rotated` hears of a new refresh token, at once and in the calling thread.
        """
        ...


# --- the archive -----------------------------------------------------------------------------------------------------


class AccountArchive(Protocol):
    """The archive of one account, held exclusively by one run. Raises ArchiveUnavailable.

    Writes are collected and become durable together, in this order: pack, then one catalog transaction
    (design §1 invariant 5). What is not yet checkpointed is lost in a crash and simply done again.
    """

    def folder_state(self, folder: FolderName) -> FolderState | None:
        """What the last pass left, of whatever origin and UIDVALIDITY."""
        ...

    def start_epoch(self, folder: Folder, origin: Origin, uid_validity: UidValidity) -> Epoch:
        """Begin a new epoch (a new folder, another origin, another UIDVALIDITY). Durable with the next checkpoint.

        UIDVALIDITY 0 (unknown) has one epoch for each folder and origin: it is given again when it is there.
        """
        ...

    def latest_epoch(self, folder: FolderName) -> Epoch | None:
        """The newest epoch of the folder with a known UIDVALIDITY, whether or not a pass was ever completed in it."""
        ...

    def archived(self, epoch: Epoch) -> UidSet:
        """UIDs with a placement in this epoch, those not yet checkpointed included."""
        ...

    def assembled(self, epoch: Epoch) -> UidSet:
        """Those of `archived` that were only put together from parts, as of the last checkpoint."""
        ...

    def ledger(self, epoch: Epoch) -> list[LedgerEntry]:
        """Failed UIDs of this epoch, ascending."""
        ...

    def content_of_email_id(self, email_id: str, size: int | None = None) -> ContentId | None:
        """Content already held in this account under the server's immutable id, for the current origin.

        None as well where it has another size than the one that is given.
        """
        ...

    def store(self, epoch: Epoch, message: FetchedMessage) -> Stored:
        """Append a message (or, when its octets are held, a further sighting) and its placement."""
        ...

    def place(self, epoch: Epoch, sighting: Sighting, content_id: ContentId) -> Stored:
        """Record a placement of content that is held already, without octets."""
        ...

    def put_ledger(self, epoch: Epoch, entry: LedgerEntry) -> None:
        """Insert or replace the entry of a UID. An archived UID loses its entry by itself."""
        ...

    def drop_ledger(self, epoch: Epoch, uids: UidSet) -> None:
        """Forget entries of UIDs that the server no longer has."""
        ...

    def put_folder_state(self, folder: Folder, state: FolderState) -> None:
        """Record the end of a pass; committed together with everything before it."""
        ...

    @property
    def unsaved_bytes(self) -> int:
        """Raw octets taken in since the last checkpoint."""
        ...

    @property
    def unsaved_messages(self) -> int: ...

    def checkpoint(self) -> int:
        """Make everything since the last checkpoint durable; the octets that this took in the archive.

        On ArchiveUnavailable nothing of it counts.
        """
        ...

    def record(self, event: AuditEvent) -> None:
        """Append to the audit trail, at once."""
        ...

    def close(self) -> None:
        """Drop what was not checkpointed and release the account. Never raises."""
        ...


class OpenAccount(Protocol):
    """Take an account's archive for one run. Raises RunInProgress, ArchiveUnavailable."""

    def __call__(self, ref: AccountRef) -> AccountArchive: ...


# --- the watcher -----------------------------------------------------------------------------------------------------


class Watcher(Protocol):
    """Hears what happens in a run: progress bars, metrics and status writers implement it. Must be quick."""

    def progressed(self, progress: Progress) -> None: ...

    def message_stored(self, size: int, stored: Stored) -> None: ...

    def folder_reset(self, folder: str, before: UidValidity, after: UidValidity) -> None: ...

    def imap_failed(self, stage: str, reason: str) -> None: ...

    def archive_written(self, seconds: float, octets: int) -> None: ...

    def token_rotated(self, rotation: Rotation) -> None:
        """The refresh token that the Secret holds has a successor, which only this process knows."""
        ...


Clock = Callable[[], datetime]
"""Gives an aware UTC datetime."""
