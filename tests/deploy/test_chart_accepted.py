"""What the chart renders is valid to kubeconform and to a real API server; its pods pass restricted Pod Security."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.servers.binaries import cache_folder, find_program

from .chart import CHECKOUT, CRD, SHAPES, Manifest, of_kind, pod_templates, render, render_text, shape
from .schemas import write_schemas

if TYPE_CHECKING:
    from tests.servers.controlplane import ControlPlane

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> ControlPlane:
    """An API server with the CRDs that the chart's objects need, and the namespaces that the shapes name."""
    subprocess.run([CHECKOUT / "hack" / "prometheus-crds.sh"], check=True, timeout=240)  # does nothing the second time
    folder = cache_folder() / "crds"
    crds = [folder / f"monitoring.coreos.com_{name}.yaml" for name in ("podmonitors", "prometheusrules")]
    for crd in (CRD, *crds):
        control_plane.kubectl("apply", "--server-side", "-f", crd)
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    for name in ("mail", "team-a", "team-b"):
        labels = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        control_plane.apply(json.dumps(namespace))
    return control_plane


@pytest.fixture(scope="module")
def schemas(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Schemas of every kind that some shape renders."""
    manifests = [each for name in SHAPES for each in render(values=shape(name))]
    kinds = {(each["apiVersion"], each["kind"]) for each in manifests}
    kinds |= {("archivmail.io/v1alpha1", "ImapAccount"), ("v1", "Namespace")}
    return write_schemas(cluster.api, kinds, tmp_path_factory.mktemp("schemas"))


@pytest.mark.parametrize("name", SHAPES)
def test_kubeconform_accepts_every_shape(schemas: str, name: str) -> None:
    """Strictly: no unknown field, no kind without a schema."""
    text = render_text(values=shape(name))

    said = _kubeconform(schemas, text)

    assert said["resources"] == []  # those with a problem
    assert said["summary"] == {"valid": len(render(values=shape(name))), "invalid": 0, "errors": 0, "skipped": 0}


def test_kubeconform_accepts_the_overlay_for_kustomize(schemas: str) -> None:
    """As it is built, with its patches."""
    overlay = CHECKOUT / "deploy" / "kustomize" / "default"
    built = subprocess.run(
        [find_program("kubectl"), "kustomize", overlay], capture_output=True, text=True, check=True, timeout=60
    )

    said = _kubeconform(schemas, built.stdout)

    assert said["resources"] == []
    assert said["summary"]["valid"] == built.stdout.count("\n---\n") + 1


def test_kubeconform_would_see_a_misspelt_field(schemas: str) -> None:
    """The schemas are as strict as they claim."""
    wrong = render_text().replace("terminationGracePeriodSeconds:", "terminationGraceSeconds:")

    assert _kubeconform(schemas, wrong)["summary"]["invalid"] == 1


def test_kubeconform_accepts_an_account(schemas: str) -> None:
    """The CRD's own schema is one that tools beside the API server can read."""
    account = {
        "apiVersion": "archivmail.io/v1alpha1",
        "kind": "ImapAccount",
        "metadata": {"name": "alice"},
        "spec": {"host": "imap.example.org", "auth": {"secretRef": {"name": "alice"}}},
    }
    broken = account | {"spec": {"hots": "imap.example.org"}}

    assert _kubeconform(schemas, json.dumps(account))["summary"]["valid"] == 1
    assert _kubeconform(schemas, json.dumps(broken))["summary"]["invalid"] == 1


@pytest.mark.parametrize("name", SHAPES)
def test_api_server_accepts_every_shape(cluster: ControlPlane, name: str) -> None:
    """Every object passes validation and admission, and no warning is given."""
    done = cluster.kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--warnings-as-errors", "-f", "-",
        stdin=render_text(values=shape(name)), check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", SHAPES)
def test_pods_pass_restricted_pod_security(cluster: ControlPlane, name: str) -> None:
    """Admitted into a namespace that enforces it; Pod Security only warns of Deployments and Jobs."""
    templates = pod_templates(render(values=shape(name)))

    assert templates
    for template in templates:
        answer = _create_pod(cluster, template)
        assert answer.returncode == 0, answer.stderr


def test_pod_security_would_refuse_a_privilege(cluster: ControlPlane) -> None:
    """The namespace of the test above does enforce."""
    (template,) = pod_templates(render('securityContext={"allowPrivilegeEscalation":true}'))

    answer = _create_pod(cluster, template)

    assert "violates PodSecurity" in answer.stderr


def test_service_account_may_do_what_the_operator_does_and_no_more(cluster: ControlPlane) -> None:
    """Asked of the API server's own authorizer, as the ServiceAccount."""
    roles = of_kind(render(), "ClusterRole", "ClusterRoleBinding")
    cluster.apply(yaml.safe_dump_all(roles))
    try:
        assert _can(cluster, "patch", "imapaccounts.archivmail.io")
        assert _can(cluster, "patch", "imapaccounts.archivmail.io", "--subresource=status")
        assert _can(cluster, "get", "secrets")
        assert _can(cluster, "create", "events")
        for verb, resource in (
            ("list", "secrets"),
            ("patch", "secrets"),
            ("delete", "imapaccounts.archivmail.io"),
            ("create", "imapaccounts.archivmail.io"),
            ("list", "namespaces"),
            ("list", "customresourcedefinitions.apiextensions.k8s.io"),
            ("get", "pods"),
        ):
            assert not _can(cluster, verb, resource), f"{verb} {resource}"
    finally:
        cluster.kubectl("delete", "-f", "-", stdin=yaml.safe_dump_all(roles))


def _can(cluster: ControlPlane, verb: str, resource: str, *options: str) -> bool:
    user = "--as=system:serviceaccount:mail:archive-archivmail"
    said = cluster.kubectl("auth", "can-i", verb, resource, "-n", "team-a", user, *options, check=False)
    assert said.stdout.strip() in {"yes", "no"}, said.stderr
    return said.stdout.strip() == "yes"


def _create_pod(cluster: ControlPlane, template: Manifest) -> subprocess.CompletedProcess[str]:
    metadata = template["metadata"] | {"name": "probe", "namespace": "mail"}
    spec = {key: value for key, value in template["spec"].items() if key != "priorityClassName"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    return cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod), check=False)


def _kubeconform(schemas: str, text: str) -> Manifest:
    done = subprocess.run(
        [find_program("kubeconform"), "-strict", "-summary", "-output=json", "-schema-location", schemas],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path("/"),
    )
    assert done.stdout, done.stderr
    said: Manifest = json.loads(done.stdout)
    return said
