"""The image holds what is locked and no more, and runs as the chart runs it."""

from __future__ import annotations

import re
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from archivmail import __version__
from tests.e2e.operating import LOOPBACK, Account, condition
from tests.servers.ports import release_port, reserve_port
from tests.servers.process import ServerProcess

from .chart import CHECKOUT, CRD, of_kind, one, pod_specs, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.controlplane import ControlPlane
    from tests.servers.fixtures import Mailbox

    from .image import BuiltImage

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(1200), pytest.mark.xdist_group("image")]

SITE = "opt/archivmail/lib/python3.11/site-packages"
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
UNCHECKED_HASH = 1  # PEP 552: the second word of a .pyc


def test_configuration_is_not_root(image: BuiltImage) -> None:
    """User by number, entry point without a shell, labels of the Open Container Initiative."""
    config = image.config

    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["archivmail"]
    assert config["Cmd"] == ["operator"]
    assert {port.partition("/")[0] for port in config["ExposedPorts"]} == {"8080", "8081"}
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_build_settings_do_not_stay_in_the_image(image: BuiltImage) -> None:
    """No index, folder or option of pip, so nothing of the machine that built it."""
    assert not [each for each in image.config["Env"] if each.startswith("PIP_")]


def test_environment_has_exactly_the_locked_packages(image: BuiltImage) -> None:
    """No pip, no build backend, nothing that came along unasked."""
    lock = (CHECKOUT / "requirements" / "runtime.lock").read_text()
    locked = {_normal(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE)}

    installed = {}
    for metadata in (image.rootfs / SITE).glob("*.dist-info/METADATA"):
        fields = dict(
            line.split(": ", 1) for line in metadata.read_text().split("\n\n")[0].splitlines() if ": " in line
        )
        installed[_normal(fields["Name"])] = fields["Version"]

    assert installed == locked | {"archivmail": __version__}


def test_no_compiler_and_no_leftovers(image: BuiltImage) -> None:
    """No compiler, no pip, no caches, no sources of the build."""
    root = image.rootfs
    for folder in ("usr/bin", "usr/local/bin", "opt/archivmail/bin"):
        for program in ("gcc", "cc", "g++", "ld", "make", "cargo", "pip", "pip3", "git", "curl"):
            assert not (root / folder / program).exists(), f"{folder}/{program}"
    for leftover in ("build", "src", "wheels", "root/.cache", "tmp/pip"):
        assert not (root / leftover).exists(), leftover


def test_bytecode_is_compiled_and_never_checked(image: BuiltImage) -> None:
    """On a read-only root it could not be written, so each start would compile anew."""
    package = image.rootfs / SITE / "archivmail"
    sources = [path for path in package.rglob("*.py") if "migrations/versions" not in str(path)]

    assert sources
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc"
        assert int.from_bytes(compiled.read_bytes()[4:8], "little") == UNCHECKED_HASH, str(compiled)


def test_command_runs_on_a_read_only_root(image: BuiltImage) -> None:
    """As UID 65532 without capabilities; /tmp alone can be written to."""
    version = image.run("archivmail", "--version")
    probe = image.run("python", "-c", "import os; print(os.getuid(), os.getgid()); open('/opt/x', 'w')")
    status = image.run("python", "-c", "open('/tmp/x', 'w'); print(open('/proc/self/status').read())")

    assert version.stdout.strip() == f"archivmail, version {__version__}"
    assert probe.stdout.strip() == "65532 65532"
    assert "Read-only file system" in probe.stderr
    assert re.search(r"^CapEff:\s+0+$", status.stdout, re.MULTILINE), status.stderr


def test_image_prints_the_crd_of_the_checkout(image: BuiltImage) -> None:
    """What is inside is what was built."""
    assert image.run("archivmail", "crd").stdout == CRD.read_text()


@pytest.fixture
def pod(image: BuiltImage, control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[ServerProcess]:
    """The operator as the chart's Deployment describes it: its image, environment, volumes, rights and nothing else."""
    manifests = render(f'watchNamespaces=["{namespace}"]', 'log.level="debug"', namespace=namespace)
    needed = of_kind(manifests, "CustomResourceDefinition", "Role", "RoleBinding", "ServiceAccount")
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(needed))
    control_plane.kubectl("wait", "--for=condition=Established", "crd/imapaccounts.archivmail.io", "--timeout=30s")
    account = one(manifests, "ServiceAccount")["metadata"]["name"]
    token = tmp_path / "token"
    archive = tmp_path / "archive"
    for folder in (token, archive):
        folder.mkdir()
    archive.chmod(0o777)  # what fsGroup does
    files = {
        "token": control_plane.service_account_token(namespace, account),
        "ca.crt": control_plane.ca_pem,
        "namespace": namespace,
    }
    for name, text in files.items():
        (token / name).write_text(text)

    (spec,) = pod_specs(manifests)
    container = spec["containers"][0]
    health, metrics = reserve_port(), reserve_port()
    variables = {each["name"]: each["value"] for each in container["env"]} | {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(control_plane.port),
        "HOSTNAME": "archivmail-0",
        "ARCHIVMAIL_HEALTH_PORT": str(health),  # pods have ports of their own
        "ARCHIVMAIL_METRICS_PORT": str(metrics),
        "ARCHIVMAIL_EGRESS_ALLOW": LOOPBACK,
    }
    mounts = {archive: variables["ARCHIVMAIL_ARCHIVE"], token: SERVICE_ACCOUNT}
    command = image.command("archivmail", *container["args"], volumes=mounts, variables=variables)
    process = ServerProcess(command, log=tmp_path / "operator.log", env=image.environment)
    try:
        process.wait_until(lambda: _is_ok(health, "/readyz"), deadline_s=60)
        assert _is_ok(health, "/healthz")
        assert _is_ok(metrics, "/metrics")
        yield process
    finally:
        process.stop()
        release_port(health)
        release_port(metrics)


def test_operator_in_the_image_archives_with_the_rights_of_the_chart(
    pod: ServerProcess, control_plane: ControlPlane, namespace: str, mailbox: Mailbox
) -> None:
    """From `kubectl apply` to Complete and back, by the ServiceAccount's token alone; it ends when it is asked to."""
    account = Account(control_plane, namespace, mailbox)
    mailbox.server.append(mailbox.user, "INBOX", b"From: bob@example.org\r\nSubject: kept\r\n\r\nhello\r\n")

    account.apply()
    body = account.wait_for_condition("Complete")
    control_plane.kubectl("delete", "imap", account.name, "-n", namespace, "--timeout=30s")
    pod.signal(signal.SIGTERM)

    assert body["status"]["messages"]["archived"] == 1
    assert condition(body, "Ready")["status"] == "True"
    assert account.events()
    assert pod.wait(15) == 0
    log = pod.log_text()
    assert "orbidden" not in log, log
    assert "Traceback" not in log, log


def _is_ok(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
