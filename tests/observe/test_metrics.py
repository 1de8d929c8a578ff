"""The series of design §3.3, as Prometheus reads them."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from archivmail.model.account import AccountRef
from archivmail.model.message import ContentId, Stored
from archivmail.model.outcome import AccountOutcome, Failure, MessageCounts, Result
from archivmail.model.reasons import Reason
from archivmail.observe.accounts import AccountSeries
from archivmail.observe.metrics import Metrics

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
ALICE = AccountSeries(
    ref=AccountRef("team-a", "alice"),
    is_ready=True,
    is_complete=False,
    is_suspended=False,
    created_at=NOW,
    expected_interval_s=600,
    consecutive_failures=2,
    last_success=NOW,
    last_attempt=NOW + timedelta(seconds=5),
    messages=MessageCounts(server=10, archived=7, pending=2, quarantined=1),
)
NEW = AccountSeries(AccountRef("team-b", "new"), False, False, True, NOW, 0, 0)
DOCUMENTED = {
    "build_info": {"version"},
    "account_ready": {"namespace", "name"},
    "account_complete": {"namespace", "name"},
    "account_suspended": {"namespace", "name"},
    "account_last_success_timestamp_seconds": {"namespace", "name"},
    "account_last_attempt_timestamp_seconds": {"namespace", "name"},
    "account_created_timestamp_seconds": {"namespace", "name"},
    "account_expected_interval_seconds": {"namespace", "name"},
    "account_consecutive_failures": {"namespace", "name"},
    "account_messages": {"namespace", "name", "state"},
    "syncs_total": {"result", "reason"},
    "messages_archived_total": set(),
    "messages_deduplicated_total": set(),
    "fetched_bytes_total": set(),
    "stored_bytes_total": set(),
    "sync_duration_seconds": set(),
    "sync_queue_wait_seconds": set(),
    "syncs_in_progress": set(),
    "sync_slots": set(),
    "uidvalidity_resets_total": set(),
    "imap_errors_total": {"stage", "reason"},
    "index_backlog_messages": set(),
    "lease_held": {"shard"},
    "archive_write_seconds": set(),
    "verify_last_timestamp_seconds": set(),
    "verify_damaged_messages": set(),
    "kube_requests_total": {"verb", "resource", "code"},
    "events_dropped_total": set(),
}


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.exposition()[0].decode())
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def value(metrics: Metrics, series: str, /, **labels: str) -> float | None:
    return samples(metrics).get((f"archivmail_{series}", frozenset(labels.items())))


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_the_series_are_those_of_the_design_and_no_others(metrics: Metrics) -> None:
    """Names and labels; each with a help text; no `_created`."""
    metrics.show_accounts(lambda: [ALICE])
    metrics.imap_failed("connect", Reason.CONNECTION_FAILED)
    metrics.kube_request("get", "secrets", "200")
    metrics.verified(NOW, 0)
    metrics.lease_held(2, is_held=True)

    families = list(text_string_to_metric_families(metrics.exposition()[0].decode()))
    found = {}
    for family in families:
        suffix = "_total" if family.type == "counter" else ""
        labels = {label for each in family.samples for label in each.labels} - {"le"}
        found[family.name.removeprefix("archivmail_") + suffix] = labels

    assert found == DOCUMENTED
    assert all(family.documentation for family in families)
    assert not [each for family in families for each in family.samples if each.name.endswith("_created")]


def test_an_account_shows_what_its_status_says(metrics: Metrics) -> None:
    """Timestamps, not ages."""
    metrics.show_accounts(lambda: [ALICE])
    labels = {"namespace": "team-a", "name": "alice"}

    assert 1 == value(metrics, "account_ready", **labels)
    assert 0 == value(metrics, "account_complete", **labels)
    assert 0 == value(metrics, "account_suspended", **labels)
    assert NOW.timestamp() == value(metrics, "account_last_success_timestamp_seconds", **labels)
    assert NOW.timestamp() + 5 == value(metrics, "account_last_attempt_timestamp_seconds", **labels)
    assert NOW.timestamp() == value(metrics, "account_created_timestamp_seconds", **labels)
    assert 600 == value(metrics, "account_expected_interval_seconds", **labels)
    assert 2 == value(metrics, "account_consecutive_failures", **labels)
    states = {"server": 10, "archived": 7, "pending": 2, "quarantined": 1}
    assert states == {state: value(metrics, "account_messages", **labels, state=state) for state in states}


def test_what_has_not_happened_yet_has_no_series(metrics: Metrics) -> None:
    """Zero would be the year 1970, and an alert."""
    metrics.show_accounts(lambda: [NEW])
    labels = {"namespace": "team-b", "name": "new"}

    assert 1 == value(metrics, "account_suspended", **labels)
    assert value(metrics, "account_last_success_timestamp_seconds", **labels) is None
    assert value(metrics, "account_messages", **labels, state="server") is None
    assert value(metrics, "verify_last_timestamp_seconds") is None


def test_an_account_that_is_gone_leaves_no_series(metrics: Metrics) -> None:
    """The collector asks who is alive."""
    alive = [ALICE, NEW]
    metrics.show_accounts(lambda: list(alive))
    assert b"alice" in metrics.exposition()[0]
    alive.remove(ALICE)

    assert b"alice" not in metrics.exposition()[0]


@pytest.mark.parametrize(
    ("result", "failure", "reason"),
    [
        (Result.SUCCEEDED, None, "Succeeded"),
        (Result.PARTIAL, None, "PartialFailure"),
        (Result.INTERRUPTED, None, "Interrupted"),
        (Result.FAILED, Failure(Reason.AUTHENTICATION_FAILED, "no"), "AuthenticationFailed"),
        (Result.PARTIAL, Failure(Reason.CONNECTION_FAILED, "lost"), "ConnectionFailed"),
    ],
)
def test_runs_are_counted_by_how_they_ended(
    metrics: Metrics, result: Result, failure: Failure | None, reason: str
) -> None:
    """S7, S21: the reason is that of the condition."""
    metrics.run_ended(AccountOutcome(result, NOW, NOW + timedelta(seconds=3), failure=failure))

    assert 1 == value(metrics, "syncs_total", result=str(result), reason=reason)
    assert 3 == value(metrics, "sync_duration_seconds_sum")


def test_counters_stand_at_zero_from_the_start(metrics: Metrics) -> None:
    """Or the first failure would not be an increase."""
    assert 0 == value(metrics, "syncs_total", result="Failed", reason="AuthenticationFailed")
    assert 0 == value(metrics, "messages_archived_total")
    assert 0 == value(metrics, "uidvalidity_resets_total")


def test_a_further_sighting_is_archived_without_new_octets(metrics: Metrics) -> None:
    """And a placement that was there already counts for nothing but its download."""
    metrics.message_stored(100, Stored(ContentId(bytes(32)), True, True))
    metrics.message_stored(100, Stored(ContentId(bytes(32)), False, True))
    metrics.message_stored(100, Stored(ContentId(bytes(32)), False, False))

    assert 2 == value(metrics, "messages_archived_total")
    assert 1 == value(metrics, "messages_deduplicated_total")
    assert 300 == value(metrics, "fetched_bytes_total")


def test_octets_are_counted_once_they_are_durable(metrics: Metrics) -> None:
    """The archive tells them with each checkpoint."""
    metrics.archive_written(0.1, 60)
    metrics.archive_written(0.2, 5)

    assert 65 == value(metrics, "stored_bytes_total")


def test_labels_come_from_closed_sets(metrics: Metrics) -> None:
    """Whatever a caller passes: a host or a folder never becomes a label."""
    metrics.imap_failed("imap.example.org", "alice@example.org")

    assert 1 == value(metrics, "imap_errors_total", stage="other", reason="other")
    assert b"example" not in metrics.exposition()[0]


def test_threads_count_together(metrics: Metrics) -> None:
    """Eight runs at once lose no message."""
    stored = Stored(ContentId(bytes(32)), is_new_content=True, is_new_placement=True)

    def archive() -> None:
        for _ in range(1000):
            metrics.message_stored(1, stored)

    threads = [threading.Thread(target=archive) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 8000 == value(metrics, "messages_archived_total")


def test_openmetrics_is_given_to_whom_asks_for_it(metrics: Metrics) -> None:
    """Prometheus does."""
    body, content_type = metrics.exposition("application/openmetrics-text; version=1.0.0")

    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
