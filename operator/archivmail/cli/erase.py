"""`archivmail erase`: remove messages for good, where the law asks for it."""

import string
import sys
from typing import Final

import click

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.querytext import Query, parse
from archivmail.archive.erasing import Erasure, refuse_hold
from archivmail.archive.opening import open_archive
from archivmail.cli.acting import actor
from archivmail.cli.counting import counting
from archivmail.cli.opened import accounts_of
from archivmail.cli.options import account_options, archive_options, json_option
from archivmail.cli.outcomes import Exit, complain
from archivmail.cli.output import counted, emit, emit_json, note, size
from archivmail.model.account import AccountRef
from archivmail.model.errors import SpecInvalid
from archivmail.model.message import ContentId

MAX_REASON: Final = 500  # characters, in every entry of the audit trail
MAX_MESSAGES: Final = 10_000  # of one command; an erasure is no way to empty an archive
WORD: Final = "erase"

Chosen = dict[AccountRef, list[ContentId]]


@click.command("erase")
@click.argument("what", nargs=-1, required=True, metavar="ID... | QUERY")
@click.option(
    "--reason", required=True, metavar="TEXT", help="Why, for the audit trail: no name, no subject, no address."
)
@click.option("--query", "is_query", is_flag=True, help="The words are a query, as in archivmail search.")
@click.option("--dry-run", is_flag=True, help="Tell what would go and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@account_options
@json_option
@archive_options
def command(
    *,
    what: tuple[str, ...],
    reason: str,
    is_query: bool,
    dry_run: bool,
    yes: bool,
    namespace: str | None,
    account: str | None,
    as_json: bool,
    archive_url: str,
    catalog_url: str | None,
) -> int:
    """Remove messages for good, where the law asks for it.

    By ids (as archivmail search shows them, shortened if you like) or, with --query, by what a query finds; in every
    account that has them, or those of -n and -a. Their octets leave every pack at once, the catalog and the text
    index; what stays is a tombstone: the SHA-256, the folder, the UID and the removal, so that neither the server nor
    an old backup brings them back. There is no way back. An account under hold refuses (exit code 2). Copies outside
    of the archive - backups, exports, the mail server - are yours to deal with.
    """
    _require_reason(reason)
    with open_archive(archive_url, catalog_url, create=False) as archive:
        refs = accounts_of(archive, namespace, account)
        chosen = _by_query(archive, what, refs) if is_query else _by_ids(archive, what, refs)
        for ref in chosen:
            if archive.policy(ref).hold:
                raise refuse_hold(ref)
        if not chosen:
            raise SpecInvalid("no message of these accounts is meant; look for it with archivmail search")
        told = [archive.keeping.preview_erasure(ref, ids) for ref, ids in chosen.items()]
        if dry_run or not (yes or _is_confirmed(told)):
            _tell(told, is_dry_run=True, as_json=as_json)
            if not dry_run:
                note("nothing was erased")
            return Exit.COMPLETE if dry_run else Exit.USAGE
        return _erase(archive, chosen, reason, as_json=as_json)


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise SpecInvalid("--reason is empty; say why, for the audit trail")
    if len(reason) > MAX_REASON:
        raise SpecInvalid(f"--reason is longer than {MAX_REASON} characters; name the file or the order")


def _by_ids(archive: Archive, what: tuple[str, ...], refs: list[AccountRef]) -> Chosen:
    for text in what:
        if set(text.lower()) - set(string.hexdigits):
            raise SpecInvalid(f"{text[:40]!r} is no id; give ids as archivmail search shows them, or add --query")
    chosen: Chosen = {}
    for text in dict.fromkeys(what):
        content_id = archive.resolve(text)
        holders = {row.account for row in archive.message(content_id).placements} & set(refs)
        if not holders:
            raise SpecInvalid(f"{text[:64]} is in none of these accounts; look for it with archivmail search")
        for ref in sorted(holders):
            chosen.setdefault(ref, []).append(content_id)
    return chosen


def _by_query(archive: Archive, what: tuple[str, ...], refs: list[AccountRef]) -> Chosen:
    query = parse(" ".join(what))
    if query == Query():  # as in --query "$WORDS", where WORDS is not set
        raise SpecInvalid("the query is empty, which would mean every message; say what is to be erased")
    if backlog := archive.index_backlog():
        raise SpecInvalid(
            f"{counted(backlog, 'message')} not indexed yet, so a query may leave some out; wait for the operator or "
            "run archivmail sync, or give ids"
        )
    found: dict[AccountRef, dict[ContentId, None]] = {}
    count = 0
    for ref in refs:
        for row in archive.placements(namespace=ref.namespace, account=ref.name, query=query):
            ids = found.setdefault(ref, {})
            count += row.content_id not in ids
            ids[row.content_id] = None
            if count > MAX_MESSAGES:
                raise SpecInvalid(f"the query finds more than {MAX_MESSAGES:,} messages; make it narrower")
    return {ref: list(ids) for ref, ids in found.items()}


def _is_confirmed(told: list[Erasure]) -> bool:
    if not sys.stdin.isatty():
        raise SpecInvalid("erasing cannot be undone; add --yes, or --dry-run to see what would go")
    messages = sum(len(each.messages) for each in told)
    note(f"{counted(messages, 'message')} will be erased for good: " + ", ".join(str(each.account) for each in told))
    answer: str = click.prompt(f"Type {WORD} to go on", default="", show_default=False, err=True)
    return answer.strip() == WORD


def _erase(archive: Archive, chosen: Chosen, reason: str, *, as_json: bool) -> Exit:
    told: list[Erasure] = []
    try:
        for ref, ids in chosen.items():
            with counting(f"{ref}: packs looked through", size) as progress:
                told.append(archive.keeping.erase(ref, ids, reason=reason, by=actor("erase"), progress=progress))
    finally:
        try:
            archive.keeping.purge_texts(is_final=True)
        finally:
            _tell(told, is_dry_run=False, as_json=as_json)
    unread = [pack for each in told for pack in each.unread]
    for pack in unread:
        complain(f"{pack} could not be looked through; run archivmail verify --full, then erase once more")
    return Exit.INCOMPLETE if unread else Exit.COMPLETE


def _tell(told: list[Erasure], *, is_dry_run: bool, as_json: bool) -> None:
    for each in told:
        if as_json:
            emit_json(_document(each, is_dry_run=is_dry_run))
            continue
        what = f"{counted(len(each.messages), 'message')} in {counted(each.places, 'place')} ({size(each.octets)})"
        if is_dry_run:
            emit(f"{each.account}: {what} would be erased")
        else:
            emit(f"{each.account}: {what} erased, {counted(each.packs, 'pack')} replaced; removal {each.removal}")


def _document(told: Erasure, *, is_dry_run: bool) -> dict[str, object]:
    return {
        "namespace": told.account.namespace,
        "name": told.account.name,
        "dryRun": is_dry_run,
        "removal": told.removal or None,
        "ids": list(told.messages),
        "places": told.places,
        "bytes": told.octets,
        "packs": told.packs,
        "unread": list(told.unread),
    }
