"""Statuses of any content within the bounds of the CRD, for property tests."""

from datetime import UTC, datetime

from hypothesis import strategies as st

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
from archivmail.model.wireform import MAX_QUARANTINED_UIDS, MAX_TOKEN

counts = st.integers(0, 2**63 - 1)
uids = st.integers(0, MAX_UID)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
times = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1)).map(  # noqa: DTZ001 - the zone is set beside it
    lambda time: time.replace(microsecond=0, tzinfo=UTC)
)


def optional(strategy):
    return st.none() | strategy


folders = st.builds(
    FolderStatus,
    name=words,
    uid_validity=uids,
    last_uid=uids,
    server=counts,
    archived=counts,
    pending=counts,
    quarantined=counts,
    last_sync_time=optional(times),
    error=optional(words.filter(bool)),
    quarantined_uids=st.lists(st.integers(1, MAX_UID), max_size=MAX_QUARANTINED_UIDS).map(tuple),
)
conditions = st.builds(
    Condition,
    type=st.sampled_from(ConditionType),
    status=st.sampled_from(ConditionStatus),
    reason=st.sampled_from(Reason),
    message=words,
    last_transition_time=times,
    observed_generation=counts,
)


def statuses():
    return st.builds(
        AccountStatus,
        observed_generation=st.integers(-1, 2**63 - 1),
        last_handled_reconcile_at=optional(st.text("0123456789TZ:-", max_size=MAX_TOKEN)),
        observed_secret_version=optional(words),
        last_attempt_time=optional(times),
        last_sync_time=optional(times),
        next_sync_time=optional(times),
        last_sync_duration_seconds=optional(counts),
        last_result=optional(st.sampled_from(Result)),
        consecutive_failures=counts,
        messages=optional(st.builds(MessagesStatus, counts, counts, counts, counts, counts)),
        folder_summary=optional(st.builds(FolderSummary, counts, counts, counts, counts)),
        folders=st.lists(folders, max_size=3).map(tuple),
        folders_truncated=st.booleans(),
        conditions=st.lists(conditions, max_size=4, unique_by=lambda each: each.type).map(tuple),
    )
