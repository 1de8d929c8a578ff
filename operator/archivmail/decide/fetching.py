"""Choose what to do with one folder. Knows RFC 9051 §2.3.1.1 (UIDs); knows no network, clock or archive.

What counts as new is always a set difference (what the server lists minus what this epoch holds), never a high-water
mark. The marks in FolderState only save work: they let a folder be skipped when nothing can have changed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from archivmail.model.account import Origin
from archivmail.model.folder import Epoch, FolderState, LedgerEntry, Snapshot
from archivmail.model.uidset import UidSet, UidValidity

FULL_COMPARISON_EVERY = timedelta(days=1)  # heals holes that no mark shows (a UID that became visible late)
UNKNOWN_VALIDITY = UidValidity(0)


class Start(StrEnum):
    """Why a folder is started over."""

    FIRST = "first"
    OTHER_ORIGIN = "other-origin"
    VALIDITY_CHANGED = "validity-changed"
    VALIDITY_UNKNOWN = "validity-unknown"
    UIDS_REUSED = "uids-reused"


@dataclass(frozen=True, slots=True)
class UpToDate:
    """Nothing can have changed since the last complete pass."""

    state: FolderState


@dataclass(frozen=True, slots=True)
class Continue:
    """Compare with what the epoch holds."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class StartOver:
    """Compare with nothing: begin a new epoch. `before` is the UIDVALIDITY that was in force, if any."""

    why: Start
    uid_validity: UidValidity
    before: UidValidity | None = None


Plan = UpToDate | Continue | StartOver


def plan(
    snapshot: Snapshot,
    *,
    origin: Origin,
    epoch: Epoch | None,
    state: FolderState | None,
    has_ledger: bool,
    now: datetime,
) -> Plan:
    """First rule that applies wins."""
    if snapshot.uid_validity is None:
        # S13: UIDs mean nothing now; what is stored stays, contents are compared instead.
        return StartOver(Start.VALIDITY_UNKNOWN, UNKNOWN_VALIDITY, epoch.uid_validity if epoch else None)
    if epoch is None:
        return StartOver(Start.FIRST, snapshot.uid_validity)
    if epoch.origin != origin:
        return StartOver(Start.OTHER_ORIGIN, snapshot.uid_validity)
    if epoch.uid_validity != snapshot.uid_validity:
        return StartOver(Start.VALIDITY_CHANGED, snapshot.uid_validity, epoch.uid_validity)
    if state is not None and state.epoch == epoch and _reuses_uids(snapshot, state):
        return StartOver(Start.UIDS_REUSED, snapshot.uid_validity)
    if state is not None and not has_ledger and _nothing_changed(snapshot, state, epoch, now):
        return UpToDate(state)
    return Continue(epoch)


def _reuses_uids(snapshot: Snapshot, state: FolderState) -> bool:
    """Did the server take back UIDs that it gave to messages (trap 6)? They may mean other messages by now.

    UIDNEXT alone may fall back to what is really there, where it ran ahead (trap 5); only one that fell below a UID
    that the server had listed breaks RFC 9051 §2.3.1.1. A server that always counts so is not started over each time.
    """
    if snapshot.uid_next is None or state.uid_next is None:
        return False
    return snapshot.uid_next < state.uid_next and snapshot.uid_next <= state.last_uid


def _nothing_changed(snapshot: Snapshot, state: FolderState, epoch: Epoch, now: datetime) -> bool:
    return (
        state.complete
        and not snapshot.limited
        and state.epoch == epoch
        and state.uid_next is not None
        and state.uid_next > state.last_uid  # below, it is no mark of anything
        and state.uid_next == snapshot.uid_next
        and state.messages == snapshot.messages
        and state.compared_at is not None
        and now - state.compared_at < FULL_COMPARISON_EVERY
    )


@dataclass(frozen=True, slots=True)
class ToDo:
    """The work left in a folder. The four sets do not overlap and make up what the server lists and we lack."""

    fresh: UidSet
    """Never tried."""
    retries: UidSet
    """In the ledger and due."""
    waiting: UidSet
    """In the ledger and not due yet."""
    gone: UidSet
    """In the ledger but no longer on the server."""
    proofs: UidSet
    """Archived, but put together from parts: the server may give them whole now. Besides the four."""


def to_do(
    listed: UidSet,
    held: UidSet,
    ledger: Iterable[LedgerEntry],
    *,
    now: datetime,
    is_forced: bool = False,
    assembled: UidSet = UidSet(),  # noqa: B008 - immutable
) -> ToDo:
    """What to fetch. A forced run tries every ledger entry again, quarantined ones too."""
    entries = tuple(ledger)
    named = UidSet.of(entry.uid for entry in entries)
    failed = named - held
    not_yet = UidSet.of(entry.uid for entry in entries if not is_forced and entry.next_try > now)
    due = (failed & listed) - not_yet
    return ToDo(
        fresh=listed - held - failed,
        retries=due,
        waiting=(failed & listed) - due,
        gone=named - listed,
        proofs=(assembled & held & listed) - not_yet,
    )
