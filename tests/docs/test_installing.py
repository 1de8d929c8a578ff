"""docs/install.md, upgrade.md, uninstall.md and gitops.md: their commands, run against the API server."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.chart import CHECKOUT, of_kind, render, shape
from tests.deploy.chart import CRD as CRD_FILE
from tests.deploy.rights import granted
from tests.deploy.test_upgrade import PREVIOUS
from tests.docs.pages import DOCS, blocks, run_page
from tests.e2e.operating import Operator
from tests.servers.api import ApiError
from tests.servers.binaries import find_program
from tests.servers.controlplane import ControlPlane

pytestmark = pytest.mark.servers

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/imapaccounts.archivmail.io"
CLAIM = "/api/v1/namespaces/archivmail/persistentvolumeclaims/archivmail"
DEPLOYMENT = "/apis/apps/v1/namespaces/archivmail/deployments/archivmail"
ACCOUNTS = "/apis/archivmail.io/v1alpha1/namespaces/mailboxes/imapaccounts"
ACCOUNT = {
    "apiVersion": "archivmail.io/v1alpha1",
    "kind": "ImapAccount",
    "metadata": {"name": "alice"},
    "spec": {"host": "imap.example.org", "auth": {"secretRef": {"name": "alice"}}, "suspend": True},
}
KINDS = "deployment,service,serviceaccount,role,rolebinding,configmap,secret,networkpolicy,cronjob"


class Cluster:
    """The API server as a reader's cluster: a folder with the checkout's `deploy`, and nothing of archivmail there."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane = plane
        self.folder = folder
        (folder / "deploy").symlink_to(CHECKOUT / "deploy")
        programs = {str(find_program(name).parent) for name in ("helm", "kubectl")}
        self._environment = {
            **plane.kubectl_environment(),
            "PATH": os.pathsep.join([*sorted(programs), os.environ["PATH"]]),
            "HELM_CACHE_HOME": str(folder / "helm"),
        }

    def run(self, page: str, section: str | None = None) -> str:
        """What the commands print; the first that fails is an AssertionError."""
        return run_page(page, self.folder, self._environment, section)

    def shell(self, command: str) -> None:
        """A command of the test's own, as a reader would type it."""
        subprocess.run(["bash", "-euc", command], check=True, timeout=60, cwd=self.folder, env=self._environment)

    def has(self, path: str) -> bool:
        try:
            self.plane.api.get(path)
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        return True

    def clear(self) -> None:
        """As if archivmail had never been here; only its definition stays, for other tests use it, and belongs to
        nobody."""
        for namespace in ("archivmail", "mailboxes"):
            if self.has(f"/api/v1/namespaces/{namespace}"):
                self._clear(namespace)
        self.plane.kubectl("delete", "clusterrole,clusterrolebinding", "-l", "app.kubernetes.io/instance=archivmail")
        nobodys = [
            {"op": "replace", "path": "/metadata/managedFields", "value": [{}]},
            {"op": "add", "path": "/metadata/labels", "value": {"app.kubernetes.io/managed-by": "Helm"}},
            {"op": "add", "path": "/metadata/annotations", "value": RELEASE},
        ]
        self.plane.api.request("PATCH", CRD, nobodys, content_type="application/json-patch+json")

    def _clear(self, namespace: str) -> None:
        """A namespace is emptied by a controller, which is not here."""
        self.plane.kubectl("delete", KINDS, "-n", namespace, "--all")
        for kind in ("persistentvolumeclaims", "imapaccounts"):
            self.plane.kubectl("delete", kind, "-n", namespace, "--all", "--wait=false")
        for path in (CLAIM, f"{ACCOUNTS}/alice"):
            if f"/{namespace}/" in path and self.has(path):
                self.plane.api.merge_patch(path, {"metadata": {"finalizers": None}})
        path = f"/api/v1/namespaces/{namespace}"
        found = self.plane.api.request("DELETE", path)
        self.plane.api.request("PUT", f"{path}/finalize", found | {"spec": {"finalizers": []}})


# What helm looks at before it takes over a definition that an earlier release has left behind.
RELEASE = {"meta.helm.sh/release-name": "archivmail", "meta.helm.sh/release-namespace": "archivmail"}


@pytest.fixture
def cluster(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Cluster]:
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", CRD_FILE)
    control_plane.kubectl("wait", "--for=condition=Established", "crd/imapaccounts.archivmail.io", "--timeout=30s")
    made = Cluster(control_plane, tmp_path)
    made.clear()
    yield made
    made.clear()


def test_helm_installs_the_operator_and_an_account(cluster: Cluster) -> None:
    """With the values of the guide, and with those for a bucket; the account is one that the API server takes."""
    printed = cluster.run("install.md", "Helm")

    claim = cluster.plane.api.get(CLAIM)
    assert claim["spec"]["resources"]["requests"]["storage"] == "100Gi"
    assert cluster.has(DEPLOYMENT)
    assert cluster.has("/apis/batch/v1/namespaces/archivmail/cronjobs/archivmail-verify")
    assert "alice" in printed


@pytest.mark.parametrize("section", ["kustomize", "Plain manifests"])
def test_other_ways_install_the_operator(cluster: Cluster, section: str) -> None:
    """And with kustomize the overlay's patches are in. What the guide deletes by label leaves mail and definition."""
    cluster.run("install.md", section)

    pod = cluster.plane.api.get(DEPLOYMENT)["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "ghcr.io/archivmail/archivmail:0.1.0"
    if section == "kustomize":
        assert pod["priorityClassName"] == "system-cluster-critical"
        assert cluster.plane.api.get(CLAIM)["spec"]["resources"]["requests"]["storage"] == "100Gi"
    cluster.shell(blocks("uninstall.md", "sh", "In order")[-1])
    assert cluster.has(CLAIM)
    assert cluster.has(CRD)
    assert not cluster.has(DEPLOYMENT)
    for kind in ("clusterroles", "clusterrolebindings"):
        selector = "labelSelector=app.kubernetes.io/instance%3Darchivmail"
        assert not cluster.plane.api.get(f"/apis/rbac.authorization.k8s.io/v1/{kind}?{selector}")["items"]


def test_every_right_of_the_guide_is_one_of_the_role(cluster: Cluster) -> None:
    """The table of install.md, row by row."""
    text = (DOCS / "install.md").read_text()
    rows = re.findall(r"^\| ([a-z, ]+) \| `([a-z/]+)` \|", text, re.MULTILINE)

    told = {(resource, verb) for verbs, resource in rows for verb in verbs.split(", ")}
    manifests = render("rbac.updateSecrets=true", "secrets.watch=true", values=shape("sharded"))
    roles = [each for each in of_kind(manifests, "ClusterRole", "Role") if not _is_for_people(each)]
    assert told == {(right.resource, right.verb) for role in roles for right in granted(role)}


def test_upgrade_and_rollback_by_the_guide(cluster: Cluster) -> None:
    """From the previous chart and back to it, the claim the same."""
    cluster.shell(
        f"helm install archivmail {PREVIOUS} --namespace archivmail --create-namespace --set persistence.size=30Gi"
    )
    before = cluster.plane.api.get(CLAIM)

    printed = cluster.run("upgrade.md")

    after = cluster.plane.api.get(CLAIM)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"]["resources"]["requests"]["storage"] == "30Gi"
    assert "archivmail-0.1.0" in printed
    assert "archivmail-0.0.9" in str(cluster.plane.api.get(DEPLOYMENT)["metadata"]["labels"])


def test_uninstalling_in_order_leaves_nothing_waiting(cluster: Cluster) -> None:
    """With the operator as a process, since no pod runs here; mail and definition stay."""
    cluster.shell("helm install archivmail deploy/helm/archivmail --namespace archivmail --create-namespace")
    cluster.shell("kubectl create namespace mailboxes")
    cluster.plane.api.request("POST", ACCOUNTS, ACCOUNT)
    kubeconfig = cluster.plane.kubeconfig(cluster.folder / "kubeconfig")
    log = cluster.folder / "operator.log"
    with Operator(kubeconfig, cluster.folder / "archive", namespace="mailboxes", log=log):
        cluster.plane.api.wait_for(f"{ACCOUNTS}/alice", lambda body: bool(body["metadata"].get("finalizers")))
        cluster.run("uninstall.md", "In order")

    assert not cluster.has(f"{ACCOUNTS}/alice")
    assert not cluster.has(DEPLOYMENT)
    assert cluster.has(CLAIM)
    assert cluster.has(CRD)


def test_accounts_of_an_operator_that_went_first_can_be_released(cluster: Cluster) -> None:
    """The last resort of the guide."""
    cluster.shell("kubectl create namespace mailboxes")
    finalizers = {"metadata": {"name": "alice", "finalizers": ["archivmail.io/finalizer"]}}
    cluster.plane.api.request("POST", ACCOUNTS, ACCOUNT | finalizers)

    cluster.run("uninstall.md", "When the operator went first")

    assert not cluster.has(f"{ACCOUNTS}/alice")


def test_argo_cd_keeps_its_configuration_when_ours_is_merged(cluster: Cluster) -> None:
    """Two keys come; nothing goes."""
    cluster.shell("kubectl get namespace argocd || kubectl create namespace argocd")
    cluster.shell("kubectl delete configmap argocd-cm -n argocd --ignore-not-found")
    cluster.shell("kubectl create configmap argocd-cm -n argocd --from-literal url=https://argocd.example.org")

    cluster.run("gitops.md")

    data = cluster.plane.api.get("/api/v1/namespaces/argocd/configmaps/argocd-cm")["data"]
    assert data["url"] == "https://argocd.example.org"
    assert {name for name in data if name.startswith("resource.customizations.")} == {
        "resource.customizations.health.archivmail.io_ImapAccount",
        "resource.customizations.actions.archivmail.io_ImapAccount",
    }


@pytest.mark.parametrize("page", ["install.md", "upgrade.md", "uninstall.md", "gitops.md"])
def test_every_file_of_the_guides_is_there(page: str) -> None:
    """Paths below deploy/, also of gitops.md, which leaves the folder out."""
    text = (DOCS / page).read_text()
    named = re.findall(r"`?(deploy/(?:helm|kustomize|gitops|crds)[\w./-]*|(?:secrets|flux|argocd)/[\w-]+\.yaml)", text)

    assert named or page == "uninstall.md"
    for name in named:
        path = name if name.startswith("deploy") else f"deploy/gitops/{name}"
        assert (CHECKOUT / path.rstrip(".")).exists(), name


def _is_for_people(role: dict[str, Any]) -> bool:
    return str(role["metadata"]["name"]).endswith(("-view", "-edit"))
