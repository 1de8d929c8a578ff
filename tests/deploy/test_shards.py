"""The chart with several shards on the API server: its pods as processes, with its rights and no others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from archivmail.settings import Settings
from tests.e2e.operating import Operator

from .chart import of_kind, one, pod_specs, render, shape
from .release import SERVICE_ACCOUNT, Release
from .rights import Right, asked_for, granted

if TYPE_CHECKING:
    from tests.servers.controlplane import ControlPlane
    from tests.servers.postgresql import PostgreSqlDatabase
    from tests.servers.s3 import S3Bucket

pytestmark = pytest.mark.servers

LABEL = re.compile(r"metadata\.labels\['(.+)'\]")
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def _environment(container: dict[str, Any], *, namespace: str, ordinal: int) -> dict[str, str]:
    """What the kubelet makes of it for the pod of that ordinal."""
    fields = {"metadata.namespace": namespace, "apps.kubernetes.io/pod-index": str(ordinal)}
    found = {}
    for each in container["env"]:
        path = each.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
        label = LABEL.fullmatch(path)
        value = fields[label[1] if label else path] if path else each.get("value", "")
        if value:
            found[each["name"]] = value
    return found


def test_environment_of_a_replica_is_what_the_settings_read() -> None:
    """Ordinal, count, name and namespace of the Lease; the verify job has none of it."""
    manifests = render(values=shape("sharded"))
    (spec,) = pod_specs([one(manifests, "StatefulSet")])
    environment = _environment(spec["containers"][0], namespace="mail", ordinal=2)
    read = Settings.read(**{name.removeprefix("ARCHIVMAIL_").lower(): value for name, value in environment.items()})

    assert (2, 3) == (read.shard, read.shards)
    assert ("archive-archivmail", "mail", 20) == (read.lease_name, read.lease_namespace, read.lease_seconds)
    assert not of_kind(manifests, "Deployment", "PersistentVolumeClaim")


def test_replicas_hold_their_leases_with_the_rights_of_the_chart(
    control_plane: ControlPlane,
    postgresql_catalog: PostgreSqlDatabase,
    s3_bucket: S3Bucket,
    tmp_path: Path,
) -> None:
    """Each its own, given back at its end; no right is unused, none is missing, none reaches another Lease."""
    release = Release(control_plane)
    shared = [f'archive.url="{s3_bucket.url}"', f'catalog.url="{postgresql_catalog.url}"', "persistence.enabled=false"]
    release.install(*shared)
    assert release.deployment()
    release.install(*shared, "shards=2", "leaseSeconds=5")
    namespace = release.namespace
    assert not control_plane.api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"]
    manifests = [each for each in yaml.safe_load_all(release.manifest()) if each]
    (spec,) = pod_specs([one(manifests, "StatefulSet")])
    kubeconfig = control_plane.service_account_kubeconfig(namespace, SERVICE_ACCOUNT, tmp_path / "kubeconfig")
    operators = []
    for ordinal in range(2):
        environment = _environment(spec["containers"][0], namespace=namespace, ordinal=ordinal)
        for ours in ("ARCHIVMAIL_ARCHIVE", "ARCHIVMAIL_METRICS_PORT", "ARCHIVMAIL_HEALTH_PORT"):
            del environment[ours]
        environment |= {"HOSTNAME": f"{SERVICE_ACCOUNT}-{ordinal}", "ARCHIVMAIL_WATCH_NAMESPACES": ""}
        log = tmp_path / f"{ordinal}.log"
        operators.append(Operator(kubeconfig, s3_bucket.url, namespace=namespace, log=log, **environment))
    with operators[0], operators[1]:
        held = _holders(release)
        assert {0: True, 1: True} == {
            ordinal: held[f"{SERVICE_ACCOUNT}-shard-{ordinal}"].startswith(f"{SERVICE_ACCOUNT}-{ordinal}_")
            for ordinal in range(2)
        }
        # A renewal needs the right to update, which taking a new Lease does not.
        control_plane.api.wait_for(
            f"{LEASES.format(namespace=namespace)}/{SERVICE_ACCOUNT}-shard-0",
            lambda lease: lease["spec"]["renewTime"] != lease["spec"]["acquireTime"],
        )
        for each in operators:
            each.terminate(grace_s=15)
    assert {""} == set(_holders(release).values())

    leases = [each for each in control_plane.requests_of(namespace, SERVICE_ACCOUNT) if _is_of_leases(each)]
    role = one(manifests, "Role")
    assert granted(role) == set(asked_for(leases))
    assert {"allow"} == {each["annotations"]["authorization.k8s.io/decision"] for each in leases}
    client = control_plane.client(control_plane.service_account_token(namespace, SERVICE_ACCOUNT))
    for right in granted(role) - {Right("coordination.k8s.io", "leases", "create")}:
        assert _may(client, right, namespace, f"{SERVICE_ACCOUNT}-shard-1")
        assert not _may(client, right, namespace, f"{SERVICE_ACCOUNT}-shard-2")


def _holders(release: Release) -> dict[str, str]:
    listed = release.plane.api.get(LEASES.format(namespace=release.namespace))
    return {each["metadata"]["name"]: each["spec"].get("holderIdentity", "") for each in listed["items"]}


def _is_of_leases(request: dict[str, Any]) -> bool:
    return bool(request.get("objectRef", {}).get("resource") == "leases")


def _may(client: Any, right: Right, namespace: str, name: str) -> bool:
    attributes = {"namespace": namespace, "verb": right.verb, "group": right.group, "resource": right.resource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes | {"name": name}},
    }
    return bool(client.request("POST", REVIEWS, review)["status"]["allowed"])
