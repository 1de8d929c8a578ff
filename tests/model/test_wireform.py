"""The JSON of `.status`."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.model import wireform
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
from archivmail.model.wireform import from_wire, time_from_wire, to_wire
from tests.model.statuses import statuses

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)

FULL = AccountStatus(
    observed_generation=3,
    last_handled_reconcile_at="2026-11-20T10:00:00Z",
    observed_secret_version="48211",
    last_attempt_time=NOON,
    last_sync_time=NOON,
    next_sync_time=NOON + timedelta(minutes=10),
    last_sync_duration_seconds=42,
    last_result=Result.PARTIAL,
    consecutive_failures=0,
    messages=MessagesStatus(server=184223, archived=184220, pending=0, quarantined=3, added_last_run=17),
    folder_summary=FolderSummary(selected=412, excluded=6, complete=411, failed=1),
    folders=(
        FolderStatus("INBOX", 1699999999, 20411, 20400, 20400, last_sync_time=NOON),
        FolderStatus("受信箱", 5, 9, 4, 1, 0, 3, None, "the server refused 3 messages", (2, 5, 8)),
    ),
    folders_truncated=True,
    conditions=(Condition(ConditionType.READY, ConditionStatus.TRUE, Reason.SUCCEEDED, "Done.", NOON, 3),),
)


def test_the_names_are_those_of_the_public_interface():
    """design §3.1, to the letter."""
    assert to_wire(FULL) == {
        "observedGeneration": 3,
        "lastHandledReconcileAt": "2026-11-20T10:00:00Z",
        "observedSecretVersion": "48211",
        "lastAttemptTime": "2026-11-20T12:00:00Z",
        "lastSyncTime": "2026-11-20T12:00:00Z",
        "nextSyncTime": "2026-11-20T12:10:00Z",
        "lastSyncDurationSeconds": 42,
        "lastResult": "Partial",
        "consecutiveFailures": 0,
        "messages": {"server": 184223, "archived": 184220, "pending": 0, "quarantined": 3, "addedLastRun": 17},
        "folderSummary": {"selected": 412, "excluded": 6, "complete": 411, "failed": 1},
        "folders": [
            {
                "name": "INBOX",
                "uidValidity": 1699999999,
                "lastUID": 20411,
                "server": 20400,
                "archived": 20400,
                "lastSyncTime": "2026-11-20T12:00:00Z",
            },
            {
                "name": "受信箱",
                "uidValidity": 5,
                "lastUID": 9,
                "server": 4,
                "archived": 1,
                "quarantined": 3,
                "error": "the server refused 3 messages",
                "quarantinedUids": [2, 5, 8],
            },
        ],
        "foldersTruncated": True,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "observedGeneration": 3,
                "lastTransitionTime": "2026-11-20T12:00:00Z",
                "reason": "Succeeded",
                "message": "Done.",
            }
        ],
    }


def test_a_new_account_says_only_that_nothing_was_observed():
    """Nothing is invented for an account without a run."""
    assert to_wire(AccountStatus()) == {"observedGeneration": -1, "consecutiveFailures": 0, "conditions": []}


@given(statuses())
def test_a_status_survives_the_wire(status):
    """from_wire(to_wire(x)) == x, through JSON text, for every status within the bounds."""
    assert from_wire(json.loads(json.dumps(to_wire(status)))) == status


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40) | st.just("2026-13-99T99:99:99Z"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(sorted(to_wire(FULL))) | st.text(max_size=5), JSON))
def test_garbage_is_read_as_a_status_that_can_be_written(document):
    """Whoever edited `.status` by hand, the operator goes on and what it writes can be read again."""
    status = from_wire(document)
    assert from_wire(to_wire(status)) == status


@pytest.mark.slow
@pytest.mark.parametrize("part", ["messages", "folderSummary", "folders", "conditions"])
@given(data=st.data())
def test_garbage_inside_a_part_is_left_out(part, data):
    """As above, one level deeper: known keys with values of any kind."""
    example = to_wire(FULL)[part]
    keys = sorted(example[0] if isinstance(example, list) else example)
    inner = st.dictionaries(st.sampled_from(keys), JSON, min_size=1)
    document = data.draw(st.lists(inner, max_size=3) if isinstance(example, list) else inner)
    status = from_wire({part: document})
    assert from_wire(to_wire(status)) == status


def test_a_broken_part_costs_only_itself():
    """The good neighbours of a broken condition and a broken number stay."""
    document = to_wire(FULL)
    document["conditions"] = [{"type": "Ready", "status": "Perhaps"}, *document["conditions"], "nonsense"]
    document["consecutiveFailures"] = "many"
    document["aNewField"] = {"of": "a newer version"}
    assert from_wire(document) == FULL


@pytest.mark.parametrize(
    ("text", "time"),
    [
        pytest.param("2026-11-20T12:00:00Z", NOON, id="zulu"),
        pytest.param("2026-11-20T13:00:00+01:00", NOON, id="offset"),
        pytest.param("2026-11-20T12:00:00.250Z", NOON + timedelta(milliseconds=250), id="fraction"),
        pytest.param("2026-11-20T12:00:00", None, id="no-zone"),
        pytest.param("2026-11-20", None, id="date-only"),
        pytest.param("2026-W47-5T12:00:00Z", None, id="week-date"),
        pytest.param("0001-01-01T00:00:00+23:59", None, id="before-the-first-year"),
        pytest.param(1763640000, None, id="number"),
    ],
)
def test_times_are_rfc_3339(text, time):
    """Only what metav1.Time may hold is a time."""
    assert time_from_wire(text) == time


def test_times_are_written_in_utc_to_the_second():
    """Kubernetes has no finer times; another zone is converted, not relabelled."""
    local = NOON.astimezone(timezone(timedelta(hours=9))).replace(microsecond=999_999)
    assert to_wire(replace(FULL, last_sync_time=local))["lastSyncTime"] == "2026-11-20T12:00:00Z"


def test_what_is_too_long_for_the_crd_is_cut():
    """One long folder name must not make the API server refuse the whole status."""
    folder = FolderStatus("n" * 5000, error="e" * 5000, quarantined_uids=tuple(range(1, 100)))
    document = to_wire(replace(FULL, folders=(folder,) * 150, folders_truncated=False))
    assert len(document["folders"]) == wireform.MAX_FOLDERS
    assert document["foldersTruncated"] is True
    assert len(document["folders"][0]["name"]) == wireform.MAX_NAME
    assert document["folders"][0]["name"].endswith("…")
    assert len(document["folders"][0]["error"]) == wireform.MAX_TEXT
    assert len(document["folders"][0]["quarantinedUids"]) == wireform.MAX_QUARANTINED_UIDS


def test_text_that_is_no_unicode_can_be_written():
    """A lone surrogate has no UTF-8 form; the document stays JSON."""
    document = to_wire(replace(FULL, folders=(FolderStatus("a\udc80b"),)))
    assert json.dumps(document, ensure_ascii=False).encode("utf-8")
