"""What reviewers of dashboards ask for: the rules of grafana/dashboard-linter, which no registry serves, and ours."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from archivmail.observe.metrics import Metrics
from tests.dashboards.reading import NAMES, Dashboard, Panel, read
from tests.servers.binaries import find_program

if TYPE_CHECKING:
    from pathlib import Path

DATA = {"stat", "table", "timeseries"}
UNITS = {"short", "s", "bytes", "Bps", "opm", "mps", "reqps"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
RECENT = "0+60x60"
ACCOUNT: dict[str, str | int] = {
    "ready": 1,
    "suspended": 0,
    "created_timestamp_seconds": 0,
    "expected_interval_seconds": 600,
    "last_attempt_timestamp_seconds": RECENT,
}
SELECTOR = re.compile(r"archivmail_\w+\{([^}]*)\}")


@pytest.fixture(params=NAMES)
def dashboard(request: pytest.FixtureRequest) -> Dashboard:
    return read(request.param)


def data_panels(dashboard: Dashboard) -> list[Panel]:
    return [panel for panel in dashboard.panels if panel.kind in DATA]


def test_there_is_one_for_the_fleet_and_one_for_an_account() -> None:
    """With the uids that links name, and unlike titles."""
    assert {"overview": "archivmail-overview", "account": "archivmail-account"} == {
        name: read(name).source["uid"] for name in NAMES
    }


def test_it_can_be_provisioned_as_it_is(dashboard: Dashboard) -> None:
    """uneditable-dashboard; no inputs to fill in, no id of somebody's database, a schema that Grafana 10 reads."""
    source = dashboard.source

    assert source["editable"] is False
    assert source["id"] is None
    assert "__inputs" not in source
    assert 38 <= source["schemaVersion"] <= 41
    assert source["description"]


def test_the_data_source_is_a_variable(dashboard: Dashboard) -> None:
    """template-datasource-rule, panel-datasource-rule."""
    variable = dashboard.variables["datasource"]

    assert ("datasource", "prometheus", "Data source") == (variable["type"], variable["query"], variable["label"])
    for panel in data_panels(dashboard):
        assert panel.source["datasource"] == SOURCE, panel.title
        assert all(target["datasource"] == SOURCE for target in panel.source["targets"]), panel.title


def test_job_and_instance_can_be_chosen(dashboard: Dashboard) -> None:
    """template-job-rule, template-instance-rule, template-on-time-change-reload-rule."""
    for name, label in {"job": "Job", "instance": "Instance"}.items():
        variable = dashboard.variables[name]
        assert ("query", label, True, ".+") == tuple(variable[key] for key in ("type", "label", "multi", "allValue"))
    for name, variable in dashboard.variables.items():
        assert name == "datasource" or (variable["datasource"], variable["refresh"]) == (SOURCE, 2)


def test_every_panel_says_what_it_shows(dashboard: Dashboard) -> None:
    """panel-title-description-rule, panel-no-targets-rule, panel-units-rule."""
    for panel in dashboard.panels:
        assert panel.title
        assert panel.kind == "row" or panel.description, panel.title
    for panel in data_panels(dashboard):
        assert panel.queries, panel.title
        assert panel.defaults["unit"] in UNITS, panel.title
    assert {panel.kind for panel in dashboard.panels} <= {*DATA, "row", "text"}


def test_panels_do_not_overlap(dashboard: Dashboard) -> None:
    """Nor leave the grid."""
    cells = [
        (x, y)
        for panel in dashboard.panels
        for x in range(panel.x, panel.x + panel.width)
        for y in range(panel.y, panel.y + panel.height)
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_queries_follow_the_variables(dashboard: Dashboard) -> None:
    """target-job-rule, target-instance-rule; accounts also by namespace, and by name where one is shown."""
    wanted = {"job", "instance"}
    of_account = {"namespace", "name"} & set(dashboard.variables)
    for panel in data_panels(dashboard):
        for query in panel.queries:
            assert query.expr.count("archivmail_") == len(SELECTOR.findall(query.expr)), query.expr
            for found in SELECTOR.finditer(query.expr):
                needs = wanted | (of_account if found[0].startswith("archivmail_account_") else set())
                assert all(f'{name}=~"${name}"' in found[1] for name in needs), query.expr


def test_rates_use_the_interval_of_the_panel(dashboard: Dashboard) -> None:
    """target-rate-interval-rule, target-counter-agg-rule: else a zoom shows gaps, or a restart a cliff."""
    for panel in data_panels(dashboard):
        for query in panel.queries:
            assert all("$__rate_interval" in call for call in re.findall(r"\brate\([^)]*\)", query.expr)), query.expr
            counters = len(re.findall(r"archivmail_\w+_total\{", query.expr))
            assert counters == len(re.findall(r"(?:rate|increase)\(archivmail_\w+_total\{", query.expr)), query.expr


def test_queries_name_series_that_exist() -> None:
    """And every series of the product is on a dashboard, but for those that only tell apart."""
    text = "".join(query.expr for name in NAMES for panel in read(name).panels for query in panel.queries)
    shown = set(re.findall(r"archivmail_\w+?(?=_bucket\{|\{)", text))

    exist = {family.name + ("_total" if family.type == "counter" else "") for family in Metrics().registry.collect()}
    assert exist == shown


@pytest.mark.servers
def test_promtool_can_parse_every_query(dashboard: Dashboard, tmp_path: Path) -> None:
    """target-promql-rule."""
    expressions = [
        query.expr.replace("$__rate_interval", "5m") for panel in dashboard.panels for query in panel.queries
    ]
    rules = [{"record": f"query:{number}", "expr": expr} for number, expr in enumerate(expressions)]
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))

    checked = subprocess.run(
        [find_program("promtool"), "check", "rules", path], capture_output=True, text=True, check=False, timeout=30
    )

    assert f"SUCCESS: {len(expressions)} rules found" in checked.stdout, checked.stdout + checked.stderr


LATE = {
    "in-time": ({"last_success_timestamp_seconds": RECENT}, 0),
    "attempts-fail": ({"ready": 0, "last_success_timestamp_seconds": "0x60"}, 1),
    "no-attempt": ({"last_success_timestamp_seconds": "0x60", "last_attempt_timestamp_seconds": "0x60"}, 1),
    "never-succeeded": ({"ready": 0}, 1),
    "partial-for-ever": ({}, 0),
    "partial-since-it-once-succeeded": ({"last_success_timestamp_seconds": "0x60"}, 0),
    "partial-and-not-tried-any-more": ({"last_attempt_timestamp_seconds": "0x60"}, 1),
    "suspended": ({"ready": 0, "suspended": 1}, 0),
    "on-request": ({"ready": 0, "expected_interval_seconds": 0}, 0),
}
"""Series of an account with an interval of 10 minutes, made an hour ago, that differ from one that was just tried and
was never seen to succeed; and how many are late."""


@pytest.mark.servers
def test_late_are_accounts_that_the_alerts_about_staleness_will_be_about(tmp_path: Path) -> None:
    """AccountStale and AccountNeverSynced, without their grace: runs that get through in part are incomplete."""
    queries = {
        query.expr for panel in read("overview").panels for query in panel.queries if "created_timestamp" in query.expr
    }
    (late,) = queries  # the number on top, and the line of the graph
    expr = late.replace("$namespace", ".+").replace("$job", ".*").replace("$instance", ".*")
    tests = []
    for name, (differences, count) in LATE.items():
        series = ACCOUNT | differences
        labels = f'namespace="a",name="{name}"'
        values = {key: each if isinstance(each, str) else f"{each}x60" for key, each in series.items()}
        tests.append(
            {
                "name": name,
                "interval": "1m",
                "input_series": [
                    {"series": f"archivmail_account_{key}{{{labels}}}", "values": each} for key, each in values.items()
                ],
                "promql_expr_test": [
                    {"expr": expr, "eval_time": "60m", "exp_samples": [{"labels": "{}", "value": count}]}
                ],
            }
        )
    (tmp_path / "late.yaml").write_text(json.dumps({"evaluation_interval": "1m", "tests": tests}))

    said = subprocess.run(
        [find_program("promtool"), "test", "rules", "late.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert "SUCCESS" in said.stdout, said.stdout + said.stderr
