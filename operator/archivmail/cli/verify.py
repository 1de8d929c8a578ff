"""`archivmail verify`: does the archive hold what it says, and only that?"""

from collections.abc import Iterator
from typing import Final

import click

from archivmail.archive.values import Finding, VerifyReport
from archivmail.cli.counting import counting
from archivmail.cli.opened import for_verifying
from archivmail.cli.options import archive_options, json_option
from archivmail.cli.outcomes import Exit
from archivmail.cli.output import count, counted, emit, emit_json, size

_REMEDY: Final = (
    "  the next sync of these accounts fetches again what their servers still have; what they no longer have must come "
    "from a backup of the packs"
)
_NOT_NOTED: Final = (
    "  the catalog cannot be written here, so no sync will fetch these messages again; verify as the user who archives"
)
MAX_NAMED: Final = 1000  # findings of each kind; the rest is counted, and --json has them all


@click.command("verify")
@click.option("--full", is_flag=True, help="Read every pack and hash every message.")
@json_option
@archive_options
def command(*, full: bool, as_json: bool, archive_url: str, catalog_url: str | None) -> int:
    """Prove that the archive holds what it says.

    Compares packs and catalog both ways; with --full every message is read and its SHA-256 compared. What is missing or
    corrupt is noted in the catalog, so that the next sync fetches it again if the server still has it. Exit code 1 when
    anything is missing, corrupt or unknown to the catalog.
    """
    with for_verifying(archive_url, catalog_url) as archive, counting("verify", size) as progress:
        report = archive.verify(full=full, progress=progress)
    code = Exit.COMPLETE if report.is_clean else Exit.INCOMPLETE
    try:
        if as_json:
            emit_json(report.to_wire())
        else:
            for line in _lines(report, is_full=full):
                emit(line)
    except BrokenPipeError:
        pass  # nobody reads the report; the code still says what was found
    return code


def _lines(report: VerifyReport, *, is_full: bool) -> Iterator[str]:
    holds = f"{counted(report.messages, 'message')} ({size(report.octets)}) in {counted(report.packs, 'pack')}"
    if report.is_clean:
        how = f"{counted(report.checked_messages, 'message')} read and hashed" if is_full else "packs and catalog agree"
        yield f"sound: {holds}, {how}"
    else:
        yield f"not sound: {holds}"
    yield from findings("missing", report.missing)
    yield from findings("corrupt", report.corrupt)
    if report.missing or report.corrupt:
        yield _REMEDY if report.is_noted else _NOT_NOTED
    for pack in report.orphans[:MAX_NAMED]:
        yield f"  unknown to the catalog: {pack}; archivmail rebuild takes it in"
    if len(report.orphans) > MAX_NAMED:
        yield f"  unknown to the catalog: {count(len(report.orphans) - MAX_NAMED)} more packs"
    if report.redundant:
        yield f"  {counted(len(report.redundant), 'pack')} that the catalog does not need: all in them is elsewhere too"


def findings(kind: str, found: tuple[Finding, ...]) -> Iterator[str]:
    """A line for each finding: where, which UIDs, what is wrong."""
    for each in found[:MAX_NAMED]:
        where = (
            f"{each.account} {each.folder}, UID {each.uids} of UIDVALIDITY {each.uid_validity}, in "
            if each.folder
            else ""
        )
        yield f"  {kind}: {where}{each.pack}: {each.text}"
    if len(found) > MAX_NAMED:
        yield f"  {kind}: {count(len(found) - MAX_NAMED)} more"
