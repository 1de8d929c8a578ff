"""Design §3.2, fine print: who must act decides the exit code, and a traceback is never an answer."""

import errno
import logging
from collections.abc import Callable

import click
import pytest

from archivmail.cli import outcomes
from archivmail.cli.outcomes import Exit
from archivmail.model import errors
from archivmail.observe import logs


def raising(error: BaseException) -> Callable[[], object]:
    def command() -> object:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SpecInvalid("x"), 2),
        (errors.SecretMissing("x"), 2),
        (errors.CredentialsRefused("x"), 3),
        (errors.TlsRefused("x"), 3),
        (errors.ServerUnsuitable("x"), 3),
        (errors.ConnectionLost("x"), 3),
        (errors.ServerBusy("x"), 3),
        (errors.ServerViolation("x"), 3),
        (errors.ArchiveUnavailable("x"), 3),
        (errors.RunInProgress("x"), 3),
        (errors.FolderRefused("x"), 1),
        (errors.ArchiveDamaged("x"), 1),
        (errors.Aborted("x"), 1),
        (click.UsageError("x"), 2),
        (click.BadParameter("x"), 2),
        (click.FileError("x"), 2),
        (KeyboardInterrupt(), 3),
        (OSError(errno.ENOSPC, "No space left on device", "/mail"), 3),
        (RuntimeError("x"), 3),
        (RecursionError(), 3),
        (MemoryError(), 3),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_error_has_an_exit_code_and_one_sentence(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is raised, the answer is a code and a line on standard error, never a traceback."""
    assert outcomes.run(raising(error)) == code

    streams = capsys.readouterr()
    assert streams.out == ""
    assert "Traceback" not in streams.err
    assert streams.err.strip()


def test_every_error_of_the_model_is_told_in_its_own_words(capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence of the error stands after the program's name, on one line."""
    outcomes.run(raising(errors.ArchiveUnavailable("the archive /mail is not there; check --archive")))

    assert capsys.readouterr().err == "archivmail: the archive /mail is not there; check --archive\n"


def test_a_sentence_cannot_speak_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Servers are quoted in errors: their control characters are shown instead of sent."""
    outcomes.run(raising(errors.ServerBusy("the server said \x1b[2J\r\nbye")))

    assert capsys.readouterr().err == "archivmail: the server said \\x1b[2J\\x0d\\x0abye\n"


def test_a_bug_does_not_show_what_it_held(capsys: pytest.CaptureFixture[str]) -> None:
    """The text of an unexpected error may hold anything; only its class is told, and how to learn more."""
    outcomes.run(raising(ValueError("hunter2-is-the-password")))

    said = capsys.readouterr().err
    assert "hunter2" not in said
    assert "ValueError" in said
    assert "ARCHIVMAIL_LOG_LEVEL=debug" in said


def test_debug_shows_the_traceback_without_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At debug level the traceback is shown, concealed values taken out of it."""
    monkeypatch.setattr(logging.getLogger("archivmail"), "level", logging.DEBUG)
    logging.getLogger("archivmail").manager._clear_cache()
    logs.conceal("hunter2-is-the-password")
    try:
        outcomes.run(raising(ValueError("hunter2-is-the-password")))
    finally:
        monkeypatch.undo()
        logging.getLogger("archivmail").manager._clear_cache()

    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "ValueError: (concealed)" in said
    assert "hunter2" not in said


def test_a_reader_that_has_seen_enough_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """`archivmail search … | head` ends quietly."""
    assert outcomes.run(raising(BrokenPipeError(errno.EPIPE, "Broken pipe"))) == Exit.COMPLETE
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("result", "code"), [(None, 0), (Exit.INCOMPLETE, 1), (3, 3)])
def test_a_command_may_name_its_own_code(result: object, code: int) -> None:
    """A command that says nothing was complete."""
    assert outcomes.run(lambda: result) == code
