"""What one run of one account comes to: an exit code, lines for people, an object for programs. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from archivmail.cli.outcomes import Exit
from archivmail.cli.output import count, counted, size
from archivmail.model.account import AccountRef
from archivmail.model.folder import FolderName, LedgerEntry
from archivmail.model.outcome import AccountOutcome, Failure, FolderOutcome, MessageCounts, Result
from archivmail.model.reasons import Reason

Ledgers = Mapping[FolderName, list[LedgerEntry]]
"""The UIDs of each folder that could not be archived."""

MAX_NAMED: Final = 100  # UIDs, and folders, that a summary names; the rest is counted
_FOR_THE_USER: Final = frozenset({Reason.SPEC_INVALID, Reason.SECRET_NOT_FOUND, Reason.SECRET_KEY_MISSING})


def exit_code_of_run(outcome: AccountOutcome) -> Exit:
    """Complete, incomplete (it says what), to be changed by the user, or could not."""
    if outcome.failure is not None and outcome.failure.reason in _FOR_THE_USER:
        return Exit.USAGE
    if outcome.result is Result.FAILED:
        return Exit.INCOMPLETE if outcome.added else Exit.FAILED
    return Exit.COMPLETE if is_complete(outcome) else Exit.INCOMPLETE


def is_complete(outcome: AccountOutcome) -> bool:
    """Every UID that the server listed in every selected folder is archived, and nothing was hidden."""
    return outcome.result is Result.SUCCEEDED and all(
        folder.complete and folder.failure is None and not folder.limited for folder in outcome.folders
    )


def totals(folders: Iterable[FolderOutcome]) -> MessageCounts:
    """The counts of all folders together."""
    listed = [folder.counts for folder in folders]
    return MessageCounts(
        server=sum(each.server for each in listed),
        archived=sum(each.archived for each in listed),
        pending=sum(each.pending for each in listed),
        quarantined=sum(each.quarantined for each in listed),
    )


def lines(ref: AccountRef, outcome: AccountOutcome, ledgers: Ledgers) -> Iterator[str]:
    """One line that sums up, then one for each thing that a person should know."""
    yield f"{ref}: {_headline(outcome)}"
    if outcome.failure is not None:
        yield f"  {outcome.failure.text}"
    for folder in [each for each in outcome.folders if each.failure][:MAX_NAMED]:
        yield f"  {folder.display}: {folder.failure.text if folder.failure else ''}"
    for folder in outcome.folders:
        yield from _remarks(folder)
    yield from _named([(folder, ledgers.get(folder.name, [])) for folder in outcome.folders])
    for alert in outcome.alerts:
        yield f"  the server asks to show this: {alert}"


def _headline(outcome: AccountOutcome) -> str:
    counts = totals(outcome.folders)
    seconds = (outcome.ended_at - outcome.started_at).total_seconds()
    took = f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    new = f"{count(outcome.added)} new ({size(outcome.fetched_bytes)})" if outcome.added else "nothing new"
    if outcome.failure is not None and not outcome.added:
        return f"{_ended(outcome)}; nothing was archived in this run"
    if is_complete(outcome):
        folders = counted(len(outcome.folders), "folder")
        return f"complete: {counted(counts.archived, 'message')} in {folders} archived, {new}, {took}"
    missing = counts.server - counts.archived
    left = f", {count(missing)} not archived" if missing else ""
    return (
        f"{_ended(outcome)}: {count(counts.archived)} of {count(counts.server)} messages archived{left}, {new}, {took}"
    )


def _ended(outcome: AccountOutcome) -> str:
    match outcome.result:
        case Result.INTERRUPTED:
            return "stopped before the end"
        case Result.FAILED:
            return "failed"
        case _:
            return "not complete"


def _remarks(folder: FolderOutcome) -> Iterator[str]:
    if folder.reset_from is not None:
        yield (
            f"  {folder.display}: the server numbered this folder anew (UIDVALIDITY {folder.reset_from}, now"
            f" {folder.uid_validity}); every message was compared and none is stored twice"
        )
    if folder.limited:
        yield (
            f"  {folder.display}: the server shows only a part of this folder; raise the limit at your provider"
            " and run the command again"
        )


def _named(folders: list[tuple[FolderOutcome, list[LedgerEntry]]]) -> Iterator[str]:
    failed = [(folder, entry) for folder, entries in folders for entry in entries]
    for folder, entry in failed[:MAX_NAMED]:
        attempts = counted(entry.attempts, "attempt")
        yield f"  not archived: {folder.display} UID {entry.uid}: {entry.error} ({entry.reason}, {attempts})"
    if len(failed) > MAX_NAMED:
        yield f"  not archived: {count(len(failed) - MAX_NAMED)} more; archivmail status --json counts them by folder"


def document(ref: AccountRef, outcome: AccountOutcome, ledgers: Ledgers) -> dict[str, object]:
    """The object of `sync --json`."""
    return {
        "namespace": ref.namespace,
        "name": ref.name,
        "complete": is_complete(outcome),
        "result": str(outcome.result),
        "failure": _failure(outcome.failure),
        "added": outcome.added,
        "fetchedBytes": outcome.fetched_bytes,
        "messages": counts_document(totals(outcome.folders)),
        "folders": [_folder(folder, ledgers.get(folder.name, [])) for folder in outcome.folders],
    }


def counts_document(counts: MessageCounts) -> dict[str, int]:
    """`messages` of `sync --json` and `status --json`."""
    return {
        "server": counts.server,
        "archived": counts.archived,
        "pending": counts.pending,
        "quarantined": counts.quarantined,
    }


def _folder(folder: FolderOutcome, entries: list[LedgerEntry]) -> dict[str, object]:
    return {
        "name": folder.display,
        "uidValidity": folder.uid_validity or 0,
        "lastUID": folder.last_uid,
        **counts_document(folder.counts),
        "added": folder.added,
        "complete": folder.complete,
        "failure": _failure(folder.failure),
        "notArchived": [
            {"uid": entry.uid, "reason": str(entry.reason), "error": entry.error, "attempts": entry.attempts}
            for entry in entries[:MAX_NAMED]
        ],
    }


def _failure(failure: Failure | None) -> dict[str, str] | None:
    return None if failure is None else {"reason": str(failure.reason), "message": failure.text}
