"""The next `.status` of an account from the last one and what happened. Knows values; knows no API server."""

from dataclasses import replace
from datetime import datetime, timedelta

from archivmail.decide import conditions
from archivmail.decide.due import Trigger
from archivmail.decide.retrying import after_interval, next_attempt
from archivmail.decide.spreading import Spread, whole_second
from archivmail.model.account import AccountSpec
from archivmail.model.outcome import AccountOutcome, Failure, FolderOutcome, Result
from archivmail.model.reasons import Reason
from archivmail.model.status import (
    AccountStatus,
    ConditionStatus,
    ConditionType,
    FolderStatus,
    FolderSummary,
    MessagesStatus,
)

MAX_FOLDERS = 100
MAX_QUARANTINED_UIDS = 20
ON_REQUEST_TEXT = "Runs only on request: set the annotation archivmail.io/requestedAt to a new value."
SUSPENDED_TEXT = "No run has ended yet, and none begins while spec.suspend is true."
SOON = timedelta(seconds=1)
START_TEXT = {
    Trigger.FIRST: "The first run goes on.",
    Trigger.GENERATION: "A run with the changed spec goes on.",
    Trigger.REQUEST: "A requested run goes on.",
    Trigger.SECRET: "A run with the changed Secret goes on.",
}


def begin(previous: AccountStatus, *, generation: int, trigger: Trigger, now: datetime) -> AccountStatus:
    """A run starts. `next_sync_time` stays: after a crash the run is due at once."""
    claims = conditions.at_start(
        previous.conditions, is_asked_for=trigger.is_asked_for, text=START_TEXT.get(trigger, "A run goes on.")
    )
    return replace(
        previous,
        observed_generation=generation,
        last_attempt_time=now,
        conditions=conditions.merge(previous.conditions, claims, generation=generation, now=now),
    )


def acknowledge(previous: AccountStatus, *, generation: int, is_suspended: bool, now: datetime) -> AccountStatus:
    """The spec was read and asks for no run (suspended, or interval 0s), so nothing goes on and nothing is planned."""
    text = SUSPENDED_TEXT if is_suspended else ON_REQUEST_TEXT
    claims = [
        conditions.Claim(kind, ConditionStatus.UNKNOWN, Reason.NEVER_SYNCED, text)
        for kind in (ConditionType.READY, ConditionType.COMPLETE)
        if previous.condition(kind) is None
    ]
    kept = conditions.observed(previous.conditions, generation)
    return replace(
        previous,
        observed_generation=generation,
        next_sync_time=None,
        conditions=conditions.merge(kept, claims, cleared=[ConditionType.RECONCILING], generation=generation, now=now),
    )


def finish(
    previous: AccountStatus,
    outcome: AccountOutcome,
    *,
    spec: AccountSpec,
    generation: int,
    requested_at: str | None,
    now: datetime,
    spread: Spread,
) -> AccountStatus:
    """A run ended, in whatever way."""
    if _is_for(outcome, Reason.RUN_IN_PROGRESS):
        # Another process archives this account; its result counts, not ours. The request stays open.
        return replace(previous, next_sync_time=_next_time(previous, outcome, spec, now, spread))
    if _is_for(outcome, Reason.GAVE_WAY):
        return _between_turns(previous, outcome, generation=generation, now=now)
    is_interrupted = outcome.result is Result.INTERRUPTED
    status = replace(
        _with_folders(previous, outcome),
        observed_generation=generation,
        last_result=outcome.result,
        last_sync_duration_seconds=round((outcome.ended_at - outcome.started_at).total_seconds()),
        observed_secret_version=outcome.secret_version or previous.observed_secret_version,
        last_handled_reconcile_at=_handled(previous, requested_at, outcome),
        consecutive_failures=_failures(previous, outcome),
        last_sync_time=outcome.ended_at if outcome.result is Result.SUCCEEDED else previous.last_sync_time,
    )
    next_time = _next_time(status, outcome, spec, now, spread)
    verdicts = [conditions.of_folders(outcome)]
    if outcome.failure is not None and not is_interrupted:
        failures = status.consecutive_failures
        verdicts.append(
            conditions.after_failure(
                outcome.failure, failures=failures, previous=previous.conditions, next_at=next_time
            )
        )
    elif not is_interrupted:
        verdicts.append(conditions.after_session(outcome))
    complete = conditions.completeness(outcome)
    claims = [claim for verdict in verdicts for claim in verdict.claims] + ([complete] if complete else [])
    cleared = [kind for verdict in verdicts for kind in verdict.cleared]
    kept = conditions.observed(previous.conditions, generation)
    return replace(
        status,
        next_sync_time=next_time,
        conditions=conditions.merge(kept, claims, cleared=cleared, generation=generation, now=now),
    )


def refuse(
    previous: AccountStatus,
    failure: Failure,
    *,
    generation: int,
    requested_at: str | None,
    spec: AccountSpec | None,
    now: datetime,
    spread: Spread,
) -> AccountStatus:
    """No session was tried: the Secret is missing or the spec cannot be used."""
    failures = previous.consecutive_failures + 1
    verdict = conditions.after_failure(failure, failures=failures, previous=previous.conditions)
    claims = [*conditions.at_start(previous.conditions, is_asked_for=False, text=""), *verdict.claims]
    interval = spec.interval if spec else timedelta(0)
    kept = conditions.observed(previous.conditions, generation)
    return replace(
        previous,
        observed_generation=generation,
        last_attempt_time=now,
        last_result=Result.FAILED,
        consecutive_failures=failures,
        last_handled_reconcile_at=requested_at or previous.last_handled_reconcile_at,
        next_sync_time=next_attempt(failure, failures=failures, interval=interval, now=now, spread=spread),
        conditions=conditions.merge(kept, claims, cleared=verdict.cleared, generation=generation, now=now),
    )


def _between_turns(
    previous: AccountStatus, outcome: AccountOutcome, *, generation: int, now: datetime
) -> AccountStatus:
    """The run gave its slot to others and is due at once. It is not over: only what it found so far is shown."""
    verdict, complete = conditions.of_folders(outcome), conditions.completeness(outcome)
    claims = [*verdict.claims, *([complete] if complete else [])]
    kept = conditions.observed(previous.conditions, generation)
    return replace(
        _with_folders(previous, outcome),
        observed_generation=generation,
        observed_secret_version=outcome.secret_version or previous.observed_secret_version,
        next_sync_time=now.replace(microsecond=0),
        conditions=conditions.merge(kept, claims, cleared=verdict.cleared, generation=generation, now=now),
    )


def _with_folders(previous: AccountStatus, outcome: AccountOutcome) -> AccountStatus:
    if not outcome.folders:
        return previous
    ranked = sorted(outcome.folders, key=_rank)
    return replace(
        previous,
        messages=_messages(outcome.folders, outcome.added),
        folder_summary=FolderSummary(
            selected=outcome.selected,
            excluded=outcome.excluded,
            complete=sum(folder.complete for folder in outcome.folders),
            failed=sum(folder.failure is not None for folder in outcome.folders),
        ),
        folders=tuple(_folder_status(folder) for folder in ranked[:MAX_FOLDERS]),
        folders_truncated=len(ranked) > MAX_FOLDERS,
    )


def _rank(folder: FolderOutcome) -> tuple[bool, float, str]:
    """Failing and reset folders first, then the most recent."""
    needs_eyes = folder.failure is not None or folder.reset_from is not None or folder.counts.quarantined > 0
    return (not needs_eyes, -(folder.passed_at.timestamp() if folder.passed_at else 0.0), folder.display)


def _messages(folders: tuple[FolderOutcome, ...], added: int) -> MessagesStatus:
    return MessagesStatus(
        server=sum(folder.counts.server for folder in folders),
        archived=sum(folder.counts.archived for folder in folders),
        pending=sum(folder.counts.pending for folder in folders),
        quarantined=sum(folder.counts.quarantined for folder in folders),
        added_last_run=added,
    )


def _folder_status(folder: FolderOutcome) -> FolderStatus:
    return FolderStatus(
        name=folder.display,
        uid_validity=folder.uid_validity or 0,
        last_uid=folder.last_uid,
        server=folder.counts.server,
        archived=folder.counts.archived,
        pending=folder.counts.pending,
        quarantined=folder.counts.quarantined,
        last_sync_time=folder.passed_at,
        error=folder.failure.text if folder.failure else folder.note,
        quarantined_uids=tuple(each.uid for each in folder.quarantined[:MAX_QUARANTINED_UIDS]),
    )


def _failures(previous: AccountStatus, outcome: AccountOutcome) -> int:
    if outcome.result is Result.INTERRUPTED:
        return previous.consecutive_failures
    return previous.consecutive_failures + 1 if outcome.failure is not None else 0


def _handled(previous: AccountStatus, requested_at: str | None, outcome: AccountOutcome) -> str | None:
    # S4: a run that was told to stop did not answer the request; one that ran out of time did what it could.
    is_cut_short = outcome.result is Result.INTERRUPTED and not _is_timeout(outcome)
    return previous.last_handled_reconcile_at if is_cut_short or not requested_at else requested_at


def _is_timeout(outcome: AccountOutcome) -> bool:
    return _is_for(outcome, Reason.TIMED_OUT)


def _is_for(outcome: AccountOutcome, reason: Reason) -> bool:
    return outcome.failure is not None and outcome.failure.reason is reason


def _next_time(
    status: AccountStatus, outcome: AccountOutcome, spec: AccountSpec, now: datetime, spread: Spread
) -> datetime | None:
    if outcome.result is Result.INTERRUPTED:
        if not _is_timeout(outcome):
            return status.next_sync_time
        # A first sync longer than the timeout goes on at once as long as it gets somewhere.
        return whole_second(now + SOON) if outcome.added else after_interval(spec.interval, now, spread)
    if outcome.failure is not None:
        failures = status.consecutive_failures
        return next_attempt(outcome.failure, failures=max(1, failures), interval=spec.interval, now=now, spread=spread)
    return after_interval(spec.interval, now, spread)
