"""`archivmail export`: messages as files that other programs read."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import click

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.querytext import Query, parse
from archivmail.archive.export.report import ExportReport, Format
from archivmail.archive.export.run import export
from archivmail.cli.acting import actor, record
from archivmail.cli.counting import UNKNOWN_TOTAL, counting
from archivmail.cli.opened import accounts_of, for_reading
from archivmail.cli.options import account_options, archive_options
from archivmail.cli.outcomes import Exit
from archivmail.cli.output import count, counted, note, size
from archivmail.model.errors import ArchiveUnavailable, SpecInvalid
from archivmail.model.notices import AuditEvent

STANDARD_OUTPUT: Final = "-"


@click.command("export")
@click.argument("query", nargs=-1)
@account_options
@click.option(
    "--format",
    "format_name",
    type=click.Choice([each.value for each in Format]),
    default=Format.EML.value,
    show_default=True,
    help="eml: a file per message. maildir: Maildir++ with flags. mbox: a file per folder. tar: the eml tree.",
)
@click.option(
    "--output",
    required=True,
    metavar="PATH",
    help="Directory, or the file of a tar; - writes the tar to standard output.",
)
@click.option("--unique", is_flag=True, help="Each message once, however many folders it was seen in.")
@archive_options
def command(
    *,
    query: tuple[str, ...],
    namespace: str | None,
    account: str | None,
    format_name: str,
    output: str,
    unique: bool,
    archive_url: str,
    catalog_url: str | None,
) -> int:
    """Write messages to files, octets unchanged.

    Everything, or what QUERY finds (as in search). One file for each place where a message was seen, as the mailbox
    looked. An export that was stopped goes on with the same command. Last comes MANIFEST.sha256 with the SHA-256 of
    every message: sha256sum --check MANIFEST.sha256. A message that cannot be read is named there, the others are
    written, and the exit code is 1.
    """
    target = _target(output, Format(format_name))
    with for_reading(archive_url, catalog_url) as archive:
        refs = accounts_of(archive, namespace, account)
        if not refs:
            return Exit.COMPLETE
        text = " ".join(query)
        wanted = _wanted(archive, text)
        total = (
            UNKNOWN_TOTAL if unique else archive.count_placements(namespace=namespace, account=account, query=wanted)
        )
        with counting("export", lambda number: counted(number, "message")) as progress:
            report = export(
                archive,
                archive.placements(namespace=namespace, account=account, query=wanted),
                format=Format(format_name),
                output=target,
                unique=unique,
                query=text,
                accounts=tuple(map(str, refs)),
                progress=lambda so_far: progress(so_far.written + so_far.present + so_far.failed, total),
            )
    for line in _lines(report, output):
        note(line)
    facts: dict[str, str | int | bool] = {
        "format": format_name,
        "messages": report.written,
        "octets": report.written_bytes,
        "failed": report.failed,
        "isSelection": bool(text),  # the words themselves may be names and subjects
        "by": actor("export"),
    }
    record(archive_url, catalog_url, AuditEvent("export", namespace or "", account or "", facts))
    return Exit.COMPLETE if report.is_complete else Exit.INCOMPLETE


def _wanted(archive: Archive, query: str) -> Query | None:
    if not query:
        return None
    wanted = parse(query)
    if backlog := archive.index_backlog():
        note(f"{counted(backlog, 'message')} not indexed yet and may be left out; archivmail sync indexes them")
    return wanted


def _target(output: str, chosen: Format) -> Path | BinaryIO:
    """Raises SpecInvalid and ArchiveUnavailable before hours of work and not after them."""
    if output == STANDARD_OUTPUT:
        if chosen is not Format.TAR:
            raise SpecInvalid(f"the format {chosen} needs a directory; only tar can be written to standard output")
        return sys.stdout.buffer
    if not output:
        raise SpecInvalid("--output is empty; name a directory, or the file of a tar")
    path = Path(output)
    if chosen is Format.TAR and path.is_dir():
        raise ArchiveUnavailable(f"{output} is a directory; name the file of the tar, as in {path / 'mail.tar'}")
    if chosen is not Format.TAR and path.exists() and not path.is_dir():
        raise ArchiveUnavailable(f"{output} is no directory; the format {chosen} needs one")
    return path


def _lines(report: ExportReport, output: str) -> Iterator[str]:
    """On standard error: standard output may be the export."""
    for failure in report.failures:
        yield f"not exported: {failure.name} (id {failure.content_id[:12]}): {failure.error}"
    if report.failed > len(report.failures):
        yield f"not exported: {count(report.failed - len(report.failures))} more"
    where = "standard output" if output == STANDARD_OUTPUT else output
    written = f"{counted(report.written, 'message')} ({size(report.written_bytes)}) written to {where}"
    there = f", {count(report.present)} there already" if report.present else ""
    if not (report.written or report.present or report.failed):
        yield "no message matches, so nothing was written"
    else:
        yield written + there + (f", {count(report.failed)} could not be read" if report.failed else "")
