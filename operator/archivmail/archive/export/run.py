"""Export: placements in, files out. Knows no format; each is a module beside this one."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from archivmail.archive.export.claims import Claims
from archivmail.archive.export.eml import EmlTree
from archivmail.archive.export.maildir import Maildir
from archivmail.archive.export.mbox import MboxTree
from archivmail.archive.export.names import account_path
from archivmail.archive.export.report import MAX_FAILURES, ExportReport, Failure, Format, Progress
from archivmail.archive.export.sink import Put, Sink
from archivmail.archive.export.tarball import Tarball
from archivmail.archive.rows import PlacementRow
from archivmail.model.errors import ArchiveDamaged, ArchiveUnavailable, SpecInvalid
from archivmail.model.message import ContentId


class Reader(Protocol):
    """What export needs of the archive."""

    def octets(self, content_id: ContentId, /) -> Iterator[bytes]:
        """Raises ArchiveDamaged, at the latest after the last piece, and ArchiveUnavailable."""
        ...


def export(
    archive: Reader,
    placements: Iterable[PlacementRow],
    *,
    format: Format,  # noqa: A002 - the word of the command line
    output: Path | BinaryIO,
    unique: bool = False,
    progress: Progress = lambda _: None,
) -> ExportReport:
    """Write messages; what an earlier call wrote stays and is not written again (mbox and tar are written anew).

    Rows come in an order that stays the same from call to call. `unique`: of each content of an account only the first
    placement. A damaged message is reported, the others are written. Raises ArchiveUnavailable
    when the archive cannot be read or the output not be written; what was put in place until then stays.
    """
    with closing(Claims()) as claims:
        try:
            with closing(_sink(format, output, claims, unique=unique)) as sink:
                report = _write_all(archive, placements, sink, claims if unique else None, progress)
                sink.finish()
        except BrokenPipeError:
            raise  # who reads the tar has gone; the command line knows what that means
        except OSError as error:
            raise ArchiveUnavailable(
                f"The export cannot be written ({error.strerror or error}); "
                "free some space or choose another --output, then run the same command again."
            ) from error
    return report


def _sink(chosen: Format, output: Path | BinaryIO, claims: Claims, *, unique: bool) -> Sink:
    if chosen is Format.TAR:
        return Tarball(output, claims)
    if not isinstance(output, Path):
        raise SpecInvalid(f"The format {chosen} needs a directory; only tar can be written to standard output.")
    match chosen:
        case Format.EML:
            return EmlTree(output, claims, unique=unique)
        case Format.MAILDIR:
            return Maildir(output, claims)
        case Format.MBOX:
            return MboxTree(output)


def _write_all(
    archive: Reader, placements: Iterable[PlacementRow], sink: Sink, seen: Claims | None, progress: Progress
) -> ExportReport:
    report = ExportReport()
    for row in placements:
        if seen is not None and not seen.is_first(account_path(row.account), row.content_id):
            continue
        try:
            put = sink.put(row, partial(archive.octets, row.content_id))
        except ArchiveDamaged as error:
            failure = Failure(sink.name(row), row.content_id.hex(), error.text)
            failures = report.failures if report.failed >= MAX_FAILURES else (*report.failures, failure)
            report = replace(report, failed=report.failed + 1, failures=failures)
        else:
            report = _counted(report, put, row.size)
        progress(report)
    return report


def _counted(report: ExportReport, put: Put, size: int) -> ExportReport:
    if put is Put.PRESENT:
        return replace(report, present=report.present + 1)
    return replace(report, written=report.written + 1, written_bytes=report.written_bytes + size)
