"""`archivmail audit`: the audit trail, oldest first, and the proof that nothing of it was changed or taken out."""

import re
from typing import Final

import click

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.proving import Expected, TrailProof
from archivmail.archive.rows import AuditEntry
from archivmail.cli.opened import for_reading
from archivmail.cli.options import account_options, archive_options, json_option
from archivmail.cli.outcomes import Exit, complain
from archivmail.cli.output import counted, emit, emit_json, note
from archivmail.model.errors import SpecInvalid
from archivmail.model.wireform import time_to_wire

HEAD: Final = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})", re.ASCII)


@click.command("audit")
@click.option("--verify", "is_verifying", is_flag=True, help="Prove the trail instead of showing it.")
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="SEQ:HASH",
    help="With --verify: an entry that --verify told earlier and that must still be there. May be given several times.",
)
@account_options
@json_option
@archive_options
def command(
    *,
    is_verifying: bool,
    heads: tuple[str, ...],
    namespace: str | None,
    account: str | None,
    as_json: bool,
    archive_url: str,
    catalog_url: str | None,
) -> int:
    """Show the audit trail, or prove it.

    Oldest entry first. Each entry carries a hash over itself and the one before it, so that a change made later shows:
    then the exit code is 1.

    --verify checks every entry and compares the trail with its anchor beside the packs, so that entries cut off at the
    end show too. It tells the newest entry as SEQ:HASH: note it where nobody who can change the archive can change it,
    and give it to a later --verify as --head.
    """
    if heads and not is_verifying:
        raise SpecInvalid("--head needs --verify, which compares the trail with it")
    noted = [_noted(text) for text in heads]
    with for_reading(archive_url, catalog_url) as archive:
        if is_verifying:
            return _verify(archive, noted, as_json=as_json)
        return _show(archive, namespace, account, as_json=as_json)


def _noted(text: str) -> Expected:
    found = HEAD.fullmatch(text.strip().lower())
    if found is None:
        raise SpecInvalid(f"{text[:80]!r} is no SEQ:HASH; take what an earlier archivmail audit --verify told")
    return Expected(int(found[1]), bytes.fromhex(found[2]), "--head")


def _verify(archive: Archive, noted: list[Expected], *, as_json: bool) -> Exit:
    proof = archive.prove_trail(noted)
    if as_json:
        emit_json(_proof_document(proof))
    elif proof.is_sound:
        emit(f"sound: {_entries(proof.entries)}, newest {_head(proof) or 'none'}")
    else:
        emit(f"not sound: {_entries(proof.entries)}")
        for text in proof.problems:
            emit(f"  {text}")
        if proof.more:
            emit(f"  and {counted(proof.more, 'problem')} more")
    return Exit.COMPLETE if proof.is_sound else Exit.INCOMPLETE


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number:,} entries"


def _head(proof: TrailProof) -> str:
    return f"{proof.seq}:{proof.hash.hex()}" if proof.entries else ""


def _proof_document(proof: TrailProof) -> dict[str, object]:
    return {
        "sound": proof.is_sound,
        "entries": proof.entries,
        "head": _head(proof),
        "problems": list(proof.problems),
        "moreProblems": proof.more,
    }


def _show(archive: Archive, namespace: str | None, account: str | None, *, as_json: bool) -> Exit:
    shown = damaged = 0
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
        complain(
            f"entries of the audit trail changed after they were written: {damaged}; see archivmail audit --verify"
        )
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
