"""What can go wrong, by who must act.

ArchivmailError
├── NeedsUser           a person must change the resource, the Secret or the command
│   ├── SpecInvalid     the manifest or an argument
│   ├── SecretMissing   the Secret or one of its keys is not there
│   ├── CredentialsRefused
│   ├── TlsRefused      certificate, host name, or a server that offers no TLS where it is asked for
│   └── ServerUnsuitable the server cannot do what the resource asks for
├── NeedsTime           it may work later; `retry_after` carries the server's hint
│   ├── ConnectionLost  no connection, or it broke
│   ├── SessionExpired  the server ended the session because its access token ran out
│   ├── ServerBusy      throttled, over quota, too many connections
│   ├── ArchiveUnavailable  the store or the catalog cannot be read or written now
│   └── RunInProgress   another process is archiving this account
├── ServerViolation     the server broke the protocol; the connection cannot be used any further
├── FolderRefused       one folder cannot be opened; the others can
├── ArchiveDamaged      octets in the archive are not what was written
└── Aborted             the run was told to stop (deletion, suspension, shutdown, timeout)
    └── GaveWay         the run had its turn, and goes on after the accounts that wait

Texts are one sentence, say what to do, and never hold a credential, a subject or an address.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from archivmail.model.reasons import Reason

if TYPE_CHECKING:
    from archivmail.model.uidset import UidSet


class ArchivmailError(Exception):
    """Base of all errors that archivmail raises on purpose."""

    reason: Reason = Reason.INTERNAL_ERROR

    def __init__(self, text: str, *, reason: Reason | None = None) -> None:
        super().__init__(text)
        self.text = text
        if reason is not None:
            self.reason = reason


class NeedsUser(ArchivmailError):
    """Retrying does not help until a person changes something."""


class SpecInvalid(NeedsUser):
    reason = Reason.SPEC_INVALID


class SecretMissing(NeedsUser):
    reason = Reason.SECRET_NOT_FOUND


class CredentialsRefused(NeedsUser):
    reason = Reason.AUTHENTICATION_FAILED


class TlsRefused(NeedsUser):
    reason = Reason.TLS_FAILED


class ServerUnsuitable(NeedsUser):
    reason = Reason.SERVER_UNSUITABLE


class NeedsTime(ArchivmailError):
    """It may work later. `retry_after` is the server's hint, if it gave one."""

    reason = Reason.CONNECTION_FAILED

    def __init__(self, text: str, *, reason: Reason | None = None, retry_after: timedelta | None = None) -> None:
        super().__init__(text, reason=reason)
        self.retry_after = retry_after
        self.broke_at: UidSet | None = None
        """The batch in which a session broke, where another one had batches under way too."""


class ConnectionLost(NeedsTime):
    reason = Reason.CONNECTION_FAILED


class SessionExpired(NeedsTime):
    """The session lived as long as its access token; with another token it goes on at once."""

    reason = Reason.CONNECTION_FAILED


class ServerBusy(NeedsTime):
    reason = Reason.SERVER_BUSY


class ArchiveUnavailable(NeedsTime):
    reason = Reason.ARCHIVE_UNAVAILABLE


class RunInProgress(NeedsTime):
    reason = Reason.RUN_IN_PROGRESS


class ServerViolation(NeedsTime):
    """The server broke the protocol; the stream is out of step and the connection must be dropped."""

    reason = Reason.SERVER_VIOLATION


class FolderRefused(ArchivmailError):
    """The server refused one folder (EXAMINE or its listing); the session goes on."""

    reason = Reason.FOLDER_REFUSED


class ArchiveDamaged(ArchivmailError):
    reason = Reason.ARCHIVE_DAMAGED


class Aborted(ArchivmailError):
    """The run was told to stop; what it archived is kept."""

    reason = Reason.INTERRUPTED


class GaveWay(Aborted):
    """Between two batches: others waited, and it is their turn."""

    reason = Reason.GAVE_WAY
