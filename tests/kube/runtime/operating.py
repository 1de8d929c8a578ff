"""The operator of `operator_main.py` as the tests see it: a process, its files, its probes, objects in a namespace."""

from __future__ import annotations

import copy
import http.client
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from tests.servers.controlplane import ControlPlane
from tests.servers.ports import release_port, reserve_port
from tests.servers.process import ServerProcess

MAIN = Path(__file__).with_name("operator_main.py")
ROOT = Path(__file__).resolve().parents[3]
SERVICE_ACCOUNT = "archivmail"
READY_S = 30.0
PAUSE_S = 0.02
RULES: list[dict[str, list[str]]] = [
    {"apiGroups": ["archivmail.io"], "resources": ["imapaccounts"], "verbs": ["get", "list", "watch", "patch"]},
    {"apiGroups": ["archivmail.io"], "resources": ["imapaccounts/status"], "verbs": ["patch"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
]
"""What the operator may do: these and no more (the chart's role)."""


class Operator:
    """One operator process that watches one namespace, or all. A context manager."""

    def __init__(
        self,
        plane: ControlPlane,
        namespace: str,
        folder: Path,
        *,
        slots: int = 8,
        is_clusterwide: bool = False,
        watched: Sequence[str] | None = None,
        **settings_: object,
    ) -> None:
        """`is_clusterwide` gives it a ClusterRole; `watched` are its namespaces when that is not its own, or all."""
        self.plane = plane
        self.namespace = namespace
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.health_port, self.metrics_port = reserve_port(), reserve_port()
        self.log = folder / "operator.log"
        settings = {
            "slots": slots,
            "health_port": self.health_port,
            "metrics_port": self.metrics_port,
            "watch_namespaces": watched if watched is not None else [] if is_clusterwide else [namespace],
            **settings_,
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        self._is_clusterwide = is_clusterwide
        self.process: ServerProcess | None = None

    def __enter__(self) -> Self:
        self.prepare()
        self.start()
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def in_namespace(self, namespace: str) -> Self:
        """The same process, looked at from another namespace."""
        other = copy.copy(self)
        other.namespace = namespace
        return other

    def prepare(self) -> None:
        """The ServiceAccount, its rights and its kubeconfig."""
        grant(self.plane, self.namespace, is_clusterwide=self._is_clusterwide)
        self.kubeconfig = self.plane.service_account_kubeconfig(
            self.namespace, SERVICE_ACCOUNT, self.folder / "kubeconfig"
        )

    def close(self) -> None:
        assert self.process is not None
        self.process.stop(grace_s=15)
        release_port(self.health_port)
        release_port(self.metrics_port)

    def start(self) -> None:
        path = os.pathsep.join([str(ROOT), str(ROOT / "operator")])
        self.process = ServerProcess(
            [sys.executable, MAIN, self.folder],
            log=self.log,
            env={"KUBECONFIG": str(self.kubeconfig), "PYTHONPATH": path, "PYTHONWARNINGS": "default"},
        )

    def wait_ready(self) -> None:
        assert self.process is not None
        self.process.wait_until(lambda: self.probe("/readyz")[0] == 200, deadline_s=READY_S)

    def probe(self, path: str) -> tuple[int, str]:
        """Code and body of the probe; 0 while nothing listens."""
        return _get(self.health_port, path)

    def scrape(self) -> dict[str, float]:
        """Metrics by series, as `name{labels}`."""
        _, text = _get(self.metrics_port, "/metrics")
        lines = (line for line in text.splitlines() if line and not line.startswith("#"))
        return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}

    def fate(self, name: str, what: str) -> None:
        """What the runs of an account do from now on."""
        fresh = self.folder / f".fate-{self.namespace}.{name}"
        fresh.write_text(what)
        fresh.rename(self.folder / f"fate-{self.namespace}.{name}")

    def journal(self, name: str | None = None, event: str | None = None) -> list[dict[str, Any]]:
        path = self.folder / "journal.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        wanted = {"namespace": self.namespace, "name": name, "event": event}
        return [line for line in lines if all(value is None or line[key] == value for key, value in wanted.items())]

    def wait_for_runs(self, name: str, count: int, event: str = "began", *, timeout_s: float = 30) -> None:
        wait_until(lambda: len(self.journal(name, event)) >= count, timeout_s, f"{count} runs of {name} {event}")

    # --- objects -----------------------------------------------------------------------------------------------------

    def path(self, name: str) -> str:
        return f"/apis/archivmail.io/v1alpha1/namespaces/{self.namespace}/imapaccounts/{name}"

    def create_account(self, name: str, **spec: Any) -> dict[str, Any]:
        return self.plane.api.request("POST", self.path("").rstrip("/"), account(name, **spec))

    def create_secret(self, name: str = "alice", password: str = "correct horse") -> None:  # noqa: S107
        body = {"metadata": {"name": name}, "stringData": {"username": "alice", "password": password}}
        self.plane.api.request("POST", f"/api/v1/namespaces/{self.namespace}/secrets", body)

    def change_secret(self, name: str, password: str) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/secrets/{name}"
        self.plane.api.merge_patch(path, {"stringData": {"password": password}})

    def patch(self, name: str, **spec: Any) -> dict[str, Any]:
        return self.plane.api.merge_patch(self.path(name), {"spec": spec})

    def request(self, name: str, value: str) -> None:
        annotations = {"archivmail.io/requestedAt": value}
        self.plane.api.merge_patch(self.path(name), {"metadata": {"annotations": annotations}})

    def get(self, name: str) -> dict[str, Any]:
        return self.plane.api.get(self.path(name))

    def wait_for(
        self, name: str, is_reached: Callable[[dict[str, Any]], bool], *, timeout_s: float = 30
    ) -> dict[str, Any]:
        """The object as soon as `is_reached(status)`."""
        found = self.plane.api.wait_for(
            self.path(name), lambda seen: is_reached(seen.get("status") or {}), timeout_s=timeout_s
        )
        return found["status"]

    def wait_for_event(self, name: str, reason: str) -> None:
        wait_until(lambda: any(each["reason"] == reason for each in self.events(name)), 20, f"an Event {reason}")

    def events(self, name: str) -> list[dict[str, Any]]:
        listed = self.plane.api.get(f"/api/v1/namespaces/{self.namespace}/events")["items"]
        return [each for each in listed if each["involvedObject"]["name"] == name]


def account(name: str, **spec: Any) -> dict[str, Any]:
    """An ImapAccount that runs once and then not for a week, unless told otherwise."""
    return {
        "apiVersion": "archivmail.io/v1alpha1",
        "kind": "ImapAccount",
        "metadata": {"name": name},
        "spec": {"host": "imap.example.org", "auth": {"secretRef": {"name": "alice"}}, "interval": "168h", **spec},
    }


def condition(status: dict[str, Any], kind: str) -> dict[str, Any]:
    """The condition of that type; {} when it is not there."""
    return next((each for each in status.get("conditions", []) if each["type"] == kind), {})


def is_ready(status: dict[str, Any]) -> bool:
    return condition(status, "Ready").get("status") == "True"


def wait_until(is_reached: Callable[[], bool], timeout_s: float, what: str) -> None:
    """For what is seen in files alone, where nothing can be awaited."""
    end = time.monotonic() + timeout_s
    while not is_reached():
        assert time.monotonic() < end, f"not within {timeout_s:g} s: {what}"
        time.sleep(PAUSE_S)


def grant(plane: ControlPlane, namespace: str, *, is_clusterwide: bool = False) -> None:
    """Give the ServiceAccount of the operator exactly RULES."""
    kind = "ClusterRole" if is_clusterwide else "Role"
    group = "/apis/rbac.authorization.k8s.io/v1"
    where = group if is_clusterwide else f"{group}/namespaces/{namespace}"
    name = f"archivmail-{namespace}"
    subject = {"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
    plane.api.request("POST", f"{where}/{kind.lower()}s", {"metadata": {"name": name}, "rules": RULES})
    binding = {"metadata": {"name": name}, "subjects": [subject], "roleRef": reference}
    plane.api.request("POST", f"{where}/{kind.lower()}bindings", binding)


def allow_changing_secrets(plane: ControlPlane, namespace: str) -> None:
    """What the chart's rbac.updateSecrets adds, for one namespace."""
    name = f"archivmail-{namespace}"
    rules = [*RULES, {"apiGroups": [""], "resources": ["secrets"], "verbs": ["patch"]}]
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/{name}"
    plane.api.merge_patch(path, {"rules": rules})


def allow_watching_secrets(plane: ControlPlane, namespace: str, *verbs: str, accounts: bool = True) -> None:
    """What the chart's secrets.watch adds, for one namespace; or less."""
    others = RULES if accounts else [each for each in RULES if "imapaccounts" not in each["resources"]]
    rules = [*others, {"apiGroups": [""], "resources": ["secrets"], "verbs": verbs or ["list", "watch"]}]
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/archivmail-{namespace}"
    plane.api.merge_patch(path, {"rules": rules})


def allow_leases(plane: ControlPlane, namespace: str) -> None:
    """What the chart adds for several shards."""
    rule = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]}
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/archivmail-{namespace}"
    plane.api.merge_patch(path, {"rules": [*RULES, rule]})


def _get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()
