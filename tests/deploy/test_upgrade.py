"""From the previous chart to this one and back, on the API server: what users have stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.servers.api import ApiError
from tests.servers.controlplane import ControlPlane

from .chart import HelmError, render_text
from .release import NAME, SERVICE_ACCOUNT, Release

pytestmark = pytest.mark.servers

PREVIOUS = Path(__file__).parent / "previous" / "archivmail"
VALUES = ("podDisruptionBudget.enabled=true", 'verify.schedule="0 3 * * 0"', "networkPolicy.enabled=true")
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/imapaccounts.archivmail.io"
ACCOUNT = {
    "apiVersion": "archivmail.io/v1alpha1",
    "kind": "ImapAccount",
    "metadata": {"name": "alice", "finalizers": ["archivmail.io/finalizer"]},
    "spec": {"host": "imap.example.org", "auth": {"secretRef": {"name": "alice"}}, "suspend": True},
}
STATUS = {"status": {"observedGeneration": 1, "messages": {"server": 7, "archived": 7}}}


class Installed:
    """A release of the previous chart, with an account and its status."""

    def __init__(self, plane: ControlPlane) -> None:
        self.release = Release(plane)
        self.api = plane.api
        self.release.install(*VALUES, chart=PREVIOUS)
        plane.kubectl("wait", "--for=condition=Established", "crd/imapaccounts.archivmail.io", "--timeout=30s")
        self.account = f"/apis/archivmail.io/v1alpha1/namespaces/{self.release.namespace}/imapaccounts/alice"
        self.api.request("POST", self.account.rpartition("/")[0], ACCOUNT)
        self.api.merge_patch(f"{self.account}/status", STATUS)

    def of(self, kind: str) -> dict[str, Any]:
        return self.api.get(f"/{kind.replace('{}', f'namespaces/{self.release.namespace}')}")

    @property
    def kept(self) -> dict[str, str]:
        """uids of what must not be made anew: mail, rights, the definition of the accounts, an account."""
        objects = {
            "claim": f"api/v1/{{}}/persistentvolumeclaims/{SERVICE_ACCOUNT}",
            "service account": f"api/v1/{{}}/serviceaccounts/{SERVICE_ACCOUNT}",
            "deployment": f"apis/apps/v1/{{}}/deployments/{SERVICE_ACCOUNT}",
            "definition": CRD.lstrip("/"),
            "account": self.account.lstrip("/"),
        }
        return {name: self.of(path)["metadata"]["uid"] for name, path in objects.items()}

    def versions(self) -> dict[str, str]:
        """resourceVersions of everything that the release has."""
        said = self.release.plane.kubectl("get", "-f", "-", "-o", "json", stdin=self.release.manifest()).stdout
        return {
            f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["resourceVersion"]
            for each in json.loads(said)["items"]
        }


@pytest.fixture
def installed(control_plane: ControlPlane) -> Iterator[Installed]:
    made = Installed(control_plane)
    yield made
    made.api.merge_patch(made.account, {"metadata": {"finalizers": []}})
    made.release.install()  # this chart's definition for the tests that follow


def test_upgrade_and_rollback_keep_mail_and_accounts(installed: Installed) -> None:
    """Nothing immutable has changed: the same claim, Deployment and account are there, with its status."""
    before = installed.kept
    release = installed.release

    release.install(*VALUES, 'metrics.dashboards={"enabled":true}')
    upgraded = release.deployment()
    assert installed.kept == before
    assert installed.api.get(installed.account)["status"] == STATUS["status"]
    release.helm("rollback", NAME, "1", "--force-conflicts")

    assert installed.kept == before
    assert installed.api.get(installed.account)["status"] == STATUS["status"]
    assert "archivmail-0.1.0" in upgraded["metadata"]["labels"]["helm.sh/chart"]
    assert "archivmail-0.0.9" in release.deployment()["metadata"]["labels"]["helm.sh/chart"]
    assert not installed.of("api/v1/{}/configmaps?labelSelector=grafana_dashboard")["items"]


def test_upgrade_without_a_change_changes_nothing(installed: Installed) -> None:
    """Neither helm's own, nor what `helm template` gives applied twice by kubectl."""
    release = installed.release
    release.install(*VALUES)
    before = installed.versions()

    release.install(*VALUES)

    assert len(before) > 10
    assert installed.versions() == before
    text = render_text(*VALUES, namespace=release.namespace)
    apply = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    release.plane.kubectl(*apply, stdin=text)
    first = installed.versions()
    release.plane.kubectl(*apply, stdin=text)
    assert installed.versions() == first


def test_uninstall_leaves_mail_and_accounts_and_a_new_release_takes_them_over(installed: Installed) -> None:
    """What helm calls `keep`; the operator and its rights are gone."""
    before = installed.kept
    release = installed.release
    release.install(*VALUES)

    release.helm("uninstall", NAME)

    with pytest.raises(ApiError, match="404"):
        release.deployment()
    assert installed.api.get(installed.account)["status"] == STATUS["status"]
    release.install(*VALUES)
    after = installed.kept
    kept = ("claim", "definition", "account")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_previous_chart_took_values_that_this_one_takes(installed: Installed) -> None:
    """Everything that its values.yaml has; a value that went would stop an upgrade with `--reuse-values`."""
    values = yaml.safe_load((PREVIOUS / "values.yaml").read_text())

    installed.release.install(*(f"{name}={json.dumps(value)}" for name, value in values.items()))

    with pytest.raises(HelmError, match="specifications of the schema"):
        installed.release.install('unknown="value"')
