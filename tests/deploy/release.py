"""A release of the chart on the API server, by helm, and the operator that its Deployment describes, as a process."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.operating import Operator
from tests.servers.binaries import find_program

from .chart import CHART, HELM_TIMEOUT_S, HelmError

if TYPE_CHECKING:
    from tests.servers.controlplane import ControlPlane

NAME = "archive"
SERVICE_ACCOUNT = "archive-archivmail"
# Other tests have applied the CRD by kubectl; a cluster's first release would find none.
ADOPTING = ("--take-ownership", "--force-conflicts")


class Release:
    """The release `archive` in a namespace that enforces restricted Pod Security."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.namespace = plane.create_namespace("release")
        label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
        plane.api.merge_patch(f"/api/v1/namespaces/{self.namespace}", label)

    def install(self, *sets: str, chart: Path = CHART) -> None:
        """`helm upgrade --install`; `sets` are `name=JSON`. Raises HelmError."""
        values = [f"--set-json={each}" for each in sets]
        self.helm("upgrade", "--install", NAME, chart, *ADOPTING, *values)

    def helm(self, *args: str | Path) -> str:
        """What helm prints. Raises HelmError."""
        folder = self.plane.folder / "helm"
        homes = {f"HELM_{each}_HOME": str(folder / each.lower()) for each in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run(
            [find_program("helm"), *args, "-n", self.namespace],
            capture_output=True,
            text=True,
            check=False,
            timeout=HELM_TIMEOUT_S,
            env={**self.plane.kubectl_environment(), **homes},
        )
        if done.returncode != 0:
            raise HelmError(done.stderr.strip())
        return done.stdout

    def manifest(self) -> str:
        """What helm says that it installed."""
        return self.helm("get", "manifest", NAME)

    def deployment(self) -> dict[str, Any]:
        return self.plane.api.get(f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{SERVICE_ACCOUNT}")

    def operator(self, folder: Path) -> Operator:
        """Not started yet: the environment of the Deployment's container, but for the places on this machine, and
        nothing but the ServiceAccount's token."""
        (container,) = self.deployment()["spec"]["template"]["spec"]["containers"]
        assert container["args"] == ["operator"]
        environment = {each["name"]: each["value"] for each in container["env"] if each.get("value")}
        for ours in ("ARCHIVMAIL_ARCHIVE", "ARCHIVMAIL_METRICS_PORT", "ARCHIVMAIL_HEALTH_PORT"):
            del environment[ours]
        environment.setdefault("ARCHIVMAIL_WATCH_NAMESPACES", "")
        kubeconfig = self.plane.service_account_kubeconfig(
            self.namespace, SERVICE_ACCOUNT, folder / f"{self.namespace}.kubeconfig"
        )
        log = folder / f"{self.namespace}.log"
        return Operator(kubeconfig, folder / "archive", namespace=self.namespace, log=log, **environment)


def comparable(document: dict[str, Any]) -> str:
    """An object but for what the API server itself counts with."""
    metadata = {key: value for key, value in document["metadata"].items() if key != "managedFields"}
    return json.dumps(document | {"metadata": metadata}, sort_keys=True)
