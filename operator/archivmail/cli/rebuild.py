"""`archivmail rebuild`: catalog and text index from the packs alone."""

import click

from archivmail.archive.opening import open_for_rebuild
from archivmail.cli.counting import counting
from archivmail.cli.options import archive_options
from archivmail.cli.outcomes import Exit
from archivmail.cli.output import count, counted, emit, note, size
from archivmail.cli.verify import findings


@click.command("rebuild")
@archive_options
def command(*, archive_url: str, catalog_url: str | None) -> int:
    """Make the catalog anew from the packs alone.

    Every message and every place where it was seen comes back, and the text index with them. Packs are only read.
    """
    with open_for_rebuild(archive_url, catalog_url) as archive:
        with counting("rebuild", size) as progress:
            report = archive.rebuild(progress=progress)
        total = archive.index_backlog()
        with counting("index", count) as progress:
            while archive.drain_index():
                progress(total - archive.index_backlog(), total)
    messages = f"{counted(report.messages, 'message')} ({size(report.octets)})"
    emit(f"rebuilt: {messages} in {counted(report.placements, 'place')}, from {counted(report.packs, 'pack')}")
    for line in (*findings("corrupt", report.corrupt), *findings("missing", report.missing)):
        emit(line)
    if report.audit_entry_lost:
        note(
            f"the audit trail had {count(report.audit_entry_lost)} entries and has no longer all of them; a newer copy "
            "of the catalog holds them. The entry of this rebuild says so"
        )
    return Exit.INCOMPLETE if report.corrupt or report.missing else Exit.COMPLETE
