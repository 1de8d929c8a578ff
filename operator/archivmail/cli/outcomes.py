"""What a command ends with: an exit code and, when it went wrong, one sentence on standard error (design §3.2).

The only place that turns an error into a code. A traceback is never an answer; ARCHIVMAIL_LOG_LEVEL=debug shows it.
"""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum

import click

from archivmail.model.errors import (
    Aborted,
    ArchiveDamaged,
    ArchivmailError,
    FolderRefused,
    SecretMissing,
    SpecInvalid,
)


class Exit(IntEnum):
    """Exit codes, part of the public interface."""

    COMPLETE = 0
    INCOMPLETE = 1
    """Done, but something is not archived, damaged or quarantined."""
    USAGE = 2
    """The command line, the manifest or a Secret must be changed."""
    FAILED = 3
    """Could not: no connection, credentials refused, certificate, archive unavailable, a bug."""


def exit_code_of(error: ArchivmailError) -> Exit:
    """Who must act decides the code."""
    match error:
        case SpecInvalid() | SecretMissing():
            return Exit.USAGE
        case ArchiveDamaged() | FolderRefused() | Aborted():
            return Exit.INCOMPLETE
        case _:
            return Exit.FAILED


def run(command: Callable[[], object]) -> int:
    """Run a command to its exit code. Lets nothing through but the code."""
    try:
        code = _attempt(command)
    except BrokenPipeError:
        # The reader has seen enough (`archivmail search … | head`): that is no failure.
        code = Exit.COMPLETE
    return _flushed(code)


def _attempt(command: Callable[[], object]) -> int:
    try:
        result = command()
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.UsageError as error:
        error.show()
        return Exit.USAGE
    except click.ClickException as error:
        complain(error.format_message())
        return Exit.USAGE
    except ArchivmailError as error:
        complain(error.text)
        _show_traceback()
        return exit_code_of(error)
    except (KeyboardInterrupt, click.Abort):
        complain("stopped before the end; run the same command again")
        return Exit.FAILED
    except BrokenPipeError:
        raise
    except OSError as error:
        complain(_sentence_of(error))
        _show_traceback()
        return Exit.FAILED
    except Exception as error:  # noqa: BLE001 - the last net: whatever happens, the answer is one sentence
        complain(
            f"an error inside archivmail ({type(error).__name__}); set ARCHIVMAIL_LOG_LEVEL=debug, run it again"
            " and report what it shows"
        )
        _show_traceback()
        return Exit.FAILED
    return result if isinstance(result, int) else Exit.COMPLETE


def complain(text: str) -> None:
    """One line on standard error that begins with the program's name."""
    with suppress(OSError, ValueError):
        click.echo(f"archivmail: {_visible(text)}", err=True)


def _visible(text: str) -> str:
    """Error texts quote servers and files: what is not printable is shown, not sent to the terminal."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text.strip())


def _sentence_of(error: OSError) -> str:
    what = error.strerror or type(error).__name__
    if error.filename:
        return f"{os.fsdecode(error.filename)}: {what}; check the path, its permissions and the free space"
    return f"{what}; check free space, permissions and the network"


def _show_traceback() -> None:
    if not logging.getLogger("archivmail").isEnabledFor(logging.DEBUG):
        return
    # On the way out only: no command pays for this import.
    from archivmail.observe.logs import without_secrets  # noqa: PLC0415

    with suppress(OSError, ValueError):
        click.echo(without_secrets(traceback.format_exc()), err=True)


def _flushed(code: int) -> int:
    """Flush now: an interpreter that fails to flush at its end would print a traceback of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        except (OSError, ValueError) as error:
            if stream is sys.stdout:
                complain(f"the output could not be written: {error}")
                code = max(code, Exit.FAILED)
    return code
