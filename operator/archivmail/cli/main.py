"""The `archivmail` command: loads the module of the command that was asked for, and none other.

Start-up time matters to people and scripts: `archivmail --help` imports click and this file only.
"""

import gc
import io
import logging
import os
import sys
from importlib import import_module
from types import ModuleType
from typing import Final

import click

from archivmail import __version__
from archivmail.cli import outcomes

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "operator": ("operate", "Run the operator, in a pod or against a kubeconfig."),
    "sync": ("sync", "Archive the mailboxes of manifests once, without a cluster."),
    "status": ("status", "Show how complete the archive of each account is."),
    "search": ("search", "Find messages, newest first."),
    "show": ("show", "Show one message."),
    "export": ("export", "Write messages to files, octets unchanged."),
    "verify": ("verify", "Prove that the archive holds what it says."),
    "rebuild": ("rebuild", "Make the catalog anew from the packs alone."),
    "audit": ("audit", "Show the audit trail, or prove it."),
    "upkeep": ("upkeep", "Merge small packs and remove what is past its time."),
    "stats": ("stats", "Show what the archive holds, in numbers."),
    "erase": ("erase", "Remove messages for good, where the law asks for it."),
    "crd": ("crd", "Print the CustomResourceDefinition of ImapAccount."),
}
"""Name, module in this package (its function is `command`), and the line of `archivmail --help`."""


class Commands(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the form click asks for
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - the form click asks for
        if cmd_name not in COMMANDS:
            return None
        command = _load(f"archivmail.cli.{COMMANDS[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. Click itself would end a closed pipe with code 1, which means something else here."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            return outcomes.Exit.COMPLETE

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - the form click asks for
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done and complete; 1 done, but something is not archived or damaged, and it says what; "
    "2 usage, manifest or Secret; 3 could not.",
)
@click.version_option(__version__, prog_name="archivmail")
def cli() -> None:
    """Archive IMAP mailboxes, byte for byte, and show how complete the archive is."""


def _load(module: str) -> ModuleType:
    """Import without the collector: what is imported stays, and looking through it over and over costs a tenth.

    It is also told to leave alone what is there by then, so that each later collection is shorter.
    """
    gc.disable()
    try:
        return import_module(module)
    finally:
        gc.freeze()
        gc.enable()


def main() -> None:
    """Entry point of the installed command."""
    _write_whatever_the_locale()
    _configure_logs()
    sys.exit(outcomes.run(lambda: cli.main(prog_name="archivmail", standalone_mode=False)))


def _write_whatever_the_locale() -> None:
    """A locale without UTF-8 must not cost a command: what it cannot write is shown escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _configure_logs() -> None:
    """Commands are quiet but for warnings; the operator configures its own lines later."""
    level = os.environ.get("ARCHIVMAIL_LOG_LEVEL", "").upper()
    if level not in logging.getLevelNamesMapping():
        level = "WARNING"
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("archivmail").setLevel(level)
