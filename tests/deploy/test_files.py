"""Files for deployment that can be looked at as they are: copies are equal, and names lead to something."""

from __future__ import annotations

import json
import re

import yaml

from archivmail import __version__
from archivmail.kube.resource import parse

from .chart import CHART, CHECKOUT, CRD

DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()
SKAFFOLD = yaml.safe_load((CHECKOUT / "skaffold.yaml").read_text())


def test_chart_copy_of_the_crd_is_the_crd() -> None:
    """The file in the chart is what `make crds` wrote, octet for octet (hack/chart-crd.sh copies it)."""
    assert (CHART / "files" / CRD.name).read_bytes() == CRD.read_bytes()


def test_chart_and_image_have_the_version_of_the_package() -> None:
    """One release is one number."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["version"] == chart["appVersion"] == __version__
    assert f"ARG VERSION={__version__}\n" in DOCKERFILE


def test_artifact_hub_is_told_what_is_true() -> None:
    """Image, definition and example are those of the chart; each annotation is YAML of the form that it wants."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    said = {name.removeprefix("artifacthub.io/"): yaml.safe_load(text) for name, text in chart["annotations"].items()}

    assert [each["image"] for each in said["images"]] == [f"{values['image']['repository']}:{chart['appVersion']}"]
    crd = yaml.safe_load(CRD.read_text())
    assert [(each["name"], each["version"], each["kind"]) for each in said["crds"]] == [
        (crd["metadata"]["name"], crd["spec"]["versions"][0]["name"], crd["spec"]["names"]["kind"])
    ]
    for example in said["crdsExamples"]:
        parse(example | {"metadata": {"namespace": "default", **example["metadata"]}}, strict=True)
    assert {each["kind"] for each in said["changes"]} <= {
        "added", "changed", "deprecated", "removed", "fixed", "security",
    }  # fmt: skip
    assert all(each["url"].startswith(f"{chart['home']}/") for each in said["links"])


def test_every_value_of_the_chart_has_a_schema() -> None:
    """A value without one would be accepted misspelt."""
    schema = json.loads((CHART / "values.schema.json").read_text())

    assert _paths(yaml.safe_load((CHART / "values.yaml").read_text()), schema) == set()


def test_image_is_never_root_and_its_base_can_be_pinned() -> None:
    """What is kept comes from BASE_IMAGE; the last USER is a number, which runAsNonRoot can check."""
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${BASE_IMAGE}", "scratch"]
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["65532:65532"]


def test_everything_installed_into_the_image_has_a_hash() -> None:
    """No pip line fetches a package that no lock names."""
    installs = re.findall(r"pip(?: --python \S+)?(?: \\\n)?\s+(?:install|wheel)[^&\n]*", DOCKERFILE)

    assert len(installs) == 4
    for line in installs:
        assert "--require-hashes" in line or "--no-index" in line or "--no-build-isolation" in line


def test_dockerignore_lets_in_what_the_dockerfile_copies() -> None:
    """And nothing else: no history, no archive, no cache."""
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)

    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert allowed == {name.rstrip("/") for names in copied for name in names.split()}


def test_skaffold_builds_and_installs_what_is_there() -> None:
    """Its files exist, and the values that it sets are values of the chart."""
    (artifact,) = SKAFFOLD["build"]["artifacts"]
    (release,) = SKAFFOLD["deploy"]["helm"]["releases"]
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    assert (CHECKOUT / artifact["context"] / artifact["docker"]["dockerfile"]).is_file()
    assert (CHECKOUT / release["chartPath"]) == CHART
    for path, value in (release["setValues"] | release["setValueTemplates"]).items():
        branch, _, leaf = path.rpartition(".")
        assert leaf in values[branch]
        if path.startswith("image."):
            assert value.endswith(f"_{artifact['image']}}}}}")


def _paths(values: dict[str, object], schema: dict[str, object], path: str = "") -> set[str]:
    """Paths of values that the schema does not know."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return set()
    missing = set()
    for name, value in values.items():
        if name not in properties:
            missing.add(path + name)
        elif isinstance(value, dict):
            missing |= _paths(value, properties[name], f"{path}{name}.")
    return missing
