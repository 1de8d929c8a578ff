"""The scripts that install the test tools: what they say when something is missing, and when nothing is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.servers.binaries import find_program

HACK = Path(__file__).resolve().parents[2] / "hack"
NEEDED = ("bash", "basename", "cat", "dirname", "find", "flock", "mkdir", "paste")


@pytest.fixture
def bare_environment(tmp_path: Path) -> dict[str, str]:
    """A machine with a shell and little else: no Go, no Python, no apt-get."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return {"PATH": str(folder), "HOME": str(tmp_path), "ARCHIVMAIL_CACHE": str(tmp_path / "cache")}


@pytest.mark.parametrize("script", ["controlplane", "go-tools"])
def test_missing_go_is_said_in_one_sentence(bare_environment: dict[str, str], script: str) -> None:
    """The sentence names what to install, and what to run then."""
    done = run(script, bare_environment)

    assert done.returncode == 1
    assert done.stderr == (
        f"{script}: Go is missing: install Go 1.26 or later (https://go.dev/dl), then run make tools\n"
    )


def test_missing_python_is_said_in_one_sentence(bare_environment: dict[str, str]) -> None:
    """Without an interpreter there is an instruction instead of a traceback."""
    done = run("venv", bare_environment)

    assert done.returncode == 1
    assert done.stderr.startswith("venv: Python 3.11 or later is missing: install it")


def test_other_systems_are_told_what_is_needed(bare_environment: dict[str, str]) -> None:
    """Where there is no apt-get, the packages are named."""
    done = run("debian", bare_environment)

    assert done.returncode == 1
    assert "this is not Debian: install " in done.stderr
    assert "promtool" in done.stderr


def test_cyrus_needs_debian(bare_environment: dict[str, str]) -> None:
    """Where there is no apt-get, the packages are named."""
    done = run("cyrus", bare_environment)

    assert done.returncode == 1
    assert done.stderr.startswith(
        "cyrus: this is not Debian: the tests with Cyrus need Debian's packages cyrus-common "
    )


def test_missing_npm_is_said_in_one_sentence(bare_environment: dict[str, str]) -> None:
    """The corpus of real mail is an npm package."""
    done = run("corpus", bare_environment)

    assert done.returncode == 1
    assert done.stderr == "corpus: npm is missing: install Node.js with npm, then run make tools\n"


def test_envtest_binaries_are_used_where_they_are_named(bare_environment: dict[str, str], tmp_path: Path) -> None:
    """KUBEBUILDER_ASSETS spares the build, and the fixtures look there first."""
    (tmp_path / "assets").mkdir()
    given = tmp_path / "assets" / "kube-apiserver"
    given.touch(mode=0o755)
    done = run("controlplane", {**bare_environment, "KUBEBUILDER_ASSETS": str(given.parent)})

    assert done.returncode == 0
    assert done.stderr == "controlplane: kube-apiserver of KUBEBUILDER_ASSETS is used\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBEBUILDER_ASSETS", str(given.parent))
        assert find_program("kube-apiserver") == given


@pytest.mark.servers
def test_scripts_are_free_of_shell_traps() -> None:
    """shellcheck finds nothing in any of them."""
    scripts = sorted(map(str, HACK.glob("*.sh")))
    done = subprocess.run(
        [find_program("shellcheck"), "-x", "-P", str(HACK), *scripts], capture_output=True, text=True, check=False
    )

    assert done.stdout == ""
    assert done.returncode == 0


def run(script: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    bash = Path(environment["PATH"]) / "bash"
    return subprocess.run(
        [bash, HACK / f"{script}.sh"], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
