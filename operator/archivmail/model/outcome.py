"""What a run did and found: the input of conditions, status, Events and metrics."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from archivmail.model.folder import FolderName
from archivmail.model.reasons import Reason
from archivmail.model.uidset import Uid, UidValidity


class Result(StrEnum):
    """`status.lastResult`."""

    SUCCEEDED = "Succeeded"
    PARTIAL = "Partial"
    FAILED = "Failed"
    INTERRUPTED = "Interrupted"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a folder or a run did not get through. `text` is one sentence fit for people."""

    reason: Reason
    text: str
    retry_after: timedelta | None = None
    needs_user: bool = False
    stage: str = ""
    """Where it happened: spec, secret, login (with connecting), list, status, fetch, folder, archive."""


@dataclass(frozen=True, slots=True)
class MessageCounts:
    """server = archived + pending + quarantined, over the UIDs listed in the last pass."""

    server: int = 0
    archived: int = 0
    pending: int = 0
    quarantined: int = 0


@dataclass(frozen=True, slots=True)
class QuarantinedUid:
    folder: str
    uid: Uid
    reason: Reason
    attempts: int


@dataclass(frozen=True, slots=True)
class FolderOutcome:
    """One folder after its pass, or after its failure (then the counts are those of the last pass)."""

    name: FolderName
    display: str
    counts: MessageCounts
    uid_validity: UidValidity | None = None
    last_uid: int = 0
    passed_at: datetime | None = None
    """End of the last pass that got through; None when there was none."""
    added: int = 0
    """Placements this run recorded."""
    complete: bool = False
    limited: bool = False
    reset_from: UidValidity | None = None
    """Set when UIDVALIDITY changed in this run: the value before."""
    failure: Failure | None = None
    note: str | None = None
    """Something to know about a folder that did not fail."""
    quarantined: tuple[QuarantinedUid, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountOutcome:
    """One run. `failure` is set when the session failed; folders passed until then are listed all the same."""

    result: Result
    started_at: datetime
    ended_at: datetime
    folders: tuple[FolderOutcome, ...] = ()
    excluded: int = 0
    selected: int = 0
    failure: Failure | None = None
    added: int = 0
    fetched_bytes: int = 0
    stored_bytes: int = 0
    deduplicated: int = 0
    secret_version: str = ""
    alerts: tuple[str, ...] = field(default=())
    """Texts of [ALERT] that the server wants shown (RFC 9051 §7.1), bounded."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; taken often, so cheap."""

    folder: str
    folders_done: int
    folders_selected: int
    messages_to_do: int
    """Messages known to be missing in the folders looked at so far."""
    messages_done: int
    fetched_bytes: int
