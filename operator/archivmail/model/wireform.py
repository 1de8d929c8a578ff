"""`.status` as JSON and back (design §3.1). Knows no pydantic and no API server; the CRD takes its bounds from here.

The document is whole: a key that is absent means "not known" or "empty", so a writer has to remove what a new document
no longer has. Texts are cut to the bounds below, for the API server would refuse the whole status for one long name.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeVar

from archivmail.model.outcome import Result
from archivmail.model.reasons import Reason
from archivmail.model.status import (
    AccountStatus,
    Condition,
    ConditionStatus,
    ConditionType,
    FolderStatus,
    FolderSummary,
    MessagesStatus,
)
from archivmail.model.uidset import MAX_UID

MAX_FOLDERS: Final = 100
MAX_QUARANTINED_UIDS: Final = 20
MAX_CONDITIONS: Final = 16
MAX_NAME: Final = 1024  # characters of a folder's name; an arbitrary size beyond any name a person reads
MAX_TEXT: Final = 1024  # characters of an error or of a condition's message; as Events have it
MAX_TOKEN: Final = 256  # characters of a requestedAt value or a resourceVersion
MAX_COUNT: Final = 2**63 - 1  # int64

RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE)

Word = TypeVar("Word", bound=StrEnum)


def to_wire(status: AccountStatus) -> dict[str, object]:
    """The JSON of `.status`: camelCase, times in UTC to the second, unknown parts absent, texts within their bounds."""
    document: dict[str, object | None] = {
        "observedGeneration": status.observed_generation,
        "lastHandledReconcileAt": token(status.last_handled_reconcile_at),
        "observedSecretVersion": token(status.observed_secret_version),
        "lastAttemptTime": time_to_wire(status.last_attempt_time),
        "lastSyncTime": time_to_wire(status.last_sync_time),
        "nextSyncTime": time_to_wire(status.next_sync_time),
        "lastSyncDurationSeconds": _at_least_0(status.last_sync_duration_seconds),
        "lastResult": status.last_result.value if status.last_result else None,
        "consecutiveFailures": status.consecutive_failures,
        "messages": _messages_to_wire(status.messages),
        "folderSummary": _summary_to_wire(status.folder_summary),
        "folders": [_folder_to_wire(each) for each in status.folders[:MAX_FOLDERS]] or None,
        "foldersTruncated": status.folders_truncated or len(status.folders) > MAX_FOLDERS or None,
        "conditions": [_condition_to_wire(each) for each in status.conditions],
    }
    return _known(document)


def from_wire(document: Mapping[str, object]) -> AccountStatus:
    """The status that a document tells. Total: what is unknown or broken is left out, never an error."""
    return AccountStatus(
        observed_generation=_number(document.get("observedGeneration"), low=-1, otherwise=-1),
        last_handled_reconcile_at=_text(document.get("lastHandledReconcileAt"), MAX_TOKEN),
        observed_secret_version=_text(document.get("observedSecretVersion"), MAX_TOKEN),
        last_attempt_time=time_from_wire(document.get("lastAttemptTime")),
        last_sync_time=time_from_wire(document.get("lastSyncTime")),
        next_sync_time=time_from_wire(document.get("nextSyncTime")),
        last_sync_duration_seconds=_optional_number(document.get("lastSyncDurationSeconds")),
        last_result=_word(Result, document.get("lastResult")),
        consecutive_failures=_number(document.get("consecutiveFailures")),
        messages=_messages_from_wire(document.get("messages")),
        folder_summary=_summary_from_wire(document.get("folderSummary")),
        folders=_folders_from_wire(document.get("folders")),
        folders_truncated=document.get("foldersTruncated") is True,
        conditions=_conditions_from_wire(document.get("conditions")),
    )


def token(text: str | None) -> str | None:
    """A `requestedAt` value as the status echoes it. Whoever compares with the echo must cut what he compares, too."""
    return _cut(text, MAX_TOKEN)


def time_to_wire(time: datetime | None) -> str | None:
    """RFC 3339 in UTC with `Z`, to the second, as metav1.Time has it."""
    if time is None:
        return None
    return time.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def time_from_wire(value: object) -> datetime | None:
    """An aware UTC datetime; None for anything but RFC 3339 text."""
    if not isinstance(value, str) or not RFC_3339.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# --- to JSON ---------------------------------------------------------------------------------------------------------


def _messages_to_wire(messages: MessagesStatus | None) -> dict[str, object] | None:
    if messages is None:
        return None
    return {
        "server": messages.server,
        "archived": messages.archived,
        "pending": messages.pending,
        "quarantined": messages.quarantined,
        "addedLastRun": messages.added_last_run,
    }


def _summary_to_wire(summary: FolderSummary | None) -> dict[str, object] | None:
    if summary is None:
        return None
    return {
        "selected": summary.selected,
        "excluded": summary.excluded,
        "complete": summary.complete,
        "failed": summary.failed,
    }


def _folder_to_wire(folder: FolderStatus) -> dict[str, object]:
    return _known(
        {
            "name": _cut(folder.name, MAX_NAME),
            "uidValidity": folder.uid_validity,
            "lastUID": folder.last_uid,
            "server": folder.server,
            "archived": folder.archived,
            "pending": folder.pending or None,
            "quarantined": folder.quarantined or None,
            "lastSyncTime": time_to_wire(folder.last_sync_time),
            "error": _cut(folder.error, MAX_TEXT) or None,
            "quarantinedUids": list(folder.quarantined_uids[:MAX_QUARANTINED_UIDS]) or None,
        }
    )


def _condition_to_wire(condition: Condition) -> dict[str, object]:
    return {
        "type": condition.type.value,
        "status": condition.status.value,
        "observedGeneration": max(0, condition.observed_generation),
        "lastTransitionTime": time_to_wire(condition.last_transition_time),
        "reason": condition.reason.value,
        "message": _cut(condition.message, MAX_TEXT),
    }


def _known(document: dict[str, object | None]) -> dict[str, object]:
    return {key: value for key, value in document.items() if value is not None}


def _at_least_0(number: int | None) -> int | None:
    return None if number is None else max(0, number)  # a clock that was set back must not cost the whole status


def _cut(text: str | None, most: int) -> str | None:
    if text is None:
        return None
    text = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate is no JSON text (RFC 8259 §8.1)
    return text if len(text) <= most else text[: most - 1] + "…"


# --- from JSON -------------------------------------------------------------------------------------------------------


def _messages_from_wire(value: object) -> MessagesStatus | None:
    if not isinstance(value, Mapping):
        return None
    return MessagesStatus(
        server=_number(value.get("server")),
        archived=_number(value.get("archived")),
        pending=_number(value.get("pending")),
        quarantined=_number(value.get("quarantined")),
        added_last_run=_number(value.get("addedLastRun")),
    )


def _summary_from_wire(value: object) -> FolderSummary | None:
    if not isinstance(value, Mapping):
        return None
    return FolderSummary(
        selected=_number(value.get("selected")),
        excluded=_number(value.get("excluded")),
        complete=_number(value.get("complete")),
        failed=_number(value.get("failed")),
    )


def _folders_from_wire(value: object) -> tuple[FolderStatus, ...]:
    return tuple(_folder_from_wire(each) for each in _objects(value)[:MAX_FOLDERS] if isinstance(each.get("name"), str))


def _folder_from_wire(value: Mapping[str, object]) -> FolderStatus:
    uids = value.get("quarantinedUids")
    numbers = [_number(each, high=MAX_UID) for each in uids] if isinstance(uids, list) else []
    return FolderStatus(
        name=_text(value.get("name"), MAX_NAME) or "",
        uid_validity=_number(value.get("uidValidity"), high=MAX_UID),
        last_uid=_number(value.get("lastUID"), high=MAX_UID),
        server=_number(value.get("server")),
        archived=_number(value.get("archived")),
        pending=_number(value.get("pending")),
        quarantined=_number(value.get("quarantined")),
        last_sync_time=time_from_wire(value.get("lastSyncTime")),
        error=_text(value.get("error"), MAX_TEXT),
        quarantined_uids=tuple(number for number in numbers if number)[:MAX_QUARANTINED_UIDS],
    )


def _conditions_from_wire(value: object) -> tuple[Condition, ...]:
    read = (_condition_from_wire(each) for each in _objects(value))
    by_type = {each.type: each for each in read if each is not None}
    return tuple(by_type.values())


def _condition_from_wire(value: Mapping[str, object]) -> Condition | None:
    kind = _word(ConditionType, value.get("type"))
    status = _word(ConditionStatus, value.get("status"))
    reason = _word(Reason, value.get("reason"))
    since = time_from_wire(value.get("lastTransitionTime"))
    if kind is None or status is None or reason is None or since is None:
        return None
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=_text(value.get("message"), MAX_TEXT) or "",
        last_transition_time=since,
        observed_generation=_number(value.get("observedGeneration")),
    )


def _objects(value: object) -> list[Mapping[str, object]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _word(kind: type[Word], value: object) -> Word | None:
    return next((each for each in kind if each.value == value), None)


def _text(value: object, most: int) -> str | None:
    return _cut(value, most) if isinstance(value, str) else None


def _optional_number(value: object, *, low: int = 0, high: int = MAX_COUNT) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if low <= value <= high else None


def _number(value: object, *, low: int = 0, high: int = MAX_COUNT, otherwise: int = 0) -> int:
    number = _optional_number(value, low=low, high=high)
    return otherwise if number is None else number
