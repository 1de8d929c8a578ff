"""The operator as a process, as a pod would run it, and the commands of its users."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from tests.servers.ports import release_port, reserve_port
from tests.servers.process import ServerProcess

if TYPE_CHECKING:
    from tests.servers.controlplane import ControlPlane
    from tests.servers.fixtures import Mailbox

ROOT = Path(__file__).resolve().parents[2]
CRD = ROOT / "deploy" / "crds" / "archivmail.io_imapaccounts.yaml"
API = "/apis/archivmail.io/v1alpha1/namespaces"
READY_S = 60.0
LOOPBACK = "127.0.0.0/8,::1"
"""Where the servers of the tests are, which the operator by itself connects to never."""


class Operator:
    """`archivmail operator` with a kubeconfig and an archive of its own. A context manager."""

    def __init__(self, kubeconfig: Path, archive: Path | str, *, namespace: str, log: Path, **settings: str) -> None:
        self.archive = archive
        self.log = log
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._settings = settings
        self.metrics_port = reserve_port()
        self.health_port = reserve_port()
        self._process: ServerProcess | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop(grace_s=10)
        release_port(self.metrics_port)
        release_port(self.health_port)

    def start(self, *, wait: bool = True) -> None:
        environment = {
            "KUBECONFIG": str(self._kubeconfig),
            "ARCHIVMAIL_ARCHIVE": str(self.archive),
            "ARCHIVMAIL_WATCH_NAMESPACES": self._namespace,
            "ARCHIVMAIL_METRICS_PORT": str(self.metrics_port),
            "ARCHIVMAIL_HEALTH_PORT": str(self.health_port),
            "ARCHIVMAIL_LOG_LEVEL": "debug",
            "ARCHIVMAIL_LOG_FORMAT": "json",
            "ARCHIVMAIL_EGRESS_ALLOW": LOOPBACK,
            **self._settings,
        }
        command = [sys.executable, "-m", "archivmail", "operator"]
        self._process = ServerProcess(command, log=self.log, env=environment, cwd=ROOT)
        if wait:
            self._process.wait_until(self.is_ready, deadline_s=READY_S)

    def is_running(self) -> bool:
        return self._process is not None and self._process.is_running

    def is_ready(self) -> bool:
        try:
            return bool(self.get(self.health_port, "/readyz"))
        except (OSError, urllib.error.HTTPError):
            return False

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait_for_run(self) -> None:
        """Until a run goes on."""
        assert self._process is not None
        self._process.wait_until(lambda: self.metrics().get("archivmail_syncs_in_progress", 0) > 0)

    def metrics(self) -> dict[str, float]:
        """Samples by name with labels, as they stand in the exposition."""
        lines = self.get(self.metrics_port, "/metrics").decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line and line[0] != "#"}

    @staticmethod
    def get(port: int, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            body: bytes = answer.read()
            return body

    @property
    def process(self) -> ServerProcess:
        assert self._process is not None
        return self._process

    def why_not_ready(self) -> str:
        """What /readyz says while it says no; "" when it says yes."""
        try:
            self.get(self.health_port, "/readyz")
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except OSError:
            return "nobody listens"
        return ""

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.stop(grace_s=0)

    def terminate(self, *, grace_s: float) -> float:
        """SIGTERM; how many seconds it took."""
        assert self._process is not None
        started = time.monotonic()
        self._process.stop(grace_s=grace_s)
        return time.monotonic() - started

    def log_text(self) -> str:
        return self.log.read_text(errors="replace")


class Account:
    """One ImapAccount on the API server, as its user handles it with kubectl."""

    def __init__(self, plane: ControlPlane, namespace: str, mailbox: Mailbox, *, name: str = "alice") -> None:
        self.plane = plane
        self.namespace = namespace
        self.mailbox = mailbox
        self.name = name
        self.path = f"{API}/{namespace}/imapaccounts/{name}"

    def manifest(self, **spec: object) -> dict[str, Any]:
        return {
            "apiVersion": "archivmail.io/v1alpha1",
            "kind": "ImapAccount",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "host": "127.0.0.1",
                "port": self.mailbox.server.tls_port,
                "tls": {"caSecretRef": {"name": f"{self.name}-ca", "key": "ca.crt"}, "serverName": "localhost"},
                "auth": {"secretRef": {"name": self.name}},
                **spec,
            },
        }

    def secrets(self, password: str | None = None) -> list[dict[str, Any]]:
        login = {"username": self.mailbox.user, "password": password or self.mailbox.password}
        authority = {"ca.crt": self.mailbox.server.ca_pem}
        return [self._secret(self.name, login), self._secret(f"{self.name}-ca", authority)]

    def _secret(self, name: str, data: dict[str, str]) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": self.namespace},
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
        }

    def apply(self, **spec: object) -> None:
        self.apply_all(*self.secrets(), self.manifest(**spec))

    def apply_all(self, *documents: dict[str, Any]) -> None:
        self.plane.apply(yaml.safe_dump_all(documents))

    def get(self) -> dict[str, Any]:
        return self.plane.api.get(self.path)

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.get().get("status", {})
        return status

    def wait(self, claim: Any, *, timeout_s: float = 60) -> dict[str, Any]:
        """The first state of the object for which `claim` is true."""
        return self.plane.api.wait_for(self.path, claim, timeout_s=timeout_s)

    def wait_for_condition(self, kind: str, status: str = "True", *, timeout_s: float = 60) -> dict[str, Any]:
        return self.wait(lambda body: condition(body, kind).get("status") == status, timeout_s=timeout_s)

    def wait_for_result(self, result: str, *, timeout_s: float = 60) -> dict[str, Any]:
        return self.wait(lambda body: body.get("status", {}).get("lastResult") == result, timeout_s=timeout_s)

    def request(self, value: str) -> None:
        self.plane.api.merge_patch(self.path, {"metadata": {"annotations": {"archivmail.io/requestedAt": value}}})

    def sync_now(self, value: str, *, timeout_s: float = 60) -> dict[str, Any]:
        """Ask for a run and wait until it was acted on."""
        self.request(value)
        return self.wait(
            lambda body: body.get("status", {}).get("lastHandledReconcileAt") == value, timeout_s=timeout_s
        )

    def events(self) -> list[dict[str, Any]]:
        listed = self.plane.api.get(f"/api/v1/namespaces/{self.namespace}/events")
        return [each for each in listed["items"] if each["involvedObject"]["name"] == self.name]


def condition(body: dict[str, Any], kind: str) -> dict[str, Any]:
    """One condition of an object, or an empty dict."""
    conditions = body.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


def archivmail(*args: str | Path, expect: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    done = subprocess.run(
        [sys.executable, "-m", "archivmail", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    if expect is not None:
        assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
