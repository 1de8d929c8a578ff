"""Thousands of ImapAccounts on the API server: made quickly, looked at cheaply, their writes counted."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from archivmail.kube.handlers import FINALIZER
from tests.servers.controlplane import ControlPlane

API = "/apis/archivmail.io/v1alpha1"
THREADS = 4
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
REQUESTS = re.compile(r"^apiserver_request_total\{([^}]*)\} (\S+)$", re.MULTILINE)
WRITES = ("PATCH", "APPLY", "PUT", "POST", "DELETE")
RESOURCES = ("imapaccounts", "events")


class Requests:
    """The API server over connections that stay open, one for each thread."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._tls = ssl.create_default_context(cadata=plane.ca_pem)
        self._local = threading.local()

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        accept: str = "application/json",
        content_type: str = "application/json",
    ) -> bytes:
        headers = {"Authorization": f"Bearer {self._plane.token}", "Accept": accept, "Content-Type": content_type}
        content = None if body is None else json.dumps(body)
        try:
            answer = self._answer(method, path, content, headers)
        except http.client.RemoteDisconnected:  # one that idled for too long
            self._local.connection = None
            answer = self._answer(method, path, content, headers)
        octets: bytes = answer.read()
        if answer.status >= http.client.BAD_REQUEST:
            raise SystemExit(f"{method} {path}: {answer.status} {octets[:300]!r}")
        return octets

    def _answer(self, method: str, path: str, content: str | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = http.client.HTTPSConnection(
                "127.0.0.1", self._plane.port, context=self._tls, timeout=60
            )
        connection.request(method, path, content, headers)
        answer: http.client.HTTPResponse = connection.getresponse()
        return answer


@dataclass(frozen=True, slots=True)
class Fleet:
    """The accounts of one namespace, which share one Secret."""

    plane: ControlPlane
    requests: Requests
    namespace: str
    port: int
    """Of the mail server."""

    def path(self, name: str = "") -> str:
        return f"{API}/namespaces/{self.namespace}/imapaccounts" + (f"/{name}" if name else "")

    def create_secret(self, username: str, password: str) -> None:
        body = {"metadata": {"name": "login"}, "stringData": {"username": username, "password": password}}
        self.requests.send("POST", f"/api/v1/namespaces/{self.namespace}/secrets", body)

    def create(self, name: str, *, port: int | None = None, status: dict[str, Any] | None = None) -> None:
        """With a `status` only while the CRD has no subresource for it."""
        body = {
            "apiVersion": "archivmail.io/v1alpha1",
            "kind": "ImapAccount",
            "metadata": {"name": name},
            "spec": {
                "host": "127.0.0.1",
                "port": port or self.port,
                "tls": {"mode": "Disabled"},
                "auth": {"secretRef": {"name": "login"}},
                "interval": "24h",
            },
            **({"status": status} if status else {}),
        }
        self.requests.send("POST", self.path(), body)

    def keeps_status(self, status: dict[str, Any]) -> bool:
        """Whether the API server has taken in that statuses come with objects."""
        self.create("taken", status=status)
        is_kept = "lastResult" in self.status_of("taken")
        self.delete("taken")
        return is_kept

    def set_interval(self, name: str, interval: str) -> None:
        self._patch(self.path(name), {"spec": {"interval": interval}})

    def delete(self, name: str) -> None:
        self.requests.send("DELETE", self.path(name))

    def _patch(self, path: str, body: object) -> None:
        self.requests.send("PATCH", path, body, content_type="application/merge-patch+json")

    def with_finalizer(self) -> int:
        """How many the operator has taken up."""
        return sum(FINALIZER in each["metadata"].get("finalizers", ()) for each in self._metadata())

    def _metadata(self) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            page = json.loads(
                self.requests.send("GET", f"{self.path()}?limit=2000&continue={token}", accept=METADATA_ONLY)
            )
            yield from page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return

    def writes(self) -> Counter[str]:
        """Writes that the API server has answered well: to accounts (finalizers), their statuses, and Events."""
        text = self.requests.send("GET", "/metrics", accept="text/plain").decode()
        found: Counter[str] = Counter()
        for labels, count in REQUESTS.findall(text):
            told = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            if told["resource"] in RESOURCES and told["verb"] in WRITES and told["code"].startswith("2"):
                found[told["subresource"] or told["resource"]] += int(float(count))
        return found

    def status_of(self, name: str) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.requests.send("GET", self.path(name))).get("status", {})
        return status


@contextmanager
def statuses_with_objects(plane: ControlPlane, crd: dict[str, Any]) -> Iterator[None]:
    """For one request instead of two: an object is created with its status."""
    version = crd["spec"]["versions"][0]
    plain = {**crd, "spec": {**crd["spec"], "versions": [{**version, "subresources": {}}]}}
    plane.apply(json.dumps(plain))
    yield
    plane.apply(json.dumps(crd))


def in_parallel(work: Callable[[str], None], names: Iterable[str]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(work, names):
            pass


def due_tomorrow(status: dict[str, Any]) -> dict[str, Any]:
    """The status of an account, put off so that the account idles."""
    tomorrow = datetime.now(UTC) + timedelta(hours=24)
    return {**status, "nextSyncTime": tomorrow.strftime("%Y-%m-%dT%H:%M:%SZ")}
