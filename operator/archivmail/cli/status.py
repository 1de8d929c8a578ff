"""`archivmail status`: how complete the archive of each account is, from the catalog alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import click

from archivmail.archive.archive import Archive
from archivmail.cli.opened import accounts_of, for_reading
from archivmail.cli.options import account_options, archive_options, json_option
from archivmail.cli.outcomes import Exit
from archivmail.cli.output import Column, count, emit, emit_json, emit_table, moment
from archivmail.cli.summary import counts_document
from archivmail.model.account import AccountRef
from archivmail.model.folder import FolderState
from archivmail.model.outcome import MessageCounts
from archivmail.model.status import AccountStatus, Condition, ConditionStatus, ConditionType
from archivmail.model.wireform import from_wire, to_wire

COLUMNS: Final = (
    Column("FOLDER", may_shrink=True),
    Column("SERVER", is_number=True),
    Column("ARCHIVED", is_number=True),
    Column("PENDING", is_number=True),
    Column("QUARANTINED", is_number=True),
    Column("LAST PASS"),
)


@dataclass(frozen=True, slots=True)
class _Account:
    ref: AccountRef
    status: AccountStatus
    folders: list[tuple[str, FolderState]]

    @property
    def complete(self) -> Condition | None:
        return self.status.condition(ConditionType.COMPLETE)

    @property
    def is_complete(self) -> bool:
        return self.complete is not None and self.complete.status is ConditionStatus.TRUE

    @property
    def counts(self) -> MessageCounts:
        if self.status.messages is not None:
            return self.status.messages
        states = [state for _, state in self.folders]
        return MessageCounts(
            server=sum(state.server for state in states),
            archived=sum(state.archived for state in states),
            pending=sum(state.pending for state in states),
            quarantined=sum(state.quarantined for state in states),
        )


@click.command("status")
@account_options
@json_option
@archive_options
def command(
    *, namespace: str | None, account: str | None, as_json: bool, archive_url: str, catalog_url: str | None
) -> int:
    """Show how complete the archive of each account is.

    Server: messages that the server listed in the last pass. Archived: those of them that are in the archive. Pending
    and quarantined ones are tried again by every sync. Exit code 1 when an account is not complete.
    """
    with for_reading(archive_url, catalog_url) as archive:
        accounts = [_read(archive, ref) for ref in accounts_of(archive, namespace, account)]
    for at, each in enumerate(accounts):
        if as_json:
            emit_json(_document(each))
        else:
            _show(each, is_first=at == 0)
    return Exit.COMPLETE if all(each.is_complete for each in accounts) else Exit.INCOMPLETE


def _read(archive: Archive, ref: AccountRef) -> _Account:
    folders = sorted(archive.folder_states(ref), key=lambda each: (each[0].upper() != "INBOX", each[0]))
    return _Account(ref, from_wire(archive.account_status(ref) or {}), folders)


def _document(account: _Account) -> dict[str, object]:
    wire = to_wire(account.status)
    return {
        "namespace": account.ref.namespace,
        "name": account.ref.name,
        "complete": account.is_complete,
        "lastResult": wire.get("lastResult"),
        "lastSyncTime": wire.get("lastSyncTime"),
        "messages": counts_document(account.counts),
        "conditions": wire.get("conditions", []),
        "folders": [
            {
                "name": name,
                "uidValidity": state.epoch.uid_validity,
                "lastUID": state.last_uid,
                "server": state.server,
                "archived": state.archived,
                "pending": state.pending,
                "quarantined": state.quarantined,
            }
            for name, state in account.folders
        ],
    }


def _show(account: _Account, *, is_first: bool) -> None:
    if not is_first:
        emit()
    for line in _about(account):
        emit(line)
    if account.folders:
        emit_table(COLUMNS, [_row(name, state) for name, state in account.folders])


def _row(name: str, state: FolderState) -> tuple[str, ...]:
    return (
        name,
        count(state.server),
        count(state.archived),
        count(state.pending),
        count(state.quarantined),
        moment(state.passed_at),
    )


def _about(account: _Account) -> Iterator[str]:
    status, counts, condition = account.status, account.counts, account.complete
    verdict = "complete" if account.is_complete else "not complete"
    yield f"{account.ref}: {verdict}, {count(counts.archived)} of {count(counts.server)} messages archived"
    if not account.is_complete:
        yield f"  {condition.message}" if condition else "  no run has ended yet; run archivmail sync"
    ready = status.condition(ConditionType.READY)
    if (
        ready is not None
        and ready.status is ConditionStatus.FALSE
        and ready.message != getattr(condition, "message", "")
    ):
        yield f"  {ready.message}"
    result = str(status.last_result) if status.last_result else "none"
    yield f"  last run: {result}, {moment(status.last_attempt_time)}; last success: {moment(status.last_sync_time)}"
    for folder in status.folders:
        if folder.quarantined_uids:
            uids = ", ".join(str(uid) for uid in folder.quarantined_uids)
            yield f"  quarantined in {folder.name}: UID {uids}"
        if folder.error:
            yield f"  {folder.name}: {folder.error}"
