"""Reasons: one CamelCase word for a cause, shared by conditions, Events and metric labels.

Kubernetes API conventions: a reason is a one-word CamelCase value for programs; the message is for people.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a condition, an Event or a metric says what it says."""

    # progress
    PROGRESSING = "Progressing"
    PROGRESSING_WITH_RETRY = "ProgressingWithRetry"
    SUCCEEDED = "Succeeded"
    PARTIAL_SUCCESS = "PartialSuccess"
    INTERRUPTED = "Interrupted"
    TIMED_OUT = "TimedOut"
    GAVE_WAY = "GaveWay"
    SUSPENDED = "Suspended"
    RESUMED = "Resumed"
    # a person must act
    SPEC_INVALID = "SpecInvalid"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, not a secret
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105 - a reason, not a secret
    AUTHENTICATION_FAILED = "AuthenticationFailed"
    TLS_FAILED = "TLSFailed"
    SERVER_UNSUITABLE = "ServerUnsuitable"
    NO_FOLDER_SELECTED = "NoFolderSelected"
    EGRESS_DENIED = "EgressDenied"
    # time may help
    CONNECTION_FAILED = "ConnectionFailed"
    SERVER_BUSY = "ServerBusy"
    QUOTA_EXCEEDED = "QuotaExceeded"
    TOO_MANY_CONNECTIONS = "TooManyConnections"
    SERVER_VIOLATION = "ServerViolation"
    ARCHIVE_UNAVAILABLE = "ArchiveUnavailable"
    RUN_IN_PROGRESS = "RunInProgress"
    # tokens
    REFRESH_TOKEN_ROTATED = "RefreshTokenRotated"  # noqa: S105 - a reason, not a secret
    REFRESH_TOKEN_NOT_KEPT = "RefreshTokenNotKept"  # noqa: S105 - a reason, not a secret
    # parts of a mailbox
    FOLDER_MISSING = "FolderMissing"
    FOLDER_REFUSED = "FolderRefused"
    PARTIAL_FAILURE = "PartialFailure"
    LIMITED_VIEW = "LimitedView"
    MESSAGES_PENDING = "MessagesPending"
    MESSAGES_QUARANTINED = "MessagesQuarantined"
    MESSAGE_REFUSED = "MessageRefused"
    MESSAGE_EMPTY = "MessageEmpty"
    MESSAGE_REPLACED = "MessageReplaced"
    MESSAGE_TOO_LARGE = "MessageTooLarge"
    FULLY_ARCHIVED = "FullyArchived"
    NEVER_SYNCED = "NeverSynced"
    UID_VALIDITY_CHANGED = "UIDValidityChanged"
    UID_VALIDITY_UNKNOWN = "UIDValidityUnknown"
    SERVER_ALERT = "ServerAlert"
    # the archive itself
    ARCHIVE_DAMAGED = "ArchiveDamaged"
    INTERNAL_ERROR = "InternalError"
