"""Every query and every alert, asked of a real Prometheus that scrapes a real operator in trouble."""

from __future__ import annotations

import os
import re
import subprocess
import time

import pytest

from archivmail.decide.writing import WRITE_EVERY_S
from tests.dashboards.conftest import wait_for
from tests.dashboards.fleet import ACCOUNTS, NOT_READY, RELEASE_NAMESPACE, Fleet
from tests.dashboards.reading import NAMES, Query, read
from tests.docs.pages import DOCS, blocks
from tests.servers.binaries import find_program

pytestmark = pytest.mark.servers

LATER_S = 9 * 60  # no account was tried for that long: what was scraped last is then 9 minutes old, and counts
OF_SHARDS = {"archivmail_lease_held"}  # one replica holds none; tests of shards look at it
VARIABLES = {"__rate_interval": "15s", "job": ".+", "instance": ".+", "namespace": ".+", "name": "alice"}
THRESHOLDS = {"> 300": "> 0"}  # a run that waits for minutes would make this test take minutes


@pytest.mark.parametrize("name", NAMES)
def test_every_query_of_a_dashboard_gives_data(name: str, fleet: Fleet, seen_at: float) -> None:
    """Instant or over time, as the panel asks."""
    queries = {f"{panel.title} {query.ref}": query for panel in read(name).panels for query in panel.queries}
    asked = {title: query for title, query in queries.items() if not any(each in query.expr for each in OF_SHARDS)}

    assert [] == [title for title, query in asked.items() if not answered(fleet, query, seen_at)]


def answered(fleet: Fleet, query: Query, at: float) -> bool:
    expr = query.filled(VARIABLES)
    if query.is_instant:
        return bool(fleet.prometheus.instant(expr, at=at))
    return bool(fleet.prometheus.range(expr, start=at - 60, end=at, step=1))


def test_numbers_of_the_overview_are_those_of_the_fleet(fleet: Fleet, seen_at: float) -> None:
    """What is not zero only because it is there."""
    shown = {
        panel.title: fleet.prometheus.instant(panel.queries[0].filled(VARIABLES), at=seen_at)[0].last
        for panel in read("overview").panels
        if panel.kind == "stat"
    }

    assert {"Accounts": len(ACCOUNTS), "Failing": len(NOT_READY), "Suspended": 1, "Operators": 1} == {
        title: shown[title] for title in ("Accounts", "Failing", "Suspended", "Operators")
    }
    assert shown["Incomplete"] == len(NOT_READY) + 1
    assert shown["Damaged messages"] > 0


def test_failing_accounts_are_on_top_of_the_table(fleet: Fleet, seen_at: float) -> None:
    """All columns speak of the same accounts."""
    (table,) = [panel for panel in read("overview").panels if panel.kind == "table"]
    answers = {query.ref: fleet.prometheus.instant(query.filled(VARIABLES), at=seen_at) for query in table.queries}
    columns = {ref: {row.labels["name"]: row.last for row in rows} for ref, rows in answers.items()}

    assert set(ACCOUNTS) == set(columns["A"])
    assert {name for name, is_ready in columns["A"].items() if not is_ready} == NOT_READY
    assert all(set(values) <= set(ACCOUNTS) for values in columns.values())


@pytest.mark.parametrize(
    ("alert", "names", "later_s"),
    [
        ("AccountStale", {"alice", "bob"}, LATER_S),
        ("AccountNeverSynced", {"locked-out", "no-secret", "full-disk", "refused-mail"}, LATER_S),
        ("AccountStalled", NOT_READY, 0),
        ("AccountIncomplete", {"refused-mail"}, 0),
        ("UidValidityReset", None, 0),
        ("SyncBacklog", None, 0),
        ("ArchiveWriteFailing", None, 0),
        ("VerifyFailed", None, 0),
    ],
)
def test_alert_is_raised_by_its_situation(
    alert: str, names: set[str] | None, later_s: float, fleet: Fleet, seen_at: float
) -> None:
    """Its expression gives exactly those accounts, or the operator, with the labels that its texts use."""
    (rule,) = [each for each in fleet.rules["groups"][0]["rules"] if each["alert"] == alert]
    expr = rule["expr"]
    for real, short in THRESHOLDS.items():
        expr = expr.replace(real, short)

    raised = fleet.prometheus.instant(expr, at=seen_at + later_s)

    if names is None:
        assert [RELEASE_NAMESPACE] == [each.labels["namespace"] for each in raised]
    else:
        assert {(fleet.namespace, name) for name in names} == {
            (each.labels["namespace"], each.labels["name"]) for each in raised
        }


def test_prometheus_evaluates_the_rules_of_the_chart(fleet: Fleet) -> None:
    """As they are: those without `for` fire, the others wait for their time."""
    wait_for(lambda: all(rule["health"] == "ok" for rule in fleet.prometheus.rules()))
    wait_for(lambda: {"VerifyFailed", "UidValidityReset"} <= _in_state(fleet, "firing"))

    assert _in_state(fleet, "pending") >= {"AccountStalled", "AccountIncomplete", "ArchiveWriteFailing"}


def test_commands_of_the_runbooks_run(fleet: Fleet) -> None:
    """Those about an account; those about pods need a kubelet."""
    ran = 0
    for page in sorted((DOCS / "runbooks").glob("*.md")):
        for line in "".join(blocks(f"runbooks/{page.name}", "console")).splitlines():
            if re.match(r"\$ kubectl (-n team-a|get events -A) ", line):
                _run(fleet, line.removeprefix("$ ").replace("team-a", fleet.namespace))
                ran += 1

    assert ran > 10


def test_a_deleted_account_leaves_no_series(fleet: Fleet, seen_at: float) -> None:
    """Nor does its alert stay."""
    fleet.plane.kubectl("delete", "imapaccount", "no-secret", "-n", fleet.namespace, "--timeout=30s")

    assert b'name="no-secret"' not in fleet.operator.get(fleet.operator.metrics_port, "/metrics")
    wait_for(lambda: not fleet.prometheus.instant('archivmail_account_ready{name="no-secret"}'))


def test_alerts_outlive_a_restart_and_a_missing_operator_is_noticed(fleet: Fleet, seen_at: float) -> None:
    """The new process shows from `.status` what the old one knew, before it is ready; nothing ends in between."""
    rules = {rule["alert"]: rule["expr"] for rule in fleet.rules["groups"][0]["rules"]}
    before = _account_series(fleet)
    killed_at = time.time()
    fleet.operator.kill()
    wait_for(lambda: bool(fleet.prometheus.instant(rules["OperatorDown"])))

    fleet.operator.start()

    now = _account_series(fleet)
    assert set(before) <= set(now)
    # A status has whole seconds; and the time of an attempt alone is written every 15 s (decide/writing.py).
    lag = {name: WRITE_EVERY_S if "last_attempt" in name else 0.0 for name in before if "timestamp" in name}
    assert set() == {name for name in lag if now[name] < int(before[name]) - lag[name]}
    assert {} == {name: now[name] for name in before if "ready" in name and now[name] != before[name]}
    wait_for(lambda: not fleet.prometheus.instant(rules["OperatorDown"]))
    stalled = fleet.prometheus.range(rules["AccountStalled"], start=killed_at, end=time.time(), step=1)
    steps = int(time.time() - killed_at)
    assert {"locked-out", "full-disk"} <= {each.labels["name"] for each in stalled if len(each.points) >= steps}


def _run(fleet: Fleet, command: str) -> None:
    environment = dict(fleet.plane.kubectl_environment(None))
    environment["PATH"] = f"{find_program('kubectl').parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", command], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"


def _account_series(fleet: Fleet) -> dict[str, float]:
    return {name: value for name, value in fleet.operator.metrics().items() if name.startswith("archivmail_account_")}


def _in_state(fleet: Fleet, state: str) -> set[str]:
    return {rule["name"] for rule in fleet.prometheus.rules() if rule["state"] == state}
