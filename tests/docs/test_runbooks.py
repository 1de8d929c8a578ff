"""docs/runbooks: a page for each alert, and what the pages name exists."""

from __future__ import annotations

import re
import shlex
from typing import Any

import click
import pytest
import yaml

from archivmail.cli.main import cli
from archivmail.model.outcome import Result
from archivmail.model.reasons import Reason
from archivmail.model.status import ConditionStatus, ConditionType
from archivmail.observe.metrics import Metrics
from archivmail.settings import Settings

from .pages import DOCS, blocks

CHART = DOCS.parent / "deploy" / "helm" / "archivmail"
RULES = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())["groups"][0]["rules"]
ALERTS = {rule["alert"]: rule for rule in RULES}
PAGES = sorted(path.stem for path in (DOCS / "runbooks").glob("*.md") if path.stem != "index")
ALL = [*(f"runbooks/{name}.md" for name in ("index", *PAGES)), "observability.md"]
SECTIONS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
OF_KUBERNETES = {"CrashLoopBackOff", "OOMKilled", "Pending", "PrometheusRule", "PodMonitor", "ConfigMap", "ImapAccount"}
VERBS = {
    "get",
    "describe",
    "logs",
    "exec",
    "annotate",
    "patch",
    "wait",
    "top",
    "rollout",
    "apply",
    "create",
    "port-forward",
}


def text(page: str) -> str:
    return (DOCS / page).read_text()


def spoken(page: str) -> set[str]:
    """What stands in backticks."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text(page), flags=re.DOTALL | re.MULTILINE)))


def commands(page: str) -> list[list[str]]:
    """The command lines of a page, in blocks and in running text, split as a shell does."""
    lines = [line[2:] for block in blocks(page, "console") for line in block.splitlines() if line.startswith("$ ")]
    lines += [each for each in spoken(page) if each.startswith(("kubectl ", "archivmail ", "helm "))]
    parts = [part for line in lines for part in re.split(r" \| (?=grep)", line)]
    return [shlex.split(part) for part in parts]


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    """The index names them all, with their severity."""
    assert sorted(ALERTS) == PAGES
    rows = dict(re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| (\w+) \|", text("runbooks/index.md"), re.MULTILINE))
    assert {name: rule["labels"]["severity"] for name, rule in ALERTS.items()} == rows


@pytest.mark.parametrize("name", PAGES)
def test_page_has_the_parts_that_one_looks_for_at_night(name: str) -> None:
    """In this order."""
    assert f"# {name}" == text(f"runbooks/{name}.md").splitlines()[0]
    assert SECTIONS == re.findall(r"^## (.+)$", text(f"runbooks/{name}.md"), re.MULTILINE)


@pytest.mark.parametrize("name", PAGES)
def test_alert_leads_to_its_page(name: str) -> None:
    """And the page names every series that the alert is made of."""
    rule = ALERTS[name]

    assert rule["annotations"]["runbook_url"] == f"RUNBOOKS/{name}.md"
    series = {each.removesuffix("_bucket") for each in re.findall(r"archivmail_\w+", rule["expr"])}
    assert set() == {each for each in series if each not in text(f"runbooks/{name}.md")}


def test_dashboards_lead_to_pages() -> None:
    """Every link to a runbook."""
    for path in (CHART / "files" / "dashboards").glob("*.json"):
        linked = set(re.findall(r"/docs/runbooks/(\w+)\.md", path.read_text()))
        assert "index" in linked
        assert linked <= {"index", *PAGES}


@pytest.mark.parametrize("page", ALL)
def test_words_for_programs_exist(page: str) -> None:
    """Reasons, conditions, results and alerts are written as they are."""
    words = {word for each in spoken(page) for word in re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", each.partition(" ")[0])}
    known = {*map(str, Reason), *map(str, ConditionType), *map(str, Result), *map(str, ConditionStatus), *ALERTS}

    assert set() == words - known - OF_KUBERNETES


@pytest.mark.parametrize("page", ALL)
def test_series_and_settings_exist(page: str) -> None:
    """Each metric, each variable of the environment."""
    families = Metrics().registry.collect()
    series = {each.name + ("_total" if each.type == "counter" else "") for each in families}
    settings = {f"ARCHIVMAIL_{name.upper()}" for name in Settings.model_fields}

    assert set() == set(re.findall(r"archivmail_[a-z_]+", text(page))) - series - {"archivmail_account_"}
    assert set() == set(re.findall(r"ARCHIVMAIL_\w+", text(page))) - settings


@pytest.mark.parametrize("page", ALL)
def test_values_of_the_chart_and_fields_of_the_resource_exist(page: str) -> None:
    """As far as they are written with their path."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    crd = yaml.safe_load((CHART.parents[1] / "crds" / "archivmail.io_imapaccounts.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    for each in spoken(page):
        path = re.match(r"^[a-z]\w+(?:\.\w+)+", each)
        head = path[0].partition(".")[0] if path else ""
        if head in values:
            assert path is not None
            assert _is_value(values, path[0].split(".")), each
        elif head in {"spec", "status"}:
            assert path is not None
            assert _is_field(schema, path[0].split(".")), each


@pytest.mark.parametrize("page", ALL)
def test_commands_exist(page: str) -> None:
    """Every option of archivmail, every verb of kubectl, every release and workload of the chart."""
    for command in commands(page):
        program, rest = command[0], command[1:]
        if "--" in rest and program == "kubectl":
            inside = rest[rest.index("--") + 1 :]
            rest = rest[: rest.index("--")]
            if inside[0] == "archivmail":
                _check_archivmail(inside[1:])
        if program == "kubectl":
            verb = next(word for number, word in enumerate(rest) if word[0] != "-" and rest[number - 1] != "-n")
            assert verb in VERBS, command
            assert "deploy/archivmail" in rest or not {"exec", "logs", "rollout"} & {verb} or "-l" in rest, command
        elif program == "archivmail":
            _check_archivmail(rest)
        else:
            assert program in {"helm", "grep", "make", "curl"}, command


def _check_archivmail(words: list[str]) -> None:
    group = click.Context(cli)
    command = cli.get_command(group, words[0])
    assert command is not None, words
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words[1:] if word.startswith("-")} <= options, words


def _is_value(values: dict[str, Any], path: list[str]) -> bool:
    here: Any = values
    for name in path:
        if not isinstance(here, dict) or name not in here:
            return False
        here = here[name]
    return True


def _is_field(schema: dict[str, Any], path: list[str]) -> bool:
    here: Any = {"properties": schema}
    for name in path:
        here = here.get("items", here).get("properties", {}).get(name)
        if here is None:
            return False
    return True


def test_commands_in_the_pod_are_those_that_the_image_has() -> None:
    """It holds Python and archivmail and nothing else: no shell, no df (tests/deploy/test_image.py)."""
    text = "\n".join(page.read_text() for page in DOCS.rglob("*.md"))
    programs = re.findall(r"\bexec deploy/archivmail -- (\S+)", text)

    assert len(programs) > 5
    assert {"archivmail", "python"} == set(programs)
