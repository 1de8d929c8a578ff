"""Each alert fires when it should, after its time, and is silent otherwise: asked of promtool."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers.binaries import find_program

from .chart import Manifest, one, render, shape

pytestmark = pytest.mark.servers

INTERVAL_S = 600
GRACE_S = 1800
STALE_MIN = (2 * INTERVAL_S + GRACE_S) // 60  # an account that never succeeded again after minute 0
FOR_MIN = 5


@pytest.fixture(scope="module")
def rules() -> Manifest:
    """The spec of the PrometheusRule with default values."""
    spec: Manifest = one(render("metrics.prometheusRule.enabled=true"), "PrometheusRule")["spec"]
    return spec


def _account(name: str, **series: float) -> list[dict[str, str]]:
    """Two and a half hours of an account's series; a healthy one that succeeded at minute 0, but for what is given."""
    healthy: dict[str, float | None] = {
        "last_success_timestamp_seconds": 0,
        "created_timestamp_seconds": 0,
        "expected_interval_seconds": INTERVAL_S,
        "suspended": 0,
        "ready": 1,
        "consecutive_failures": 0,
    }
    labels = f'namespace="team-a",name="{name}",pod="archivmail-0"'
    return [
        {"series": f"archivmail_account_{key}{{{labels}}}", "values": f"{value}+0x150"}
        for key, value in (healthy | series).items()
        if value is not None
    ]


def _never(name: str, **series: float) -> list[dict[str, str]]:
    return [each for each in _account(name, **series) if "last_success" not in each["series"]]


UP = [{"series": 'archivmail_build_info{version="1"}', "values": "1+0x150"}]
IN_TIME = [
    {"series": 'archivmail_account_last_success_timestamp_seconds{namespace="team-a",name="a"}', "values": "0+60x150"}
]

CASES = [
    pytest.param(_account("a"), "AccountStale", STALE_MIN + FOR_MIN + 2, True, id="stale"),
    pytest.param(_account("a"), "AccountStale", STALE_MIN + FOR_MIN - 1, False, id="not-yet-stale"),
    pytest.param(_account("a", suspended=1), "AccountStale", 140, False, id="stale-but-suspended"),
    pytest.param(_account("a", expected_interval_seconds=0), "AccountStale", 140, False, id="stale-but-on-request"),
    pytest.param([*IN_TIME, *_never("a")], "AccountStale", 140, False, id="synced-in-time"),
    pytest.param(_never("a"), "AccountNeverSynced", STALE_MIN + FOR_MIN + 2, True, id="never-synced"),
    pytest.param(_never("a"), "AccountNeverSynced", STALE_MIN + FOR_MIN - 1, False, id="not-yet-never-synced"),
    pytest.param(_account("a"), "AccountNeverSynced", 140, False, id="synced-once"),
    pytest.param(_never("a", suspended=1), "AccountNeverSynced", 140, False, id="never-synced-but-suspended"),
    pytest.param(_never("a", expected_interval_seconds=0), "AccountNeverSynced", 140, False, id="never-requested"),
    pytest.param(_account("a", ready=0, consecutive_failures=2), "AccountStalled", 16, True, id="stalled"),
    pytest.param(_account("a", ready=0, consecutive_failures=2), "AccountStalled", 14, False, id="not-yet-stalled"),
    pytest.param(_account("a", ready=0), "AccountStalled", 140, False, id="first-sync-takes-long"),
    pytest.param(
        _account("a", ready=0, consecutive_failures=2, suspended=1), "AccountStalled", 140, False, id="parked"
    ),
    pytest.param([], "OperatorDown", 6, True, id="down"),
    pytest.param([], "OperatorDown", 4, False, id="restarting"),
    pytest.param(UP, "OperatorDown", 140, False, id="up"),
]


@pytest.mark.parametrize(("series", "alert", "at_min", "fires"), CASES)
def test_alert(
    rules: Manifest, tmp_path: Path, series: list[dict[str, str]], alert: str, at_min: int, *, fires: bool
) -> None:
    """Pairs around each threshold; suspended accounts and those without an interval never alert."""
    said = _promtool(rules, tmp_path, series, alert, at_min)

    (rule,) = [each for each in rules["groups"][0]["rules"] if each["alert"] == alert]
    if fires:
        # promtool prints what it got when that is not what was expected, which is nothing.
        assert "got:" in said
        assert f'alertname="{alert}", ' in said
        assert f'severity="{rule["labels"]["severity"]}"' in said
    else:
        assert "SUCCESS" in said


def test_rules_pass_promtool_and_take_labels(tmp_path: Path) -> None:
    """With everything switched on: the grace and the labels of the values are in each rule."""
    spec = one(render(values=shape("everything")), "PrometheusRule")["spec"]

    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps(spec))
    checked = subprocess.run(
        [find_program("promtool"), "check", "rules", path],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    rules = spec["groups"][0]["rules"]
    assert {each["alert"] for each in rules} >= {"AccountStale", "AccountNeverSynced", "AccountStalled", "OperatorDown"}
    assert all(each["labels"] == {"severity": "page", "team": "mail"} for each in rules)
    assert not any("GRACE_S" in each["expr"] for each in rules)


def _promtool(rules: Manifest, folder: Path, series: list[dict[str, str]], alert: str, at_min: int) -> str:
    """What promtool says of a test that expects no alert."""
    test: dict[str, Any] = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": series,
                "alert_rule_test": [{"alertname": alert, "eval_time": f"{at_min}m", "exp_alerts": []}],
            }
        ],
    }
    (folder / "rules.yaml").write_text(json.dumps(rules))  # JSON is YAML
    (folder / "test.yaml").write_text(json.dumps(test))
    done = subprocess.run(
        [find_program("promtool"), "test", "rules", "test.yaml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return done.stdout + done.stderr
