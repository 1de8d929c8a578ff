"""`archivmail audit`: the audit trail, oldest first, and whether its chain of hashes holds."""

import click

from archivmail.archive.rows import AuditEntry
from archivmail.cli.opened import for_reading
from archivmail.cli.options import account_options, archive_options, json_option
from archivmail.cli.outcomes import Exit, complain
from archivmail.cli.output import emit, emit_json, note
from archivmail.model.wireform import time_to_wire


@click.command("audit")
@account_options
@json_option
@archive_options
def command(
    *, namespace: str | None, account: str | None, as_json: bool, archive_url: str, catalog_url: str | None
) -> int:
    """Show the audit trail.

    Oldest entry first. Each entry carries a hash over itself and the one before it, so that a change made later shows:
    then the exit code is 1.
    """
    shown = damaged = 0
    with for_reading(archive_url, catalog_url) as archive:
        for entry in archive.audit_entries():
            damaged += not entry.is_intact
            if namespace not in {None, entry.namespace} or account not in {None, entry.account}:
                continue
            shown += 1
            if as_json:
                emit_json(_document(entry))
            else:
                emit(_line(entry))
    if not shown:
        note("the audit trail has no entry of this kind" if namespace or account else "the audit trail is empty")
    if damaged:
        complain(f"entries of the audit trail changed after they were written: {damaged}; compare with a backup")
        return Exit.INCOMPLETE
    return Exit.COMPLETE


def _document(entry: AuditEntry) -> dict[str, object]:
    return {
        "seq": entry.seq,
        "time": time_to_wire(entry.at),
        "kind": entry.kind,
        "namespace": entry.namespace,
        "account": entry.account,
        "facts": dict(entry.facts),
        "previous": entry.previous.hex(),
        "hash": entry.hash.hex(),
        "intact": entry.is_intact,
    }


def _line(entry: AuditEntry) -> str:
    facts = " ".join(f"{key}={value}" for key, value in entry.facts.items())
    mark = "" if entry.is_intact else "  CHANGED AFTERWARDS"
    return f"{time_to_wire(entry.at)} {entry.namespace}/{entry.account} {entry.kind} {facts}{mark}"
