"""`archivmail upkeep`: merge small packs, remove what is past its time, and what nobody needs any more."""

from collections.abc import Callable
from datetime import timedelta

import click

from archivmail.archive.archive import Archive
from archivmail.archive.opening import open_archive
from archivmail.archive.upkeep import Plan, UpkeepReport
from archivmail.cli.acting import actor
from archivmail.cli.counting import counting
from archivmail.cli.opened import accounts_of
from archivmail.cli.options import account_options, archive_options, json_option
from archivmail.cli.outcomes import Exit, complain
from archivmail.cli.output import count, counted, emit, emit_json, note, size
from archivmail.cli.stopping import stop_on_signals
from archivmail.kube.durations import parse_duration
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchivmailError, RunInProgress, SpecInvalid


@click.command("upkeep")
@account_options
@click.option("--dry-run", is_flag=True, help="Tell what would be done and change nothing.")
@click.option(
    "--grace",
    default="24h",
    show_default=True,
    metavar="DURATION",
    help="How long a pack stays after another took its place, for readers and backups on their way.",
)
@click.option(
    "--thorough", is_flag=True, help="Merge every two small packs in a row, and write anew every pack with dead octets."
)
@json_option
@archive_options
def command(
    *,
    namespace: str | None,
    account: str | None,
    dry_run: bool,
    grace: str,
    thorough: bool,
    as_json: bool,
    archive_url: str,
    catalog_url: str | None,
) -> int:
    """Merge small packs and remove what is past its time.

    Per account: takes in or removes what a crash left, removes messages that are past spec.retention.keepFor (never
    under hold), writes packs anew where many are small or much in them is dead, and removes packs whose place another
    took once their time of grace is over. The operator does all this by itself; run it by hand where none runs. Ctrl-C
    stops it; what is done is done. Exit code 1 when an account was busy, a pack is damaged, or it was stopped.
    """
    plan = Plan(grace=_span(grace), is_thorough=thorough, is_dry_run=dry_run, by=actor("upkeep"))
    with open_archive(archive_url, catalog_url, create=False) as archive, stop_on_signals() as should_stop:
        refs = accounts_of(archive, namespace, account)
        code = max((_one(archive, ref, plan, should_stop, as_json=as_json) for ref in refs), default=Exit.COMPLETE)
        if not dry_run and not should_stop():
            archive.keeping.purge_texts(is_final=thorough)
        return code


def _span(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise SpecInvalid(f"--grace {text[:40]} is no duration; write it like 24h, 90m or 0s") from error


def _one(archive: Archive, ref: AccountRef, plan: Plan, should_stop: Callable[[], bool], *, as_json: bool) -> Exit:
    try:
        with counting(f"{ref}: packs", size) as progress:
            report = archive.keeping.keep_up(ref, plan, should_stop=should_stop, progress=progress)
    except RunInProgress:
        note(f"{ref}: left out, because it is being archived just now")
        return Exit.INCOMPLETE
    except ArchivmailError as error:
        complain(f"{ref}: {error.text}")
        return Exit.FAILED
    if as_json:
        emit_json(_document(ref, report, plan))
    else:
        for line in _lines(report, plan):
            emit(f"{ref}: {line}")
    return Exit.COMPLETE if report.is_done and not report.damaged else Exit.INCOMPLETE


def _document(ref: AccountRef, report: UpkeepReport, plan: Plan) -> dict[str, object]:
    return {
        "namespace": ref.namespace,
        "name": ref.name,
        "dryRun": plan.is_dry_run,
        "done": report.is_done,
        "expired": {"messages": report.expired.messages, "bytes": report.expired.octets},
        "rewritten": {"packs": report.rewritten, "into": report.into, "bytes": report.copied},
        "removed": {"packs": report.removed, "bytes": report.freed},
        "adopted": report.adopted,
        "damaged": list(report.damaged),
    }


def _lines(report: UpkeepReport, plan: Plan) -> list[str]:
    would = "would be " if plan.is_dry_run else ""
    lines = []
    if report.expired.messages:
        expired = f"{counted(report.expired.messages, 'message')} ({size(report.expired.octets)})"
        lines.append(f"{expired} past the time to keep them {would}removed")
    if report.rewritten:
        packs = f"{counted(report.rewritten, 'pack')} ({size(report.copied)})"
        lines.append(f"{packs} {would}written anew as {count(report.into)}")
    if report.removed:
        lines.append(f"{counted(report.removed, 'pack')} ({size(report.freed)}) no longer needed {would}removed")
    if report.adopted:
        lines.append(f"{counted(report.adopted, 'pack')} that a crash had left taken in")
    lines += report.damaged
    if not report.is_done:
        lines.append("stopped before the end; run it again to go on")
    return lines or ["nothing to do"]
