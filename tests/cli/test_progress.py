"""How a run shows itself while it lasts."""

import os
import signal

import pytest

from archivmail.cli.progress import Bar, Lines, watcher_for
from archivmail.cli.stopping import stop_on_signals
from archivmail.model.outcome import Progress
from archivmail.sync.ports import Watcher


class Clock:
    """Monotonic seconds that the test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def progress(done: int, fetched: int) -> Progress:
    return Progress("INBOX", 2, 41, 18_000, done, fetched)


def test_a_log_gets_at_most_one_line_in_five_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """Messages arrive by the thousand; lines do not."""
    clock = Clock()
    watcher = Lines("team-a/alice", clock=clock)
    for step in range(1000):
        clock.now = 100 + step / 100
        watcher.progressed(progress(step, step * 20_000))

    said = capsys.readouterr().err.splitlines()
    assert said == ["team-a/alice: folder 3 of 41, 500 of 18,000 messages, 2.0 MB/s"]


def test_a_terminal_gets_a_bar_with_counts_and_rate(capsys: pytest.CaptureFixture[str]) -> None:
    """Folder, messages done and to do; a folder name is text, not markup."""
    with Bar("team-a/alice") as watcher:
        watcher.progressed(Progress("[red]x", 2, 41, 18_000, 1_200, 1000))
        shown = str(watcher._bar.tasks[0].description), watcher._bar.tasks[0].fields["counts"]

    assert shown == (r"team-a/alice  \[red]x", "1,200/18,000 messages  2/41 folders")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("quiet", [True, False])
def test_every_watcher_is_one_that_a_run_accepts(quiet: bool) -> None:
    """The shape of sync.ports.Watcher, checked by mypy; here that the calls do no harm."""
    watcher: Watcher = watcher_for("team-a/alice", quiet=quiet)
    watcher.progressed(progress(1, 1))
    watcher.imap_failed("fetch", "MessageRefused")
    watcher.archive_written(0.1, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks_and_the_second_ends(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C keeps what was archived; twice Ctrl-C does not wait. The handlers before are put back."""
    before = signal.getsignal(number)
    with stop_on_signals() as should_stop:
        assert not should_stop()
        os.kill(os.getpid(), number)
        assert should_stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)

    assert signal.getsignal(number) is before
    assert "what is archived is kept" in capsys.readouterr().err
