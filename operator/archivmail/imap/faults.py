"""The one place that turns what goes wrong on the wire into our errors: refusals, endings, broken connections."""

import ssl

from archivmail.decide.replies import Meaning, Reading, read, tells_of_expiry, without_name
from archivmail.imap import tls
from archivmail.imap.excerpts import Excerpts
from archivmail.imap.replies import Status
from archivmail.model.account import Mechanism, Secret
from archivmail.model.errors import (
    ArchivmailError,
    ConnectionLost,
    CredentialsRefused,
    FolderRefused,
    ServerBusy,
    ServerUnsuitable,
    ServerViolation,
    SessionExpired,
    TlsRefused,
)
from archivmail.model.foldernames import display
from archivmail.model.reasons import Reason

NO_BYE = frozenset({Meaning.CREDENTIALS, Meaning.UNSUITABLE, Meaning.BUSY, Meaning.QUOTA, Meaning.CROWDED})


class Faults:
    """Words the errors of one session."""

    def __init__(self, excerpts: Excerpts) -> None:
        self._excerpts = excerpts
        self._has_token = excerpts.credentials.mechanism is not Mechanism.PASSWORD
        self._folder = b""

    def concerns(self, folder: bytes) -> None:
        """From now on answers are about this folder: servers repeat its name, which says nothing of the session."""
        self._folder = folder

    def learn(self, token: Secret) -> None:
        """A secret of this session that the credentials do not hold: never to be repeated."""
        self._excerpts.learn(token)

    def said(self, status: Status) -> str:
        """The server's words, cleaned, with their code: `[LIMIT] Rate limit hit`."""
        code = f"[{status.code}] " if status.code else ""
        return (code + self._excerpts.of(status.text)).strip() or "no reason given"

    def excerpt(self, text: str) -> str:
        """Words of the server, cleaned."""
        return self._excerpts.of(text)

    def login_refused(self, status: Status) -> ArchivmailError:
        """NO or BAD to LOGIN or AUTHENTICATE: an outage must not look like a wrong password (traps 87 to 91)."""
        reading = read(status.code, status.text)
        return self._of_session(reading, status) or self._credentials_refused(status)

    def ended(self, status: Status) -> ArchivmailError:
        """The server said BYE."""
        reading, is_expiry = self._read(status, self._folder)
        if is_expiry:
            return self._expired(status, reading)
        error = self._of_session(reading, status) if reading.meaning in NO_BYE else None
        return error or ConnectionLost(f"the server ended the session: {self.said(status)}")

    def whole_session(self, status: Status, folder: bytes | None = None) -> ArchivmailError | None:
        """The error of a NO or BAD that concerns the session and not the command; None for other refusals.

        A fault that passes is the command's own: the next folder or message may be readable. `folder`: the one that
        the command was about, where it is not the open one.
        """
        reading, is_expiry = self._read(status, self._folder if folder is None else folder)
        if is_expiry:
            return self._expired(status, reading)
        return None if reading.meaning is Meaning.PASSING else self._of_session(reading, status)

    def folder_refused(self, status: Status, doing: str) -> ArchivmailError:
        """NO or BAD to a command about one folder."""
        error = self.whole_session(status)
        if error is not None:
            return error
        when = "at the moment " if self._read(status, self._folder)[0].meaning is Meaning.PASSING else ""
        return FolderRefused(f"the server {when}refused to {doing}: {self.said(status)}; the next run tries again")

    def listing_refused(self, status: Status) -> ArchivmailError:
        """NO or BAD to LIST: without folders there is no session."""
        return self._of_session(read(status.code, status.text), status) or ServerUnsuitable(
            f"the server refused to list the folders: {self.said(status)}; ask who runs the server"
        )

    def _read(self, status: Status, folder: bytes) -> tuple[Reading, bool]:
        """What it means, and whether a token ran out."""
        text = without_name(status.text, folder.decode("utf-8", "replace"), display(folder))
        return read(status.code, text), self._has_token and tells_of_expiry(text)

    def _of_session(self, reading: Reading, status: Status) -> ArchivmailError | None:
        said = self.said(status)
        match reading.meaning:
            case Meaning.BUSY:
                return ServerBusy(
                    f"the server asks to come back later: {said}; it is tried again by itself",
                    retry_after=reading.retry_after,
                )
            case Meaning.QUOTA:
                return ServerBusy(
                    f"the account has used up what the server allows in a day: {said}; what is archived is kept, "
                    "and the rest follows by itself",
                    reason=Reason.QUOTA_EXCEEDED,
                    retry_after=reading.retry_after,
                )
            case Meaning.CROWDED:
                return ServerBusy(
                    f"the server has as many connections open as it allows: {said}; it is tried again by itself",
                    reason=Reason.TOO_MANY_CONNECTIONS,
                    retry_after=reading.retry_after,
                )
            case Meaning.PASSING:
                return ServerBusy(
                    f"the server has a passing fault: {said}; it is tried again by itself",
                    retry_after=reading.retry_after,
                )
            case Meaning.CREDENTIALS:
                return self._credentials_refused(status)
            case Meaning.UNSUITABLE:
                return ServerUnsuitable(f"the server does not let this account in: {said}; ask who runs the server")
            case _:
                return None

    def _credentials_refused(self, status: Status) -> CredentialsRefused:
        what = "access token" if self._has_token else "password"
        return CredentialsRefused(
            f"the server refused the user name or the {what}: {self.said(status)}; correct the Secret"
        )

    def _expired(self, status: Status, reading: Reading) -> SessionExpired:
        return SessionExpired(
            f"the server ended the session: {self.said(status)}; it is tried again by itself",
            retry_after=reading.retry_after,
        )


def violation(what: str) -> ServerViolation:
    """`what` completes "the server …" and never quotes it: the words may be those of a message."""
    return ServerViolation(f"the server {what}; the connection was dropped and is opened anew at the next try")


def too_large(limit: int) -> ServerViolation:
    """A message beyond what is archived at all; its octets are not even read."""
    return ServerViolation(
        f"the server announced a message of more than {limit // 1024**2} MiB, which is more than archivmail takes; "
        "remove it from the folder, or exclude the folder",
        reason=Reason.MESSAGE_TOO_LARGE,
    )


def broken(error: OSError) -> ConnectionLost | TlsRefused:
    """A connection that broke, in words without the numbers of the operating system."""
    if tls.asks_for_a_certificate(error):
        return tls.wants_a_certificate()
    if isinstance(error, ssl.SSLError):
        what = "the encrypted connection to the server broke"
    else:
        what = f"the connection to the server broke ({(error.strerror or type(error).__name__).lower()})"
    return ConnectionLost(f"{what}; it is tried again by itself")
