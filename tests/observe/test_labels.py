"""Label values come from closed sets, and what can happen stands at 0 before it happens."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from archivmail.kube.api import PLURAL
from archivmail.model.reasons import Reason
from archivmail.observe import labels
from archivmail.observe.metrics import Metrics

from .test_metrics import DOCUMENTED, value

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "operator" / "archivmail"
STAGE = re.compile(r'(?:_stage = |stage=|imap_failed\(|_failure\(error, )"(\w+)"')
REQUEST = re.compile(r'_request\(\s*"(\w+)",\s*(f?"[^"]*"|PLURAL)')


def test_stages_are_those_that_the_code_names() -> None:
    """No value is promised that nothing gives, and none is given that is not promised."""
    texts = [path.read_text() for folder in ("sync", "kube") for path in (SOURCE / folder).glob("*.py")]
    given = {stage for text in texts for stage in STAGE.findall(text)}

    assert given == labels.STAGES - {labels.OTHER}
    assert given == {stage for stage, _ in labels.imap_errors()}


def test_reasons_are_those_of_conditions_and_events() -> None:
    """One enum (design §2)."""
    assert labels.REASONS - {labels.OTHER} == set(Reason)
    assert {reason for _, reason in labels.imap_errors()} | {reason for _, reason in labels.sync_ends()} <= set(Reason)


def test_requests_are_those_that_the_client_makes() -> None:
    """Verb and resource in the words of RBAC; a request that is not foreseen would be counted as other."""
    made = set()
    for path in (SOURCE / "kube").glob("*.py"):
        for verb, resource in REQUEST.findall(path.read_text()):
            made.add(
                (verb, resource.removeprefix("f").strip('"').replace("{PLURAL}", PLURAL).replace("PLURAL", PLURAL))
            )

    assert made
    assert made <= {(verb, resource) for verb, resource, _ in labels.kube_requests()}


@pytest.mark.parametrize(
    ("series", "names", "foreseen"),
    [
        pytest.param("syncs_total", ("result", "reason"), list(labels.sync_ends()), id="runs"),
        pytest.param("imap_errors_total", ("stage", "reason"), list(labels.imap_errors()), id="imap"),
        pytest.param("kube_requests_total", ("verb", "resource", "code"), list(labels.kube_requests()), id="kube"),
    ],
)
def test_what_can_happen_stands_at_zero(series: str, names: tuple[str, ...], foreseen: list[tuple[str, ...]]) -> None:
    """Or its first time would be no increase, and no alert."""
    metrics = Metrics()

    assert len(foreseen) == len(set(foreseen))
    assert {0.0} == {value(metrics, series, **dict(zip(names, each, strict=True))) for each in foreseen}


def test_what_is_not_foreseen_gets_a_value_of_the_set() -> None:
    """An address, a path or a folder never becomes a label."""
    metrics = Metrics()
    metrics.kube_request("GET", "/api/v1/namespaces/team-a/secrets/alice", "alice")
    metrics.kube_request("patch", "secrets", "599")

    assert 1 == value(metrics, "kube_requests_total", verb="other", resource="other", code="other")
    assert 1 == value(metrics, "kube_requests_total", verb="patch", resource="secrets", code="599")
    assert b"alice" not in metrics.exposition()[0]


def test_series_of_a_process_are_few() -> None:
    """Without accounts: what 50 operators cost a Prometheus is known."""
    samples = sum(len(family.samples) for family in Metrics().registry.collect())

    assert samples < 250


def test_reference_page_lists_every_series_with_its_labels() -> None:
    """Design §3.3, the code and the page say the same."""
    spec = importlib.util.spec_from_file_location("reference_hook", ROOT / "docs" / "reference_hook.py")
    assert spec is not None
    assert spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)

    rows = re.findall(r"^\| `archivmail_(\w+)` \| \w+ \| ([^|]*) \| [^|]+ \|$", hook.metrics_page(), re.MULTILINE)
    assert DOCUMENTED == {name: {label for label in text.split(", ") if label} for name, text in rows}
