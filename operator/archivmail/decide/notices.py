"""Which Events a change of status is worth: transitions only, except that every UIDVALIDITY reset is told."""

from archivmail.decide.conditions import MAX_ALERTS
from archivmail.model.notices import Notice, Severity
from archivmail.model.outcome import AccountOutcome, FolderOutcome
from archivmail.model.reasons import Reason
from archivmail.model.status import AccountStatus, Condition, ConditionStatus, ConditionType

MAX_RESETS = 100
WARN_WHILE_TRUE = (ConditionType.FOLDERS_DEGRADED, ConditionType.LIMITED_VIEW)


def notices(before: AccountStatus, after: AccountStatus, outcome: AccountOutcome | None) -> list[Notice]:
    """Events for one step from `before` to `after`."""
    told = [_reset(folder) for folder in (outcome.folders if outcome else ()) if folder.reset_from is not None]
    told = told[:MAX_RESETS]
    told += _alerts(before, outcome) if outcome else []
    ready = _ready(before.condition(ConditionType.READY), after.condition(ConditionType.READY))
    complete = []
    if outcome is None or outcome.failure is None or outcome.failure.reason is not Reason.GAVE_WAY:
        complete = _complete(before.condition(ConditionType.COMPLETE), after.condition(ConditionType.COMPLETE))
    told += _good_news(ready, complete) or [*ready, *complete]
    for kind in WARN_WHILE_TRUE:
        now_true = after.condition(kind)
        if now_true is not None and before.condition(kind) is None:
            told.append(Notice(Severity.WARNING, now_true.reason, now_true.message))
    return told


def _good_news(ready: list[Notice], complete: list[Notice]) -> list[Notice]:
    """One Event for both: with each new account there would be two, and thousands of accounts may be new at once."""
    both = [*ready, *complete]
    if len(both) < 2 or any(each.severity is Severity.WARNING for each in both):
        return []
    return [Notice(Severity.NORMAL, ready[0].reason, " ".join(each.text for each in both))]


def _reset(folder: FolderOutcome) -> Notice:
    text = (
        f"Folder {folder.display!r}: UIDVALIDITY changed from {folder.reset_from} to {folder.uid_validity}; "
        "every message was compared again by content, nothing archived was removed."
    )
    return Notice(Severity.WARNING, Reason.UID_VALIDITY_CHANGED, text)


def _alerts(before: AccountStatus, outcome: AccountOutcome) -> list[Notice]:
    """What the server wants people to see, once: it stays in the message of Ready while the server repeats it."""
    shown = " ".join(condition.message for condition in before.conditions)
    fresh = [alert for alert in outcome.alerts if alert not in shown]
    texts = [f"The server asks to show this: {alert}" for alert in fresh[:MAX_ALERTS]]
    return [Notice(Severity.WARNING, Reason.SERVER_ALERT, text) for text in texts]


def _ready(before: Condition | None, after: Condition | None) -> list[Notice]:
    if after is None or (before is not None and (before.status, before.reason) == (after.status, after.reason)):
        return []
    if after.status is ConditionStatus.FALSE:
        return [Notice(Severity.WARNING, after.reason, after.message)]
    was_ready = before is not None and before.status is ConditionStatus.TRUE
    if after.status is ConditionStatus.TRUE and not was_ready:
        return [Notice(Severity.NORMAL, after.reason, after.message)]
    return []


def _complete(before: Condition | None, after: Condition | None) -> list[Notice]:
    if after is None or (before is not None and before.status is after.status):
        return []
    if after.status is ConditionStatus.TRUE:
        return [Notice(Severity.NORMAL, after.reason, after.message)]
    if after.status is ConditionStatus.FALSE:
        return [Notice(Severity.WARNING, after.reason, after.message)]
    return []
