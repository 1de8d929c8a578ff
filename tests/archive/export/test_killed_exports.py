"""An export that is killed goes on where it was: nothing twice, nothing half, and the same result in the end."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archivmail.archive.export import eml, maildir, mbox, run, sink, tarball
from archivmail.archive.export.manifest import NAME
from archivmail.model.errors import RunInProgress
from archivmail.model.message import ContentId
from tests.archive.export.sightings import Mailbox, files, unfinished

COUNT = 60
STEP = 10
FORMATS = ["eml", "maildir", "mbox", "tar"]


@pytest.fixture
def full(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    monkeypatch.setattr(run, "STEP_MESSAGES", STEP)
    for number in range(COUNT):
        mailbox.add(b"Subject: %d\r\n\r\nFrom %d" % (number, number), folder=b"Folder%d" % (number % 3))
    return mailbox


def killed(task: Callable[[], object]) -> None:
    """Run it in a child that ends by SIGKILL."""
    child = os.fork()
    if child == 0:
        try:
            task()
        finally:
            os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def output_of(kind: str, directory: Path) -> Path:
    return directory / "a.tar" if kind == "tar" else directory


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("at", [0, 1, STEP, STEP + 1, 37, COUNT - 1])
def test_a_killed_export_goes_on(full: Mailbox, tmp_path: Path, kind: str, at: int) -> None:
    """SIGKILL within message number `at`."""
    output = output_of(kind, tmp_path / "killed")
    octets = full.octets

    def dies(content_id: ContentId) -> Iterator[bytes]:
        yield from octets(content_id)
        if len(full.read) > at:
            die()

    def task() -> None:
        full.octets = dies  # type: ignore[method-assign]
        full.export(kind, output)

    killed(task)
    assert not list((tmp_path / "killed").glob(f"*{NAME}"))
    before = {path: path.stat() for path in (tmp_path / "killed").rglob("*.eml")}
    before |= {path: path.stat() for path in (tmp_path / "killed").rglob("cur/*")}
    report = full.export(kind, output)
    kept = at if kind in {"eml", "maildir"} else at - at % STEP
    assert (report.written, report.present) == (COUNT - kept, kept)
    assert len(full.read) == COUNT - kept
    assert all(
        (path.stat().st_ino, path.stat().st_mtime_ns) == (was.st_ino, was.st_mtime_ns) for path, was in before.items()
    )
    full.export(kind, output_of(kind, tmp_path / "whole"))
    if kind == "tar":  # its manifest tells the time
        assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    else:
        assert files(tmp_path / "killed") == files(tmp_path / "whole")
    assert lines_of(tmp_path / "killed") == lines_of(tmp_path / "whole")
    assert unfinished(tmp_path / "killed") == []


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("point", ["manifest", "rename"])
def test_an_export_killed_at_its_end_ends(
    full: Mailbox, tmp_path: Path, kind: str, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is written, the manifest is not: the next call writes that and nothing else."""
    output = output_of(kind, tmp_path)

    def task() -> None:
        if point == "manifest":
            for module in (eml, maildir, mbox, tarball):
                monkeypatch.setattr(module, "put_manifest", die)
        else:
            monkeypatch.setattr(sink.os, "fsync", lambda _: None)
            monkeypatch.setattr(run.manifest, "write", die)
        full.export(kind, output)

    killed(task)
    report = full.export(kind, output)
    assert (report.written, report.present) == (0, COUNT)
    assert len([line for line in lines_of(tmp_path) if not line.startswith("#")]) == (3 if kind == "mbox" else COUNT)
    assert unfinished(tmp_path) == []


def test_another_request_does_not_go_on_with_it(full: Mailbox, tmp_path: Path) -> None:
    """Half of a query's messages are no part of everything."""

    def task() -> None:
        rows, full.rows = full.rows, full.rows[: 2 * STEP]
        full.octets, octets = die, full.octets  # type: ignore[method-assign, assignment]
        del rows, octets
        full.export("mbox", tmp_path, query="x")

    killed(task)
    assert full.export("mbox", tmp_path).written == COUNT


def test_two_exports_into_one_output_are_refused(full: Mailbox, tmp_path: Path) -> None:
    """They would tear each other's files."""
    octets = full.octets

    def meets(content_id: ContentId) -> Iterator[bytes]:
        with pytest.raises(RunInProgress, match="choose another --output"):
            full.export("eml", tmp_path)
        full.octets = octets  # type: ignore[method-assign]
        return octets(content_id)

    full.octets = meets  # type: ignore[method-assign]
    assert full.export("eml", tmp_path).written == COUNT


def contents(directory: Path) -> bytes:
    """Of a tar, without its manifest."""
    return (directory / "a.tar").read_bytes().partition(NAME.encode())[0]


def lines_of(directory: Path) -> list[str]:
    [path] = directory.glob(f"*{NAME}")
    return [line for line in path.read_text().splitlines() if not line.startswith("# ")]
