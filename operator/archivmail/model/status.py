"""`.status` of an ImapAccount as values (design §3.1)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from archivmail.model.outcome import MessageCounts, Result
from archivmail.model.reasons import Reason


class ConditionType(StrEnum):
    READY = "Ready"
    COMPLETE = "Complete"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    FOLDERS_DEGRADED = "FoldersDegraded"
    LIMITED_VIEW = "LimitedView"
    UID_VALIDITY_CHANGED = "UIDValidityChanged"


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """metav1.Condition. `last_transition_time` moves only when `status` flips."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str
    last_transition_time: datetime
    observed_generation: int = 0


@dataclass(frozen=True, slots=True)
class MessagesStatus(MessageCounts):
    added_last_run: int = 0


@dataclass(frozen=True, slots=True)
class FolderSummary:
    selected: int = 0
    excluded: int = 0
    complete: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """One folder in `.status.folders`; `name` is decoded for people."""

    name: str
    uid_validity: int = 0
    last_uid: int = 0
    server: int = 0
    archived: int = 0
    pending: int = 0
    quarantined: int = 0
    last_sync_time: datetime | None = None
    error: str | None = None
    quarantined_uids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountStatus:
    observed_generation: int = -1
    last_handled_reconcile_at: str | None = None
    observed_secret_version: str | None = None
    last_attempt_time: datetime | None = None
    last_sync_time: datetime | None = None
    next_sync_time: datetime | None = None
    last_sync_duration_seconds: int | None = None
    last_result: Result | None = None
    consecutive_failures: int = 0
    messages: MessagesStatus | None = None
    folder_summary: FolderSummary | None = None
    folders: tuple[FolderStatus, ...] = ()
    folders_truncated: bool = False
    conditions: tuple[Condition, ...] = ()

    def condition(self, kind: ConditionType) -> Condition | None:
        """The condition of that type, if it is there."""
        return next((each for each in self.conditions if each.type is kind), None)
