"""S12-S16: what to do with a folder, and that nothing is ever skipped."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.decide.fetching import Continue, Plan, Start, StartOver, UpToDate, plan, to_do
from archivmail.decide.retrying import ledger_entry
from archivmail.model.account import Origin
from archivmail.model.folder import Epoch, FolderName, FolderState, LedgerEntry, Snapshot
from archivmail.model.reasons import Reason
from archivmail.model.uidset import Uid, UidSet, UidValidity

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
ORIGIN = Origin("imap.example.org", 993, "alice")
EPOCH = Epoch(1, FolderName(b"INBOX"), ORIGIN, UidValidity(7), 1)
SNAPSHOT = Snapshot(UidValidity(7), Uid(11), 10)
STATE = FolderState(
    epoch=EPOCH,
    uid_next=Uid(11),
    messages=10,
    last_uid=Uid(10),
    server=10,
    archived=10,
    pending=0,
    quarantined=0,
    passed_at=NOW - timedelta(minutes=10),
    compared_at=NOW - timedelta(minutes=10),
    complete=True,
)


def planned(snapshot: Snapshot = SNAPSHOT, state: FolderState | None = STATE, **changes: object) -> Plan:
    arguments: dict[str, object] = {"origin": ORIGIN, "epoch": EPOCH, "has_ledger": False, "now": NOW, **changes}
    return plan(snapshot, state=state, **arguments)  # type: ignore[arg-type] - a table of odd inputs


def test_unchanged_folder_is_up_to_date() -> None:
    """S17, trap 30: equal UIDVALIDITY, UIDNEXT and MESSAGES since a complete pass, ledger empty."""
    assert UpToDate(STATE) == planned()


@pytest.mark.parametrize(
    ("snapshot", "state", "changes"),
    [
        pytest.param(replace(SNAPSHOT, uid_next=Uid(12)), STATE, {}, id="uidnext-grew"),
        pytest.param(SNAPSHOT, replace(STATE, uid_next=Uid(99)), {}, id="uidnext-fell-to-what-is-there (trap 5)"),
        pytest.param(replace(SNAPSHOT, uid_next=Uid(9)), replace(STATE, uid_next=Uid(9)), {}, id="always-too-low"),
        pytest.param(replace(SNAPSHOT, messages=9), STATE, {}, id="messages-changed"),
        pytest.param(replace(SNAPSHOT, uid_next=None), STATE, {}, id="server-gives-no-uidnext (trap 27)"),
        pytest.param(replace(SNAPSHOT, limited=True), STATE, {}, id="limited-view (trap 31)"),
        pytest.param(SNAPSHOT, replace(STATE, complete=False), {}, id="last-pass-incomplete"),
        pytest.param(SNAPSHOT, STATE, {"has_ledger": True}, id="ledger-not-empty"),
        pytest.param(SNAPSHOT, None, {}, id="state-lost"),
        pytest.param(SNAPSHOT, replace(STATE, epoch=replace(EPOCH, id=9)), {}, id="state-of-another-epoch"),
        pytest.param(SNAPSHOT, STATE, {"now": NOW + timedelta(hours=24)}, id="daily-comparison-due (trap 13)"),
    ],
)
def test_folder_is_compared_when_anything_may_have_changed(
    snapshot: Snapshot, state: FolderState | None, changes: dict[str, object]
) -> None:
    """Marks only save work; any doubt leads to a comparison of all UIDs."""
    assert Continue(EPOCH) == planned(snapshot, state, **changes)


def test_full_comparison_is_not_due_a_second_before_the_day_is_over() -> None:
    """The other half of the boundary pair."""
    almost = NOW - timedelta(minutes=10) + timedelta(days=1, seconds=-1)

    assert UpToDate(STATE) == planned(now=almost)


def test_folder_starts_over_when_uidvalidity_changes() -> None:
    """S14, trap 7."""
    assert StartOver(Start.VALIDITY_CHANGED, UidValidity(8), UidValidity(7)) == planned(
        replace(SNAPSHOT, uid_validity=UidValidity(8))
    )


@pytest.mark.parametrize("uid_next", [1, 9, 10])
def test_folder_starts_over_when_uids_are_given_a_second_time(uid_next: int) -> None:
    """Trap 6: UIDNEXT fell below UIDs that were listed, with an equal UIDVALIDITY: contents are compared."""
    assert StartOver(Start.UIDS_REUSED, UidValidity(7)) == planned(replace(SNAPSHOT, uid_next=Uid(uid_next)))


def test_folder_starts_over_for_another_origin_even_with_equal_uidvalidity() -> None:
    """Design §4: another host, port or user starts over."""
    other = Origin("imap.example.net", 993, "alice")

    assert StartOver(Start.OTHER_ORIGIN, UidValidity(7)) == planned(origin=other)


def test_unknown_uidvalidity_keeps_what_is_stored() -> None:
    """S13, trap 9: the stored value is named as the one before, and is not a change."""
    assert StartOver(Start.VALIDITY_UNKNOWN, UidValidity(0), UidValidity(7)) == planned(
        replace(SNAPSHOT, uid_validity=None)
    )


def test_first_sight_of_a_folder_starts_over() -> None:
    """S16."""
    assert StartOver(Start.FIRST, UidValidity(7)) == planned(state=None, epoch=None)


uids = st.sets(st.integers(1, 40)).map(UidSet.of)


@given(listed=uids, held=uids, failed=st.sets(st.integers(1, 40)), due=st.sets(st.integers(1, 40)))
def test_work_covers_exactly_what_the_server_lists_and_we_lack(
    listed: UidSet, held: UidSet, failed: set[int], due: set[int]
) -> None:
    """Invariant 1: fresh, retries and waiting are disjoint and together are listed minus held."""
    ledger = [
        LedgerEntry(Uid(uid), 1, Reason.MESSAGE_REFUSED, "", NOW if uid in due else NOW + timedelta(seconds=1))
        for uid in failed
    ]

    work = to_do(listed, held, ledger, now=NOW)

    parts = (work.fresh, work.retries, work.waiting)
    assert listed - held == work.fresh | work.retries | work.waiting
    assert len(listed - held) == sum(len(part) for part in parts)
    assert not work.gone & listed
    assert all(uid in failed & due for uid in work.retries)


@given(listed=uids, held=uids, failed=st.sets(st.integers(1, 40)))
def test_forced_work_waits_for_nothing(listed: UidSet, held: UidSet, failed: set[int]) -> None:
    """A request tries every ledger entry again, quarantined ones too."""
    ledger = [
        LedgerEntry(Uid(uid), 9, Reason.MESSAGE_REFUSED, "", NOW + timedelta(days=1), quarantined=True)
        for uid in failed
    ]

    work = to_do(listed, held, ledger, now=NOW, is_forced=True)

    assert UidSet() == work.waiting
    assert listed - held == work.fresh | work.retries


def test_message_is_quarantined_after_three_quick_retries() -> None:
    """Attempts 1 to 3 wait 1 s, 60 s and 300 s; the fourth puts it into quarantine for a day."""
    entry: LedgerEntry | None = None
    waits = []
    for _ in range(5):
        entry = ledger_entry(entry, Uid(4), Reason.MESSAGE_REFUSED, "x" * 999, NOW)
        waits.append((entry.next_try - NOW, entry.quarantined))

    day = timedelta(days=1)
    quick = [timedelta(seconds=1), timedelta(seconds=60), timedelta(seconds=300)]
    assert [*((each, False) for each in quick), (day, True), (day, True)] == waits
    assert entry is not None
    assert 300 == len(entry.error)
