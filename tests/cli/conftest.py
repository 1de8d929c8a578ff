"""A small IMAP server from PyPI and an archive filled from it, shared by the tests of one process."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

from tests.cli.manifests import manifest
from tests.cli.program import archivmail

ROOT = Path(__file__).resolve().parents[2]


def load_demo() -> ModuleType:
    """hack/demo.py as a module."""
    spec = util.spec_from_file_location("archivmail_demo", ROOT / "hack" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True, slots=True)
class Pymap:
    """A running server that holds examples/mail."""

    port: int
    user: str = "alice"
    password: str = "secret"


@pytest.fixture(scope="session")
def pymap() -> Iterator[Pymap]:
    """The demo's server, filled with the demo's mail."""
    demo = load_demo()
    server = Pymap(demo._free_port())
    with demo._server(server.port, server.user, server.password):
        demo._fill(server.port, server.user, server.password)
        yield server


@pytest.fixture(scope="session")
def filled(pymap: Pymap, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of that mailbox. Not to be changed: take `archive` for that."""
    folder = tmp_path_factory.mktemp("filled")
    path = folder / "archive"
    ended = archivmail("sync", "-f", manifest(folder, port=pymap.port), "--archive", path)
    assert ended.code == 0, ended
    return path


@pytest.fixture
def archive(filled: Path, tmp_path: Path) -> Path:
    """A copy of `filled` for this test alone."""
    path = tmp_path / "archive"
    shutil.copytree(filled, path)
    return path


@pytest.fixture
def processes() -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Processes that a test starts; ended when it ends."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()
