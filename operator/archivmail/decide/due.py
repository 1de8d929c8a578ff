"""Decide whether an account's run is due. First rule that applies wins. Knows spec, status and `now`."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from archivmail.model.status import AccountStatus


class Trigger(StrEnum):
    """Why a run starts."""

    FIRST = "FirstSync"
    GENERATION = "NewGeneration"
    REQUEST = "Requested"
    INTERVAL = "Interval"
    RETRY = "Retry"
    SECRET = "SecretChanged"  # noqa: S105 - a trigger, not a secret

    @property
    def is_asked_for(self) -> bool:
        """A person or a GitOps tool waits for this run: it is shown as Reconciling."""
        return self in {Trigger.FIRST, Trigger.GENERATION, Trigger.REQUEST, Trigger.SECRET}


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of one ImapAccount."""

    generation: int
    suspend: bool
    interval: timedelta
    requested_at: str | None
    status: AccountStatus
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RunNow:
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class WaitUntil:
    at: datetime


@dataclass(frozen=True, slots=True)
class WaitForChange:
    """Nothing to do until the resource changes."""


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """No run, but the generation has been seen: write that to the status (suspended, or interval 0s)."""


Step = RunNow | WaitUntil | WaitForChange | Acknowledge


def next_step(observed: Observed, now: datetime) -> Step:
    """What to do with this account at `now`."""
    status = observed.status
    if observed.suspend:
        return WaitForChange() if status.observed_generation == observed.generation else Acknowledge()
    if observed.requested_at and observed.requested_at != status.last_handled_reconcile_at:
        return RunNow(Trigger.REQUEST)
    if observed.interval <= timedelta(0):  # S1: manual only
        return _manual_step(observed, now)
    if status.last_attempt_time is None:
        return RunNow(Trigger.FIRST)
    if status.observed_generation != observed.generation:
        return RunNow(Trigger.GENERATION)
    if status.next_sync_time is None:
        return RunNow(Trigger.RETRY)
    if status.next_sync_time > now:
        return WaitUntil(status.next_sync_time)
    return RunNow(Trigger.RETRY if status.consecutive_failures else Trigger.INTERVAL)


def _manual_step(observed: Observed, now: datetime) -> Step:
    status = observed.status
    if status.observed_generation != observed.generation:
        return Acknowledge()
    if status.consecutive_failures == 0 or status.next_sync_time is None:
        return WaitForChange()
    # A requested run failed: its quick retries are part of the request.
    return RunNow(Trigger.RETRY) if status.next_sync_time <= now else WaitUntil(status.next_sync_time)
