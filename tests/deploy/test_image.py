"""The image holds what is locked and no more, and runs as the chart runs it."""

from __future__ import annotations

import json
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
from .image import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.controlplane import ControlPlane
    from tests.servers.fixtures import Mailbox

    from .image import BuiltImage

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(1200)]

SITE = "opt/archivmail/lib/python3.11/site-packages"
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
TOP = {"dev", "etc", "lib", "lib64", "opt", "proc", "run", "sys", "tmp", "usr", "var"}
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
    assert re.fullmatch(r"[0-9a-f]{40}", config["Labels"]["org.opencontainers.image.revision"])
    assert re.search(r"@sha256:[0-9a-f]{64}$", config["Labels"]["org.opencontainers.image.base.name"])


def test_build_settings_do_not_stay_in_the_image(image: BuiltImage) -> None:
    """No index, folder or option of pip, so nothing of the machine that built it."""
    assert not [each for each in image.config["Env"] if each.startswith("PIP_")]


def test_environment_has_exactly_the_locked_packages(image: BuiltImage) -> None:
    """No pip, no build backend, nothing that came along unasked."""
    installed = {}
    for metadata in (image.rootfs / SITE).glob("*.dist-info/METADATA"):
        fields = dict(
            line.split(": ", 1) for line in metadata.read_text().split("\n\n")[0].splitlines() if ": " in line
        )
        installed[_normal(fields["Name"])] = fields["Version"]

    assert installed == _locked() | {"archivmail": __version__}


def test_python_is_the_only_program(image: BuiltImage) -> None:
    """No shell, no compiler, no package manager, nothing with special rights, and no leftovers of the build."""
    root = image.rootfs
    executable = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o111 and ".so" not in path.name
    }
    privileged = [path for path in root.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o6000]

    assert executable == {"usr/bin/python3.11", "opt/archivmail/bin/archivmail"}
    assert privileged == []
    assert {path.name for path in root.iterdir()} <= TOP


def test_image_is_small(image: BuiltImage) -> None:
    """At most 250 MB of files, each counted once."""
    files = {path.stat().st_ino: path.stat().st_size for path in image.rootfs.rglob("*") if path.is_file()}

    assert sum(files.values()) <= 250 * 1000**2


def test_bill_of_materials_names_what_is_inside(image: BuiltImage) -> None:
    """CycloneDX: every locked package and the packages of the system, with versions; nothing of the machine."""
    text = (image.rootfs / "usr/share/sbom/archivmail.cdx.json").read_text()
    bom = json.loads(text)
    named = {(_normal(each["name"]), each["version"]) for each in bom["components"]}
    system = {each["name"] for each in bom["components"] if each["purl"].startswith("pkg:deb/")}
    recorded = {path.name for path in (image.rootfs / "var/lib/dpkg/status.d").iterdir()}

    assert bom["bomFormat"] == "CycloneDX"
    assert bom["metadata"]["component"]["name"] == "archivmail"
    assert _locked().items() <= named
    assert {"libc6", "libssl3", "libsqlite3-0", "python3.11-minimal", "ca-certificates"} <= system
    assert recorded == system
    assert "file://" not in text


def test_names_and_certificates_are_found(image: BuiltImage) -> None:
    """What a base image brings and nobody thinks of: authorities, name look-up, time zones, threads that end."""
    program = """
import socket, sqlite3, ssl, threading, zoneinfo
import kubernetes.aio.leaderelection, obstore, psycopg, zstandard
thread = threading.Thread(target=print); thread.start(); thread.join()
assert socket.getaddrinfo("localhost", 993)
assert zoneinfo.ZoneInfo("Europe/Berlin")
assert zstandard.backend == "cext"
print(len(ssl.create_default_context().get_ca_certs()))
"""
    done = image.run("python", "-c", program)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 50


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


def test_skaffold_builds_this_image_and_installs_it(image: BuiltImage) -> None:
    """What `skaffold dev` would do: the Dockerfile that was just built, and the chart with the image's name."""
    skaffold = yaml.safe_load((CHECKOUT / "skaffold.yaml").read_text())
    (artifact,) = skaffold["build"]["artifacts"]
    (release,) = skaffold["deploy"]["helm"]["releases"]
    built = (CHECKOUT / "hack" / "image.sh").read_text()
    named = {"{{.IMAGE_REPO_archivmail}}": "localhost/archivmail", "{{.IMAGE_TAG_archivmail}}": "test"}
    values = [f"{path}={json.dumps(named[value])}" for path, value in release["setValueTemplates"].items()]
    values += [f"{path}={json.dumps(value)}" for path, value in release["setValues"].items()]

    (spec,) = pod_specs(render(*values, namespace=release["namespace"]))

    assert f"--file {artifact['docker']['dockerfile']} {artifact['context']}" in built
    assert spec["containers"][0]["image"] == NAME
    assert spec["containers"][0]["args"] == image.config["Cmd"]


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


def _locked() -> dict[str, str]:
    lock = (CHECKOUT / "requirements" / "runtime.lock").read_text()
    return {_normal(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, re.MULTILINE)}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
