"""The control plane is a real one: it starts, refuses, survives an outage, and leaves nothing behind."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.servers.api import ApiError
from tests.servers.controlplane import ControlPlane, KubectlError

pytestmark = pytest.mark.servers

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {key: value}\n"


def test_version_is_the_pinned_one(control_plane: ControlPlane) -> None:
    """Clients see the version that tools/controlplane pins, not v0.0.0."""
    module = Path(__file__).resolve().parents[2] / "tools" / "controlplane" / "go.mod"
    pinned = next(line.split()[1] for line in module.read_text().splitlines() if "k8s.io/kubernetes " in line)

    version = control_plane.api.get("/version")

    assert version["gitVersion"].split(".")[:2] == pinned.split(".")[:2]
    assert (version["major"], version["minor"]) == tuple(pinned.removeprefix("v").split(".")[:2])


def test_requests_of_a_service_account_are_told_apart(control_plane: ControlPlane, namespace: str) -> None:
    """With what the authorizer said of each; the administrator's are not among them."""
    client = control_plane.client(control_plane.service_account_token(namespace, "asker"))
    with pytest.raises(ApiError, match="403"):
        client.get(f"/api/v1/namespaces/{namespace}/secrets")
    control_plane.api.get(f"/api/v1/namespaces/{namespace}/secrets")

    (event,) = control_plane.requests_of(namespace, "asker")

    assert ("list", "secrets") == (event["verb"], event["objectRef"]["resource"])
    assert event["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert control_plane.requests_of(namespace, "nobody") == []


def test_namespaces_are_fresh_and_apart(control_plane: ControlPlane, namespace: str) -> None:
    """What one test applies is not seen in another's namespace."""
    control_plane.apply(CONFIG_MAP, namespace=namespace)
    other = control_plane.create_namespace()

    names = control_plane.kubectl("get", "configmaps", "-n", namespace, "-o", "name").stdout.split()
    assert names == ["configmap/a"]
    assert control_plane.kubectl("get", "configmaps", "-n", other, "-o", "name").stdout == ""


def test_refused_manifest_gives_the_servers_sentence(control_plane: ControlPlane, namespace: str) -> None:
    """A bad object raises with what kubectl printed."""
    with pytest.raises(KubectlError, match=r'"A!" is invalid|Invalid value: "A!"'):
        control_plane.apply(CONFIG_MAP.replace("name: a", 'name: "A!"'), namespace=namespace)


def test_service_account_may_do_nothing_until_it_is_granted(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """RBAC is enforced for the token of a ServiceAccount."""
    control_plane.apply(CONFIG_MAP, namespace=namespace)
    kubeconfig = control_plane.service_account_kubeconfig(namespace, "reader", tmp_path / "kubeconfig")
    before = control_plane.kubectl("get", "configmaps", check=False, kubeconfig=kubeconfig)
    control_plane.kubectl("create", "role", "reader", "--verb=get,list", "--resource=configmaps", "-n", namespace)
    account = f"--serviceaccount={namespace}:reader"
    control_plane.kubectl("create", "rolebinding", "reader", "--role=reader", account, "-n", namespace)

    assert "Forbidden" in before.stderr
    after = control_plane.kubectl("get", "configmaps", "-o", "name", kubeconfig=kubeconfig)
    assert after.stdout.split() == ["configmap/a"]
    assert kubeconfig.stat().st_mode & 0o077 == 0


def test_waiting_ends_at_the_change(control_plane: ControlPlane, namespace: str) -> None:
    """A watch delivers the awaited state of an object that did not exist at first."""
    path = f"/api/v1/namespaces/{namespace}/configmaps/a"
    later = threading.Timer(0.2, control_plane.apply, [CONFIG_MAP], {"namespace": namespace})
    later.start()

    reached = control_plane.api.wait_for(path, lambda state: state.get("data") == {"key": "value"}, timeout_s=20)

    later.join()
    assert reached["metadata"]["name"] == "a"


def test_waiting_in_vain_shows_the_last_state(control_plane: ControlPlane, namespace: str) -> None:
    """The deadline's error carries what was seen."""
    control_plane.apply(CONFIG_MAP, namespace=namespace)

    path = f"/api/v1/namespaces/{namespace}/configmaps/a"

    with pytest.raises(TimeoutError, match='"key": "value"'):
        control_plane.api.wait_for(path, lambda _: False, timeout_s=0.5)


def test_api_server_can_fail_and_come_back() -> None:
    """A restart keeps the port and the data; nothing is left once the context ends."""
    with ControlPlane() as plane:
        plane.apply(CONFIG_MAP)
        plane.stop()
        refused = not plane.is_ready()
        plane.start()
        found = plane.api.get("/api/v1/namespaces/default/configmaps/a")["data"]
        pids = [server.pid for server in plane.servers]

    assert refused
    assert found == {"key": "value"}
    assert len(pids) == 2
    assert [pid for pid in pids if exists(pid)] == []
    assert not plane.folder.exists()


def test_paused_api_server_answers_nothing_and_then_everything(control_plane: ControlPlane) -> None:
    """Clients of a paused server wait; none is refused."""
    control_plane.pause()
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(control_plane.api.raw("GET", "/readyz")))
    client.start()
    client.join(0.5)
    waiting = client.is_alive()
    control_plane.resume()
    client.join(20)

    assert waiting
    assert answers == [b"ok"]


def test_api_errors_carry_their_code(control_plane: ControlPlane, namespace: str) -> None:
    """A missing object is told from a refusal."""
    with pytest.raises(ApiError) as caught:
        control_plane.api.get(f"/api/v1/namespaces/{namespace}/configmaps/none")

    assert caught.value.code == 404


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
