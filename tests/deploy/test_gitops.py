"""deploy/gitops: what is there to copy is accepted where it is meant to go, and says what it is meant to say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.servers.api import ApiError
from tests.servers.binaries import cache_folder, find_program

from .chart import CHART, CHECKOUT, Manifest, of_kind, one, render
from .release import Release
from .story import Story

if TYPE_CHECKING:
    from tests.servers.controlplane import ControlPlane

pytestmark = pytest.mark.servers

GITOPS = CHECKOUT / "deploy" / "gitops"
FILES = sorted(path.relative_to(GITOPS).as_posix() for path in GITOPS.rglob("*.yaml"))
NO_SCHEMA = {"argoproj.io/v1alpha1", "helm.toolkit.fluxcd.io/v2"}  # no Go module that can be had holds their CRDs
EFFECTIVE_S = 30.0


def manifests(name: str) -> list[Manifest]:
    return [each for each in yaml.safe_load_all((GITOPS / name).read_text()) if each]


@pytest.fixture(scope="module")
def cluster(release: Release) -> ControlPlane:
    """The API server with the definitions of Flux, External Secrets and Sealed Secrets."""
    subprocess.run([CHECKOUT / "hack" / "gitops-crds.sh"], check=True, timeout=240)  # does nothing the second time
    plane = release.plane
    plane.kubectl("apply", "--server-side", "-f", cache_folder() / "crds" / "gitops")
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    for name in ("flux-system", "mailboxes", "argocd"):
        plane.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
    return plane


@pytest.mark.parametrize("name", FILES)
def test_api_server_accepts_every_manifest(cluster: ControlPlane, name: str) -> None:
    """Strictly: an unknown field is an error."""
    known = [each for each in manifests(name) if each["apiVersion"] not in NO_SCHEMA]
    text = "\n---\n".join(json.dumps(each) for each in known)

    if known:
        done = cluster.kubectl(
            "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text, check=False
        )
        assert done.returncode == 0, done.stderr


def test_api_server_would_refuse_a_misspelt_field(cluster: ControlPlane) -> None:
    """The definitions above are in force."""
    (_, kustomization) = manifests("flux/accounts.yaml")
    kustomization["spec"]["heathCheckExprs"] = []

    done = cluster.kubectl(
        "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-",
        stdin=json.dumps(kustomization), check=False,
    )  # fmt: skip

    assert "heathCheckExprs" in done.stderr


def test_operator_comes_before_the_accounts_and_goes_after_them() -> None:
    """Waves for Argo CD, which prunes them in reverse; `dependsOn` for Flux."""
    waves = {
        each["metadata"]["name"]: int(each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])
        for each in manifests("argocd/applications.yaml")
    }
    assert waves["archivmail"] < waves["archivmail-accounts"]
    secrets = [manifests(f"secrets/{kind}-secret.yaml")[0] for kind in ("external", "sealed")]
    (account,) = manifests("secrets/account.yaml")
    for each in secrets:
        assert int(each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]) < 0
        assert each["metadata"]["name"] == account["spec"]["auth"]["secretRef"]["name"]
    assert one(manifests("flux/accounts.yaml"), "Kustomization")["spec"]["dependsOn"] == [{"name": "archivmail"}]


def test_applications_have_the_shape_that_argo_cd_wants() -> None:
    """Their paths and values are those of this repository."""
    for each in manifests("argocd/applications.yaml"):
        spec = each["spec"]
        assert each["kind"] == "Application"
        assert set(spec) == {"project", "source", "destination", "syncPolicy"}
        assert set(spec["destination"]) == {"server", "namespace"}
        assert "ServerSideApply=true" in spec["syncPolicy"]["syncOptions"]
        assert each["metadata"]["finalizers"] == ["resources-finalizer.argocd.argoproj.io"]
    (operator, _) = manifests("argocd/applications.yaml")
    assert CHECKOUT / operator["spec"]["source"]["path"] == CHART
    _render_with(operator["spec"]["source"]["helm"]["valuesObject"])


def test_helm_release_takes_the_chart_from_its_source() -> None:
    """Names agree, and the chart takes the values."""
    release = one(manifests("flux/operator-helm.yaml"), "HelmRelease")
    source = one(manifests("flux/operator-helm.yaml"), "OCIRepository")

    assert release["spec"]["chartRef"] == {"kind": "OCIRepository", "name": source["metadata"]["name"]}
    assert set(release["spec"]) <= {
        "interval", "timeout", "chartRef", "releaseName", "targetNamespace", "storageNamespace", "install", "upgrade",
        "values",
    }  # fmt: skip
    _render_with(release["spec"]["values"])


def test_patches_of_the_flux_example_fit_the_overlay(tmp_path: Path) -> None:
    """They are applied by `kubectl kustomize` as Flux does it."""
    kustomization = one(manifests("flux/operator-kustomize.yaml"), "Kustomization")["spec"]
    overlay = CHECKOUT / kustomization["path"]
    base = os.path.relpath(overlay, tmp_path)
    document = {"resources": [base], "patches": kustomization["patches"]}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(document))

    done = subprocess.run(
        [find_program("kubectl"), "kustomize", tmp_path], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
    claim = one(yaml.safe_load_all(done.stdout), "PersistentVolumeClaim")
    assert claim["spec"]["resources"]["requests"]["storage"] == "100Gi"


EXPECTED = {
    "created": "",
    "complete": "current",
    "changed": "current",
    "stalled": "failed",
    "secret missing": "",
    "suspended": "current",
    "created suspended": "current",
}


def test_expressions_for_flux_judge_real_objects(cluster: ControlPlane, story: Story, health_policy: str) -> None:
    """Evaluated by the API server's CEL on the statuses that the story saw: a missing Secret is waited for."""
    path = f"/apis/archivmail.io/v1alpha1/namespaces/{health_policy}/imapaccounts"

    said = {name: _judged(cluster, path, name, story.seen[name]) for name in EXPECTED}

    assert said == EXPECTED


@pytest.fixture
def health_policy(cluster: ControlPlane) -> Iterator[str]:
    """A namespace in which every update of an account is refused with what the expressions say of it."""
    namespace = cluster.create_namespace("cel")
    (check,) = one(manifests("flux/accounts.yaml"), "Kustomization")["spec"]["healthCheckExprs"]
    verdicts = " + ".join(f"(({_of_object(check[name])}) ? '{name}' : '')" for name in ("failed", "current"))
    rule = {
        "apiGroups": ["archivmail.io"],
        "apiVersions": ["*"],
        "operations": ["UPDATE"],
        "resources": ["imapaccounts"],
    }
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": namespace},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "false", "messageExpression": f"'verdict=' + {verdicts} + '.'"}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": namespace},
        "spec": {
            "policyName": namespace,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}},
        },
    }
    documents = "\n---\n".join(json.dumps(each) for each in (policy, binding))
    cluster.apply(documents)
    yield namespace
    cluster.kubectl("delete", "-f", "-", stdin=documents)


def _of_object(expression: str) -> str:
    """Flux names the object's fields; the API server names the object."""
    return re.sub(r"(?<![.\w'])(status|spec|metadata)\b", r"object.\1", expression)


def _judged(cluster: ControlPlane, path: str, name: str, document: dict[str, Any]) -> str:
    """The verdict over a copy of the object with its status; generations start anew in the copy."""
    name = name.replace(" ", "-")
    is_observed = document["status"]["observedGeneration"] == document["metadata"]["generation"]
    copy = {key: document[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": name}}
    cluster.api.request("POST", path, copy)
    status = document["status"] | {"observedGeneration": 1 if is_observed else -1}
    cluster.api.merge_patch(f"{path}/{name}/status", {"status": status})
    deadline = time.monotonic() + EFFECTIVE_S
    while time.monotonic() < deadline:
        try:
            cluster.api.merge_patch(f"{path}/{name}", {"metadata": {"annotations": {"judge": "me"}}})
        except ApiError as error:
            return re.sub(r".*verdict=(\w*)\..*", r"\1", str(error), flags=re.DOTALL)
        # A new policy is in force a moment later; nothing tells when.
        cluster.api.merge_patch(f"{path}/{name}", {"metadata": {"annotations": {"judge": None}}})
        time.sleep(0.1)
    raise TimeoutError("the policy did not take effect")


def _render_with(values: dict[str, Any]) -> None:
    assert of_kind(render(*(f"{key}={json.dumps(value)}" for key, value in values.items())), "Deployment")
