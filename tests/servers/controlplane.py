"""A Kubernetes API server with its etcd, without a container engine: what envtest does, in Python.

There is no controller manager, scheduler or kubelet: no garbage collection, no namespace deletion, no Pods.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec

from .api import ApiClient, ApiError
from .binaries import find_program
from .certificates import LOOPBACK_NAMES, authority_of_this_run, private_pem
from .lifetime import Lifetime
from .ports import is_open, release_port, reserve_port
from .process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

READY_S = 60.0
KUBECTL_TIMEOUT_S = 60.0
TOKEN_LIFETIME = "4h"
# What ServiceAccounts ask for, and what the authorizer said; nothing of anybody else.
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}, {"level": "None"}],
}
READY_CODES_TO_WAIT_OUT = {401, 403, 500}  # while the hooks that make the first roles still run


class ControlPlane(Lifetime):
    """etcd and kube-apiserver on loopback, an administrator's token, and kubectl. A context manager."""

    def __init__(self) -> None:
        for program in ("etcd", "kube-apiserver", "kubectl"):
            find_program(program)  # a missing one is named before anything is started
        self.folder = Path(tempfile.mkdtemp(prefix="archivmail-controlplane-"))
        self.port = reserve_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.ca_pem = authority_of_this_run().ca_pem
        self.token = secrets.token_hex(16)
        self.api = ApiClient(self.port, self.ca_pem, self.token)
        self._etcd_ports = (reserve_port(), reserve_port())
        self._etcd: ServerProcess | None = None
        self._api_server: ServerProcess | None = None

    def begin(self) -> None:
        self._write_keys()
        self.start_etcd()
        self.start()

    def close(self) -> None:
        """End both servers at once, for nothing of theirs is kept, and remove their folder."""
        self.stop(grace_s=0)
        if self._etcd is not None:
            self._etcd.stop(grace_s=0)
        shutil.rmtree(self.folder, ignore_errors=True)
        for port in (self.port, *self._etcd_ports):
            release_port(port)

    @property
    def servers(self) -> list[ServerProcess]:
        """The processes that were started."""
        return [server for server in (self._etcd, self._api_server) if server is not None]

    # What outage tests do with the API server: same port, same data afterwards.

    def start(self) -> None:
        """Start the API server; returns when `/readyz` says ok."""
        self._api_server = ServerProcess(
            self._api_server_command(), log=self.folder / "kube-apiserver.log", remove_if_orphaned=[self.folder]
        )
        self._api_server.wait_until(self.is_ready, deadline_s=READY_S)

    def stop(self, *, grace_s: float = 10) -> None:
        """End the API server alone: connections are refused."""
        if self._api_server is not None:
            self._api_server.stop(grace_s=grace_s)

    def restart(self, *, grace_s: float = 1) -> None:
        self.stop(grace_s=grace_s)
        self.start()

    def pause(self) -> None:
        """Stop the API server in its tracks: connections stay open, nothing answers."""
        assert self._api_server is not None
        self._api_server.pause()

    def resume(self) -> None:
        assert self._api_server is not None
        self._api_server.resume()

    def is_ready(self) -> bool:
        try:
            return self.api.raw("GET", "/readyz") == b"ok"
        except ApiError as error:
            if error.code in READY_CODES_TO_WAIT_OUT:
                return False
            raise
        except OSError:
            return False

    # Access

    def kubeconfig(self, path: Path, *, token: str | None = None, namespace: str = "default") -> Path:
        """Write a kubeconfig, readable by its owner alone, for the administrator or the owner of `token`."""
        text = json.dumps(self._kubeconfig(token or self.token, namespace), indent=1)  # JSON is YAML
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def service_account_token(self, namespace: str, name: str) -> str:
        """A token of that ServiceAccount, which is made if it is missing."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        try:
            self.api.request("POST", path, {"metadata": {"name": name}})
        except ApiError as error:
            if error.code != 409:
                raise
        return self.kubectl("create", "token", name, "-n", namespace, "--duration", TOKEN_LIFETIME).stdout.strip()

    def service_account_kubeconfig(self, namespace: str, name: str, path: Path) -> Path:
        """A kubeconfig with that ServiceAccount's token."""
        return self.kubeconfig(path, token=self.service_account_token(namespace, name), namespace=namespace)

    def client(self, token: str) -> ApiClient:
        """Requests as the owner of `token`."""
        return ApiClient(self.port, self.ca_pem, token)

    def kubectl(
        self, *args: str | Path, stdin: str | None = None, check: bool = True, kubeconfig: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator. Raises KubectlError with its message when it fails and `check` is set."""
        command = [str(find_program("kubectl")), *map(str, args)]
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=KUBECTL_TIMEOUT_S,
            env=self.kubectl_environment(kubeconfig),
        )
        if check and done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(map(str, args))}: {done.stderr.strip()}")
        return done

    def kubectl_environment(self, kubeconfig: Path | None = None) -> Mapping[str, str]:
        """The environment for kubectl, helm and whatever else reads KUBECONFIG; its caches stay in our folder."""
        return {
            **os.environ,
            "KUBECONFIG": str(kubeconfig or self.folder / "kubeconfig"),
            "KUBECACHEDIR": str(self.folder / "kube-cache"),
        }

    def apply(self, manifest: str, *, namespace: str | None = None) -> str:
        """`kubectl apply -f -`; what it printed. Raises KubectlError with the API server's sentence."""
        extra = ("-n", namespace) if namespace else ()
        return self.kubectl("apply", "-f", "-", *extra, stdin=manifest).stdout

    def requests_of(self, namespace: str, service_account: str) -> list[dict[str, Any]]:
        """Audit events of all requests that this ServiceAccount made and that have ended, oldest first."""
        user = f"system:serviceaccount:{namespace}:{service_account}"
        with (self.folder / "audit.log").open() as log:
            events = [json.loads(line) for line in log if user in line and line.endswith("\n")]
        return [each for each in events if each["user"]["username"] == user]

    def create_namespace(self, prefix: str = "test") -> str:
        """A namespace of a new name; it cannot be deleted, because nothing here finalizes it."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def _write_keys(self) -> None:
        certificate, key = authority_of_this_run().issue(*LOOPBACK_NAMES)
        files = {
            "tls.crt": certificate,
            "tls.key": key,
            "service-account.key": private_pem(ec.generate_private_key(ec.SECP256R1())),
            "audit-policy.json": json.dumps(AUDIT_POLICY),  # JSON is YAML
            "tokens.csv": f'{self.token},admin,admin,"system:masters"\n',
        }
        for name, text in files.items():
            path = self.folder / name
            path.touch(mode=0o600)
            path.write_text(text)
        self.kubeconfig(self.folder / "kubeconfig")

    def start_etcd(self) -> None:
        """Start etcd with the data that is there."""
        client, peer = (f"http://127.0.0.1:{port}" for port in self._etcd_ports)
        self._etcd = ServerProcess(
            [
                find_program("etcd"),
                f"--data-dir={self.folder / 'etcd'}",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--unsafe-no-fsync",
                "--log-level=warn",
            ],
            log=self.folder / "etcd.log",
            remove_if_orphaned=[self.folder],
        )
        self._etcd.wait_until(lambda: is_open(self._etcd_ports[0]), deadline_s=READY_S)

    def _api_server_command(self) -> list[str | Path]:
        folder = self.folder
        return [
            find_program("kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{self._etcd_ports[0]}",
            f"--cert-dir={folder}",
            f"--tls-cert-file={folder / 'tls.crt'}",
            f"--tls-private-key-file={folder / 'tls.key'}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--service-account-issuer=https://localhost",
            f"--service-account-key-file={folder / 'service-account.key'}",
            f"--service-account-signing-key-file={folder / 'service-account.key'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none",
            "--shutdown-delay-duration=0s",
            f"--audit-policy-file={folder / 'audit-policy.json'}",
            f"--audit-log-path={folder / 'audit.log'}",
            "--audit-log-maxsize=100",  # MB; a soak must not fill the disk
            "--audit-log-maxbackup=1",
        ]

    def _kubeconfig(self, token: str, namespace: str) -> dict[str, object]:
        authority = base64.b64encode(self.ca_pem.encode()).decode()
        cluster = {"server": self.url, "certificate-authority-data": authority}
        context = {"cluster": "test", "user": "test", "namespace": namespace}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": context}],
            "current-context": "test",
        }


class KubectlError(RuntimeError):
    """kubectl failed; the text is what it said."""
