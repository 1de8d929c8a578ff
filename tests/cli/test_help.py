"""The command line explains itself, and at once."""

import re
import subprocess
import sys

import click
import pytest

from archivmail import __version__
from archivmail.cli.main import COMMANDS, cli
from tests.cli.program import archivmail, process

HEAVY = ("kopf", "kubernetes", "sqlalchemy", "pydantic", "rich", "imapclient", "obstore", "yaml")


def test_help_lists_every_command_of_the_design() -> None:
    """Design §3.2, in its order, each with one line."""
    ended = process("--help")

    assert ended.code == 0
    listed = re.findall(r"^  ([a-z]+)  +[A-Z].*\.$", ended.text, re.MULTILINE)
    assert listed == [
        "operator", "sync", "status", "search", "show", "export", "verify", "rebuild", "audit", "upkeep", "stats",
        "erase", "crd",
    ]  # fmt: skip


def test_help_imports_no_heavy_library() -> None:
    """Start-up time is spent on the command that was asked for, and on no other."""
    script = "import sys; from archivmail.cli.main import cli; cli.main(['--help'], standalone_mode=False)"
    script += f"; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_only_the_operator_imports_a_cluster_client() -> None:
    """kopf and kubernetes take a second and are of no use without a cluster. One process for all commands: the first
    that imports one is named."""
    script = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module('archivmail.cli.' + name)\n"
    script += "    found = [each for each in ('kopf', 'kubernetes', 'aiohttp') if each in sys.modules]\n"
    script += "    assert not found, (name, found)"
    modules = sorted({COMMANDS[name][0] for name in COMMANDS.keys() - {"operator"}})
    done = subprocess.run(
        [sys.executable, "-c", script, *modules], capture_output=True, text=True, timeout=60, check=False
    )

    assert len(modules) > 5
    assert (0, "") == (done.returncode, done.stderr)


def test_version_is_that_of_the_package() -> None:
    """`--version` names program and version."""
    assert process("--version").text == f"archivmail, version {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_in_the_list_is_the_first_of_the_commands_own_help(name: str) -> None:
    """The list is written by hand so that help loads nothing: it must not drift."""
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    assert command.name == name
    assert (command.help or "").splitlines()[0] == COMMANDS[name][1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    """No option stands without a word of help."""
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    silent = [each.name for each in command.params if isinstance(each, click.Option) and not each.help]
    assert silent == []


def test_an_unknown_command_is_a_usage_error() -> None:
    """Exit code 2, and the sentence names what was asked for."""
    ended = archivmail("archive-it")

    assert (ended.code, ended.out) == (2, b"")
    assert "No such command 'archive-it'" in ended.err


def test_an_unknown_option_is_a_usage_error() -> None:
    """Exit code 2; nothing on standard output."""
    ended = archivmail("crd", "--loud")

    assert (ended.code, ended.out) == (2, b"")
    assert "--loud" in ended.err
