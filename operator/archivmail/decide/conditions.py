"""Conditions of an account, as kstatus and `kubectl wait` read them. Knows outcomes; knows no Kubernetes client.

The table is that of operator-facts §2.2: Ready and Complete always stand; the others only while they are True.
`lastTransitionTime` moves only when a status flips (Kubernetes API conventions, "Typical status properties").
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from archivmail.decide.wording import fit_for_people
from archivmail.model.outcome import AccountOutcome, Failure, Result
from archivmail.model.reasons import Reason
from archivmail.model.status import Condition, ConditionStatus, ConditionType

READY_FALSE_AFTER = 3
MAX_MESSAGE = 1024
MAX_ALERTS = 3
ORDER = tuple(ConditionType)
WAITING_REASONS = frozenset({Reason.QUOTA_EXCEEDED})  # it takes hours, so nobody should wonder
SECRET_REASONS = frozenset({Reason.SECRET_NOT_FOUND, Reason.SECRET_KEY_MISSING})


@dataclass(frozen=True, slots=True)
class Claim:
    """A condition without its times."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str


def merge(
    previous: Iterable[Condition],
    claims: Iterable[Claim],
    *,
    cleared: Iterable[ConditionType] = (),
    generation: int,
    now: datetime,
) -> tuple[Condition, ...]:
    """The conditions after these claims: others stay, cleared ones go, the order is fixed."""
    result = {each.type: each for each in previous if each.type not in set(cleared)}
    for claim in claims:
        before = result.get(claim.type)
        flipped = before is None or before.status is not claim.status
        result[claim.type] = Condition(
            type=claim.type,
            status=claim.status,
            reason=claim.reason,
            message=fit_for_people(claim.message)[:MAX_MESSAGE],
            last_transition_time=now if before is None or flipped else before.last_transition_time,
            observed_generation=generation,
        )
    return tuple(result[kind] for kind in ORDER if kind in result)


def observed(conditions: Iterable[Condition], generation: int) -> tuple[Condition, ...]:
    """The same conditions, seen under this generation."""
    return tuple(replace(each, observed_generation=generation) for each in conditions)


def at_start(previous: Iterable[Condition], *, is_asked_for: bool, text: str) -> list[Claim]:
    """A run begins. Periodic runs show nothing, or every tick would flip the health of a GitOps tool."""
    known = {each.type for each in previous}
    claims = []
    if ConditionType.READY not in known:
        claims.append(Claim(ConditionType.READY, ConditionStatus.UNKNOWN, Reason.PROGRESSING, "The first run goes on."))
    if ConditionType.COMPLETE not in known:
        claims.append(
            Claim(ConditionType.COMPLETE, ConditionStatus.UNKNOWN, Reason.NEVER_SYNCED, "No run has ended yet.")
        )
    if is_asked_for:
        claims.append(Claim(ConditionType.RECONCILING, ConditionStatus.TRUE, Reason.PROGRESSING, text))
    return claims


@dataclass(frozen=True, slots=True)
class Verdict:
    """Claims to set and conditions to clear."""

    claims: tuple[Claim, ...]
    cleared: tuple[ConditionType, ...] = ()


def after_failure(
    failure: Failure, *, failures: int, previous: Iterable[Condition], next_at: datetime | None = None
) -> Verdict:
    """The session failed, or never began. `next_at` is named where the server asked for the wait."""
    if next_at is not None and failure.retry_after is not None:
        failure = replace(failure, text=f"{failure.text}. The next try is at {next_at:%Y-%m-%dT%H:%M:%SZ}")
    is_reconciling = any(each.type is ConditionType.RECONCILING for each in previous)
    not_ready = Claim(ConditionType.READY, ConditionStatus.FALSE, failure.reason, failure.text)
    retrying = Claim(ConditionType.RECONCILING, ConditionStatus.TRUE, Reason.PROGRESSING_WITH_RETRY, failure.text)
    if failure.reason in SECRET_REASONS:
        # Not Stalled: the Secret may come with the same commit.
        return Verdict((not_ready, retrying), (ConditionType.STALLED,))
    if failure.needs_user:
        stalled = Claim(ConditionType.STALLED, ConditionStatus.TRUE, failure.reason, failure.text)
        return Verdict((not_ready, stalled), (ConditionType.RECONCILING,))
    claims = [retrying] if is_reconciling else []
    if failures >= READY_FALSE_AFTER or failure.reason in WAITING_REASONS:
        claims.append(not_ready)
    return Verdict(tuple(claims), (ConditionType.STALLED,))


def after_session(outcome: AccountOutcome) -> Verdict:
    """The session got through: everything, or all but named parts."""
    ready = (
        Claim(ConditionType.READY, ConditionStatus.TRUE, Reason.SUCCEEDED, _summary(outcome))
        if outcome.result is Result.SUCCEEDED
        else Claim(ConditionType.READY, ConditionStatus.TRUE, Reason.PARTIAL_SUCCESS, _summary(outcome))
    )
    return Verdict((ready,), (ConditionType.RECONCILING, ConditionType.STALLED))


def of_folders(outcome: AccountOutcome) -> Verdict:
    """Conditions that name folders: what was refused, shown in part, or counted anew."""
    claims, cleared = [], []
    failed = [folder for folder in outcome.folders if folder.failure is not None]
    limited = [folder for folder in outcome.folders if folder.limited]
    reset = [folder for folder in outcome.folders if folder.reset_from is not None]
    if failed:
        text = f"{len(failed)} of {_counted(outcome.selected, 'folder')} failed: {_names(f.display for f in failed)}. "
        text += f"The first said: {failed[0].failure.text if failed[0].failure else ''}"
        claims.append(Claim(ConditionType.FOLDERS_DEGRADED, ConditionStatus.TRUE, Reason.PARTIAL_FAILURE, text))
    elif outcome.failure is None:
        cleared.append(ConditionType.FOLDERS_DEGRADED)
    if limited:
        text = (
            f"The server shows only a part of {_names(f.display for f in limited)}; the rest cannot be archived "
            "over IMAP. Raise or remove the limit in the account's settings at the provider."
        )
        claims.append(Claim(ConditionType.LIMITED_VIEW, ConditionStatus.TRUE, Reason.LIMITED_VIEW, text))
    elif outcome.failure is None:
        cleared.append(ConditionType.LIMITED_VIEW)
    if reset:
        text = f"The server renumbered {_names(f.display for f in reset)}; every message was compared by content."
        kind = ConditionType.UID_VALIDITY_CHANGED
        claims.append(Claim(kind, ConditionStatus.TRUE, Reason.UID_VALIDITY_CHANGED, text))
    elif outcome.result is Result.SUCCEEDED:
        cleared.append(ConditionType.UID_VALIDITY_CHANGED)
    return Verdict(tuple(claims), tuple(cleared))


def completeness(outcome: AccountOutcome) -> Claim | None:
    """Complete, from what was seen; None when the run saw nothing, for then the last word still holds."""
    kind, false = ConditionType.COMPLETE, ConditionStatus.FALSE
    pending = sum(folder.counts.pending for folder in outcome.folders)
    quarantined = sum(folder.counts.quarantined for folder in outcome.folders)
    failed = [folder for folder in outcome.folders if folder.failure is not None]
    limited = [folder for folder in outcome.folders if folder.limited]
    if limited:
        return Claim(
            kind, false, Reason.LIMITED_VIEW, f"The server hides messages of {_names(f.display for f in limited)}."
        )
    if quarantined:
        named = [each for folder in outcome.folders for each in folder.quarantined]
        names = ", ".join(f"{each.folder} UID {each.uid} ({each.reason})" for each in named[:5])
        text = f"{_counted(quarantined, 'message')} could not be fetched; a new try comes daily: {names}."
        return Claim(kind, false, Reason.MESSAGES_QUARANTINED, text)
    if failed:
        return Claim(kind, false, Reason.PARTIAL_FAILURE, f"Folders that failed: {_names(f.display for f in failed)}.")
    if pending:
        return Claim(
            kind,
            false,
            Reason.MESSAGES_PENDING,
            f"Listed by the server and not archived yet: {_counted(pending, 'message')}.",
        )
    if outcome.result is not Result.SUCCEEDED:
        return None
    archived = sum(folder.counts.archived for folder in outcome.folders)
    where = _counted(outcome.selected, "folder")
    text = f"All {archived} messages that the server listed in {where} were archived at "
    return Claim(kind, ConditionStatus.TRUE, Reason.FULLY_ARCHIVED, text + f"{outcome.ended_at:%Y-%m-%dT%H:%M:%SZ}.")


def _summary(outcome: AccountOutcome) -> str:
    text = f"Archived {_counted(outcome.added, 'new message')} from {_counted(outcome.selected, 'folder')}."
    # RFC 9051 §7.1: an ALERT must be shown to people.
    return " ".join((text, *(f"The server asks to show this: {alert}" for alert in outcome.alerts[:MAX_ALERTS])))


def _names(names: Iterable[str]) -> str:
    listed = [repr(name) for name in names]
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
