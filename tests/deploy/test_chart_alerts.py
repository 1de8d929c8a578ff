"""Each alert fires when it should, after its time, and is silent otherwise: asked of promtool."""

from __future__ import annotations

import json
import re
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
    """The spec of the PrometheusRule with default values, and what three shards add to it."""
    enabled = "metrics.prometheusRule.enabled=true"
    spec: Manifest = one(render(enabled), "PrometheusRule")["spec"]
    sharded: Manifest = one(render(enabled, values=shape("sharded")), "PrometheusRule")["spec"]
    known = {each["alert"] for each in spec["groups"][0]["rules"]}
    added = [each for each in sharded["groups"][0]["rules"] if each["alert"] not in known]
    assert ["ShardUnserved"] == [each["alert"] for each in added]
    spec["groups"][0]["rules"] += added
    return spec


def _account(name: str, **series: float) -> list[dict[str, str]]:
    """Twelve hours of an account's series; a healthy one that succeeded at minute 0, but for what is given."""
    healthy: dict[str, float | None] = {
        "last_success_timestamp_seconds": 0,
        "created_timestamp_seconds": 0,
        "expected_interval_seconds": INTERVAL_S,
        "suspended": 0,
        "ready": 1,
        "complete": 1,
        "consecutive_failures": 0,
    }
    labels = f'namespace="team-a",name="{name}",pod="archivmail-0"'
    return [
        {"series": f"archivmail_account_{key}{{{labels}}}", "values": f"{value}+0x720"}
        for key, value in (healthy | series).items()
        if value is not None
    ]


def _never(name: str, **series: float) -> list[dict[str, str]]:
    return [each for each in _account(name, **series) if "last_success" not in each["series"]]


def _process(name: str, values: str, **labels: str) -> dict[str, str]:
    """A series of the operator's own, scraped in the namespace of the release."""
    all_labels = {"namespace": "mail", "job": "mail/archive", "pod": "archivmail-0"} | labels
    inner = ",".join(f'{key}="{value}"' for key, value in all_labels.items())
    return {"series": f"archivmail_{name}{{{inner}}}", "values": values}


def _waits(share_above: float) -> list[dict[str, str]]:
    """Ten runs a minute, of which a share waited for more than 5 minutes."""
    short = 10 * (1 - share_above)
    steps = {"60": short, "300": short, "900": 10.0, "+Inf": 10.0}
    return [_process("sync_queue_wait_seconds_bucket", f"0+{step:g}x720", le=le) for le, step in steps.items()]


def _attempts(name: str) -> dict[str, str]:
    """A run every ten minutes, whatever comes of it."""
    labels = f'namespace="team-a",name="{name}",pod="archivmail-0"'
    return {"series": f"archivmail_account_last_attempt_timestamp_seconds{{{labels}}}", "values": "0+60x720"}


def _replaced_pod(**series: float) -> list[dict[str, str]]:
    """The same account, seen by one pod for an hour, by none for 5 minutes, and by another one from then on."""
    first, second = _account("a", **series), _account("a", **series)
    return [
        *({**each, "values": each["values"].replace("x720", "x60") + " stale"} for each in first),
        *({"series": each["series"].replace("-0", "-1"), "values": "_x64 " + each["values"]} for each in second),
    ]


RESET = [_process("uidvalidity_resets_total", "0x60 2x720")]
LOST_ARCHIVE = [_process("syncs_total", "0x60 0+1x720", result="Failed", reason="ArchiveUnavailable")]
LOST_ARCHIVE_ONCE = [_process("syncs_total", "0x60 1x720", result="Failed", reason="ArchiveUnavailable")]
DAMAGED = [_process("verify_damaged_messages", "0x60 3x720")]
UP = [_process("build_info", "1+0x720", version="1")]
UP_ELSEWHERE = [_process("build_info", "1+0x720", version="1", namespace="other")]


def _shards(*values: str) -> list[dict[str, str]]:
    """Whether each of some replicas holds the Lease of its shard."""
    return [_process("lease_held", each, shard=str(n), pod=f"archivmail-{n}") for n, each in enumerate(values)]


SERVED = _shards("1+0x720", "1+0x720", "1+0x720")
LOST_LEASE = _shards("1+0x720", "1x60 0x720", "1+0x720")
LOST_POD = _shards("1+0x720", "1+0x720", "1x60 stale")
REPLACED_POD = _shards("1+0x720", "1+0x720", "1x60 stale _x2 0x1 1x700")
NEVER_STARTED = SERVED[:2]
SERVED_ELSEWHERE = [*SERVED[:2], _process("lease_held", "1+0x720", shard="2", pod="archivmail-2", namespace="other")]
IN_TIME = [
    {"series": 'archivmail_account_last_success_timestamp_seconds{namespace="team-a",name="a"}', "values": "0+60x720"}
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
    pytest.param(UP_ELSEWHERE, "OperatorDown", 6, True, id="another-release-is-up"),
    pytest.param([*_account("a"), _attempts("a")], "AccountStale", 140, False, id="runs-get-through-in-part"),
    pytest.param([*_never("a"), _attempts("a")], "AccountNeverSynced", 140, False, id="first-runs-get-through-in-part"),
    pytest.param(
        [*_account("a", ready=0), _attempts("a")], "AccountStale", STALE_MIN + FOR_MIN + 2, True, id="attempts-fail"
    ),
    pytest.param(_replaced_pod(), "AccountStale", 66, True, id="stale-while-the-pod-is-replaced"),
    pytest.param(
        _replaced_pod(ready=0, consecutive_failures=4), "AccountStalled", 66, True, id="stalled-while-it-is-replaced"
    ),
    pytest.param(_account("a", complete=0), "AccountIncomplete", 6 * 60 + 1, True, id="incomplete"),
    pytest.param(_account("a", complete=0), "AccountIncomplete", 6 * 60 - 1, False, id="not-yet-incomplete"),
    pytest.param(_account("a", complete=0, ready=0), "AccountIncomplete", 700, False, id="first-sync-takes-a-day"),
    pytest.param(_account("a", complete=0, suspended=1), "AccountIncomplete", 700, False, id="incomplete-but-parked"),
    pytest.param(_account("a"), "AccountIncomplete", 700, False, id="complete"),
    pytest.param(RESET, "UidValidityReset", 62, True, id="reset"),
    pytest.param(RESET, "UidValidityReset", 60, False, id="before-the-reset"),
    pytest.param(RESET, "UidValidityReset", 125, False, id="an-hour-after-the-reset"),
    pytest.param(_waits(0.2), "SyncBacklog", 17, True, id="a-fifth-waits-long"),
    pytest.param(_waits(0.2), "SyncBacklog", 14, False, id="not-yet-a-backlog"),
    pytest.param(_waits(0.05), "SyncBacklog", 700, False, id="a-twentieth-waits-long"),
    pytest.param(LOST_ARCHIVE, "ArchiveWriteFailing", 70, True, id="archive-lost"),
    pytest.param(LOST_ARCHIVE, "ArchiveWriteFailing", 66, False, id="archive-lost-just-now"),
    pytest.param(LOST_ARCHIVE_ONCE, "ArchiveWriteFailing", 70, False, id="archive-lost-for-a-moment"),
    pytest.param(DAMAGED, "VerifyFailed", 61, True, id="damaged"),
    pytest.param(DAMAGED, "VerifyFailed", 59, False, id="not-yet-damaged"),
    pytest.param(SERVED, "ShardUnserved", 140, False, id="every-shard-served"),
    pytest.param(LOST_LEASE, "ShardUnserved", 67, True, id="lease-lost"),
    pytest.param(LOST_LEASE, "ShardUnserved", 64, False, id="lease-lost-just-now"),
    pytest.param(LOST_POD, "ShardUnserved", 67, True, id="replica-gone"),
    pytest.param(REPLACED_POD, "ShardUnserved", 67, False, id="replica-replaced"),
    pytest.param(NEVER_STARTED, "ShardUnserved", 6, True, id="replica-never-there"),
    pytest.param(SERVED_ELSEWHERE, "ShardUnserved", 6, True, id="another-release-holds-its-own"),
]


@pytest.fixture(scope="module")
def wrong(rules: Manifest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What promtool has to object to all cases: it names each one that is not as claimed."""
    tests: dict[str, list[dict[str, Any]]] = {}
    for each in CASES:
        tests.setdefault(str(each.values[1]), []).append(_test(str(each.id), *each.values))
    return _promtool(rules, tmp_path_factory.mktemp("rules"), tests)


@pytest.mark.parametrize(("alert", "fires", "name"), [(each.values[1], each.values[3], each.id) for each in CASES])
def test_alert(wrong: str, alert: str, name: str, *, fires: bool) -> None:
    """Pairs around each threshold; suspended accounts and those without an interval never alert."""
    assert "FAILED" in wrong or "SUCCESS" in wrong
    assert _named(name) not in wrong, f"{alert} {'is silent' if fires else 'fires'}"


def test_a_wrong_claim_would_be_noticed(rules: Manifest, tmp_path: Path) -> None:
    """The form in which promtool answers is the one that the tests look for."""
    claim = _test("stale", _account("a"), "AccountStale", 140, fires=False)

    said = _promtool(rules, tmp_path, {"AccountStale": [claim]})

    assert "FAILED" in said
    assert _named("stale") in said


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
    assert all(each["labels"] == {"severity": "page", "team": "mail"} for each in rules)
    assert not re.search("GRACE_S|SHARDS|EVERY_SHARD|RELEASE_NAMESPACE|RUNBOOKS", json.dumps(rules))


def test_every_alert_has_cases_in_which_it_fires_and_is_silent(rules: Manifest) -> None:
    """At least one of each."""
    cases = {(each.values[1], each.values[3]) for each in CASES}

    assert cases == {(each["alert"], fires) for each in rules["groups"][0]["rules"] for fires in (True, False)}


def test_an_operator_of_several_shards_is_down_when_one_is(rules: Manifest, tmp_path: Path) -> None:
    """Else its accounts, which leave no series, would alert on nothing."""
    sharded = json.loads(json.dumps(rules).replace("or vector(0)) < 1", "or vector(0)) < 3"))
    two = [*UP, _process("build_info", "1+0x720", version="1", pod="archivmail-1")]

    third = _process("build_info", "1+0x720", version="1", pod="archivmail-2")

    claims = [
        _test("one-is-down", two, "OperatorDown", 6, fires=True),
        _test("all-are-up", [*two, third], "OperatorDown", 60, fires=False),
    ]

    said = _promtool(sharded, tmp_path, {"OperatorDown": claims})

    assert "SUCCESS" in said, said


def _test(name: str, series: list[dict[str, str]], alert: str, at_min: int, fires: bool) -> dict[str, Any]:
    """A test of promtool: the alert fires at that minute, or not. The name is a label, for promtool prints no other."""
    count = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)'
    expr = f'label_replace({count}, "case", "{name}", "", "")'
    samples = [{"labels": f'{{case="{name}"}}', "value": int(fires)}]
    return {
        "interval": "1m",
        "input_series": series,
        "promql_expr_test": [{"expr": expr, "eval_time": f"{at_min}m", "exp_samples": samples}],
    }


def _named(name: str) -> str:
    """A case in what promtool says."""
    return f'got: {{case="{name}"}}'


def _promtool(rules: Manifest, folder: Path, tests: dict[str, list[dict[str, Any]]]) -> str:
    """What promtool says of the tests of some alerts. Each is evaluated alone: thousands of minutes go by."""
    (group,) = rules["groups"]
    files = []
    for alert, its_tests in tests.items():
        (rule,) = [each for each in group["rules"] if each["alert"] == alert]
        alone = {"groups": [{"name": alert, "rules": [rule]}]}
        (folder / f"{alert}.rules.yaml").write_text(json.dumps(alone))  # JSON is YAML
        suite = {"rule_files": [f"{alert}.rules.yaml"], "evaluation_interval": "1m", "tests": its_tests}
        files.append(f"{alert}.test.yaml")
        (folder / files[-1]).write_text(json.dumps(suite))
    done = subprocess.run(
        [find_program("promtool"), "test", "rules", *files],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.stdout + done.stderr
