"""What is made from the chart is what the chart makes: its README, its snapshots, the overlay for kustomize."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.servers.binaries import find_program

from .chart import CHART, CHECKOUT, Manifest, helm, of_kind, render

pytestmark = pytest.mark.servers

OVERLAY = CHECKOUT / "deploy" / "kustomize" / "default"


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=CHECKOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A copy of the chart that may be written to."""
    return Path(shutil.copytree(CHART, tmp_path / "archivmail"))


def test_readme_is_made_from_the_values(chart: Path) -> None:
    """`make chart` has been run since values.yaml was changed."""
    (chart / "README.md").unlink()

    _run(find_program("helm-docs"), "-c", chart.parent, "-t", "README.md.gotmpl", "--sort-values-order", "file")

    assert (chart / "README.md").read_text() == (CHART / "README.md").read_text()


def test_readme_names_and_explains_every_value() -> None:
    """Each leaf of values.yaml is a row with a description, on its own or with the branch that explains it."""
    text = (CHART / "README.md").read_text()
    table = text[text.index("| Key |") :].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]
    explained = {row[0] for row in rows}

    assert not [row[0] for row in rows if len(row) != 4 or not row[3]]
    for leaf in _leaves(yaml.safe_load((CHART / "values.yaml").read_text())):
        assert any(leaf == name or leaf.startswith(f"{name}.") for name in explained), leaf


def test_suites_of_the_chart_pass_and_every_snapshot_is_written_down(chart: Path) -> None:
    """helm-unittest; a snapshot that is missing would be written, and prove nothing."""
    before = {path.name: path.read_text() for path in (chart / "tests" / "__snapshot__").iterdir()}

    _run(find_program("helm-unittest"), "--strict", chart)

    assert before == {path.name: path.read_text() for path in (chart / "tests" / "__snapshot__").iterdir()}
    assert len(before) >= 3


def test_suites_of_the_chart_would_see_a_change(chart: Path) -> None:
    """A pod that is not the reviewed one fails."""
    pod = chart / "templates" / "_pod.tpl"
    pod.write_text(pod.read_text().replace("enableServiceLinks: false", "enableServiceLinks: true"))

    done = subprocess.run(
        [find_program("helm-unittest"), "--strict", chart], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode != 0
    assert "enableServiceLinks" in done.stdout


def test_suites_are_not_part_of_the_packaged_chart(tmp_path: Path) -> None:
    """Who installs it gets templates and files, not our tests and values for CI."""
    helm("package", CHART, "-d", tmp_path)
    (package,) = tmp_path.glob("*.tgz")

    names = {Path(name).parts[1] for name in _run("tar", "-tzf", package).splitlines()}

    assert names - {".helmignore"} == {
        "Chart.yaml",
        "README.md",
        "values.yaml",
        "values.schema.json",
        "templates",
        "files",
    }


def test_overlay_for_kustomize_is_what_the_chart_makes() -> None:
    """Object by object, but for the labels and annotations that speak to helm; and `kubectl kustomize` builds it."""
    expected = render("crds.install=false", namespace="archivmail", release="archivmail")
    found = [each for each in yaml.safe_load_all((OVERLAY / "archivmail.yaml").read_text()) if each]

    assert [_without_helm(each) for each in found] == [_without_helm(each) for each in expected]
    assert "helm" not in json.dumps(found).lower()
    built = list(yaml.safe_load_all(_run(find_program("kubectl"), "kustomize", OVERLAY)))
    assert len(built) == len(found) + 2
    assert {each["kind"] for each in built} >= {"Namespace", "CustomResourceDefinition", "Deployment"}


def test_pruning_takes_neither_mail_nor_definition_nor_namespace() -> None:
    """What Flux and Argo CD look at before they delete."""
    built = list(yaml.safe_load_all(_run(find_program("kubectl"), "kustomize", OVERLAY)))

    kept = of_kind(built, "PersistentVolumeClaim", "CustomResourceDefinition", "Namespace")
    assert len(kept) == 3
    for each in kept:
        assert each["metadata"]["annotations"] == {
            "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
            "kustomize.toolkit.fluxcd.io/prune": "disabled",
        }


@pytest.mark.parametrize("names", [[], ["overview"], ["overview", "Some_account"]])
def test_every_dashboard_becomes_a_config_map(chart: Path, names: list[str]) -> None:
    """None, one and many; braces in them are Grafana's and stay; the label is the one that the sidecar looks for."""
    folder = chart / "files" / "dashboards"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    texts = {f"{name}.json": json.dumps({"title": name, "legend": "{{ namespace }}"}, indent=2) for name in names}
    for name, text in texts.items():
        (folder / name).write_text(text + "\n")

    maps = of_kind(_dashboards(chart), "ConfigMap")

    assert {name: text for each in maps for name, text in each["data"].items()} == texts
    assert len({each["metadata"]["name"] for each in maps}) == len(names)
    for each in maps:
        assert each["metadata"]["labels"]["sidecar"] == "true"
        assert each["metadata"]["namespace"] == "grafana"
        assert each["metadata"]["annotations"] == {"grafana_folder": "Mail"}


def test_dashboards_of_the_chart_are_all_there() -> None:
    """As many ConfigMaps as files; without the switch none."""
    files = {path.name for path in (CHART / "files" / "dashboards").glob("*.json")}

    assert {name for each in of_kind(_dashboards(CHART), "ConfigMap") for name in each["data"]} == files
    assert not of_kind(render(), "ConfigMap")


def _dashboards(chart: Path) -> list[Manifest]:
    values = {"enabled": True, "label": "sidecar", "labelValue": "true", "namespace": "grafana"}
    values |= {"annotations": {"grafana_folder": "Mail"}}
    text = helm("template", "archive", chart, f"--set-json=metrics.dashboards={json.dumps(values)}")
    return [each for each in yaml.safe_load_all(text) if each]


def _leaves(values: dict[str, object], path: str = "") -> list[str]:
    found = []
    for name, value in values.items():
        found += _leaves(value, f"{path}{name}.") if isinstance(value, dict) and value else [path + name]
    return found


def _without_helm(manifest: Manifest) -> Manifest:
    text = json.dumps(manifest)
    found: Manifest = json.loads(text)
    for metadata in _metadata(found):
        for name in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
            metadata.get("labels", {}).pop(name, None)
        annotations = metadata.get("annotations", {})
        annotations.pop("helm.sh/resource-policy", None)
        if not annotations:
            metadata.pop("annotations", None)
    return found


def _metadata(node: object) -> list[dict[str, dict[str, str]]]:
    if not isinstance(node, dict):
        return []
    found = [node["metadata"]] if isinstance(node.get("metadata"), dict) else []
    return found + [each for value in node.values() for each in _metadata(value)]
