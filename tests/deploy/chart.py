"""The chart as its users call it: helm, on the files of the checkout."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tests.servers.binaries import find_program

CHECKOUT = Path(__file__).resolve().parents[2]
CHART = CHECKOUT / "deploy" / "helm" / "archivmail"
CRD = CHECKOUT / "deploy" / "crds" / "archivmail.io_imapaccounts.yaml"
SHAPES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
HELM_TIMEOUT_S = 60

Manifest = dict[str, Any]


class HelmError(RuntimeError):
    """helm refused; the text is what it said."""


def shape(name: str) -> Path:
    """The values file of a shape under `ci/`."""
    return CHART / "ci" / f"{name}-values.yaml"


def helm(*args: str | Path) -> str:
    """What helm prints. Raises HelmError."""
    done = subprocess.run(
        [find_program("helm"), *args], capture_output=True, text=True, check=False, timeout=HELM_TIMEOUT_S
    )
    if done.returncode != 0:
        raise HelmError(done.stderr.strip())
    return done.stdout


def render_text(*sets: str, values: Path | None = None, namespace: str = "mail", release: str = "archive") -> str:
    """The manifests of a release in `namespace`; `sets` are `name=JSON`. Raises HelmError."""
    options: list[str | Path] = ["--values", values] if values else []
    return helm("template", release, CHART, "-n", namespace, *options, *(f"--set-json={each}" for each in sets))


def render(*sets: str, values: Path | None = None, namespace: str = "mail", release: str = "archive") -> list[Manifest]:
    """The same, parsed. Raises HelmError, and ValueError for a key that stands twice."""
    text = render_text(*sets, values=values, namespace=namespace, release=release)
    return [each for each in yaml.load_all(text, _StrictLoader) if each]


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] in kinds]


def one(manifests: Iterable[Manifest], kind: str) -> Manifest:
    """The only manifest of that kind."""
    (found,) = of_kind(manifests, kind)
    return found


def pod_specs(manifests: Iterable[Manifest]) -> list[Manifest]:
    """Specs of all pods that the manifests lead to."""
    return [template["spec"] for template in pod_templates(manifests)]


def pod_templates(manifests: Iterable[Manifest]) -> list[Manifest]:
    found = []
    for each in of_kind(manifests, "Deployment", "StatefulSet", "CronJob"):
        spec = each["spec"]["jobTemplate"]["spec"] if each["kind"] == "CronJob" else each["spec"]
        found.append(spec["template"])
    return found


class _StrictLoader(yaml.SafeLoader):
    """YAML of which a key stands twice is an error, as it is for a strict API server."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise ValueError(f"keys stand twice: {sorted(twice)} {node.start_mark}")
        return super().construct_mapping(node, deep)
