"""Export: placements in, files out. Knows no format; each is a module beside this one."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from archivmail.archive.export import manifest
from archivmail.archive.export.eml import EmlTree
from archivmail.archive.export.journal import NAME as JOURNAL
from archivmail.archive.export.journal import Journal
from archivmail.archive.export.maildir import Maildir
from archivmail.archive.export.manifest import About
from archivmail.archive.export.mbox import MboxTree
from archivmail.archive.export.names import account_path
from archivmail.archive.export.report import MAX_FAILURES, ExportReport, Failure, Format, Progress
from archivmail.archive.export.sink import Octets, Put, Sink, make_directory
from archivmail.archive.export.tarball import Tarball
from archivmail.archive.rows import PlacementRow
from archivmail.model.errors import ArchiveDamaged, ArchiveUnavailable, SpecInvalid
from archivmail.model.message import ContentId

STEP_MESSAGES = 1000
STEP_OCTETS = 64 * 1024 * 1024
"""After so much an export that is killed goes on from there."""

_REMOVED = "It was removed from the archive while the export ran."


class Reader(Protocol):
    """What export needs of the archive."""

    def octets(self, content_id: ContentId, /) -> Iterator[bytes]:
        """Raises ArchiveDamaged, at the latest after the last piece, and ArchiveUnavailable.

        SpecInvalid where there is no such message any more.
        """
        ...


def export(
    archive: Reader,
    placements: Iterable[PlacementRow],
    *,
    format: Format,  # noqa: A002 - the word of the command line
    output: Path | BinaryIO,
    unique: bool = False,
    query: str = "",
    accounts: tuple[str, ...] = (),
    progress: Progress = lambda _: None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> ExportReport:
    """Write messages, and last a manifest of them; an export that was stopped goes on where it was.

    Files of an earlier export that hold their message stay (mbox and tar are written anew). `unique`: of each content
    of an account only the first placement. `query` and `accounts` are what the rows were chosen by, for the manifest.
    A damaged message is reported, the others are written. Raises RunInProgress while another export writes there,
    ArchiveUnavailable when the archive cannot be read or the output not be written; what was written stays.
    """
    about = About(format.value, query, accounts, unique, clock())
    try:
        with closing(_journal(output, about)) as journal:
            with closing(_sink(format, output, journal, unique=unique)) as sink:
                report = _write_all(archive, placements, _Steps(sink, journal), journal if unique else None, progress)
                about = replace(about, ended_at=clock(), failed=report.failed, failures=report.failures)
                sink.finish(lambda out, below: manifest.write(out, about, journal, below=below))
            journal.discard()
    except BrokenPipeError:
        raise  # who reads the tar has gone; the command line knows what that means
    except OSError as error:
        raise ArchiveUnavailable(
            f"The export cannot be written ({error.strerror or error}); "
            "free some space or choose another --output, then run the same command again."
        ) from error
    return report


def _journal(output: Path | BinaryIO, about: About) -> Journal:
    request: dict[str, object] = {
        "format": about.format, "query": about.query, "accounts": about.accounts, "unique": about.unique
    }  # fmt: skip
    if not isinstance(output, Path):
        return Journal(None, request)
    if about.format == Format.TAR:
        make_directory(output.parent)
        return Journal(output.with_name(f".{output.name[:200]}{JOURNAL}"), request)
    make_directory(output)
    return Journal(output / JOURNAL, request)


def _sink(chosen: Format, output: Path | BinaryIO, journal: Journal, *, unique: bool) -> Sink:
    if chosen is Format.TAR:
        return Tarball(output, journal)
    if not isinstance(output, Path):
        raise SpecInvalid(f"The format {chosen} needs a directory; only tar can be written to standard output.")
    match chosen:
        case Format.EML:
            return EmlTree(output, journal, unique=unique)
        case Format.MAILDIR:
            return Maildir(output, journal)
        case Format.MBOX:
            return MboxTree(output, journal)


class _Steps:
    """Puts messages, and now and then notes on the disk how far it is."""

    def __init__(self, sink: Sink, journal: Journal) -> None:
        self.name = sink.name
        self._sink, self._journal = sink, journal
        self._messages = self._octets = 0

    def put(self, row: PlacementRow, octets: Octets) -> Put:
        if not self._sink.looks_itself and self._journal.is_done(row):
            return Put.PRESENT
        put, written = self._sink.put(row, octets)
        self._journal.note(row, written)
        self._messages += 1
        self._octets += row.size
        if self._messages >= STEP_MESSAGES or self._octets >= STEP_OCTETS:
            self.commit()
        return put

    def commit(self) -> None:
        self._journal.commit(self._sink.flush())
        self._messages = self._octets = 0


def _write_all(
    archive: Reader, placements: Iterable[PlacementRow], steps: _Steps, seen: Journal | None, progress: Progress
) -> ExportReport:
    report = ExportReport()
    try:
        for row in placements:
            if seen is not None and not (seen.is_first(account_path(row.account), row.content_id) or seen.is_done(row)):
                continue
            try:
                put = steps.put(row, partial(archive.octets, row.content_id))
            except (ArchiveDamaged, SpecInvalid) as error:
                # SpecInvalid: retention or an erasure removed it while the export ran.
                text = _REMOVED if isinstance(error, SpecInvalid) else error.text
                failure = Failure(steps.name(row), row.content_id.hex(), text)
                failures = report.failures if report.failed >= MAX_FAILURES else (*report.failures, failure)
                report = replace(report, failed=report.failed + 1, failures=failures)
            else:
                report = _counted(report, put, row.size)
            progress(report)
    finally:
        steps.commit()  # what stops it, as Ctrl-C, costs nothing of what is written
    return report


def _counted(report: ExportReport, put: Put, size: int) -> ExportReport:
    if put is Put.PRESENT:
        return replace(report, present=report.present + 1)
    return replace(report, written=report.written + 1, written_bytes=report.written_bytes + size)
