"""`archivmail search`: messages by words and fields, newest first."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

import click

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.querytext import Query, parse
from archivmail.archive.catalog.search import Hit
from archivmail.cli.opened import accounts_of, for_reading
from archivmail.cli.options import account_options, archive_options, json_option
from archivmail.cli.output import Column, counted, emit_json, emit_table, moment, note, size
from archivmail.model.wireform import time_to_wire

DEFAULT_LIMIT: Final = 50
PAGE: Final = 1000  # hits of one question to the catalog
SHORT_ID: Final = 12  # hex digits shown; two of ten million messages share as many with a chance of one in six
COLUMNS: Final = (
    Column("ID"),
    Column("DATE"),
    Column("FROM", may_shrink=True),
    Column("SUBJECT", may_shrink=True),
    Column("FOLDER", may_shrink=True),
    Column("SIZE", is_number=True),
)


@click.command("search")
@click.argument("query", nargs=-1, required=True)
@account_options
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=DEFAULT_LIMIT,
    show_default=True,
    metavar="N",
    help="At most so many messages.",
)
@json_option
@archive_options
def command(
    *,
    query: tuple[str, ...],
    namespace: str | None,
    account: str | None,
    limit: int,
    as_json: bool,
    archive_url: str,
    catalog_url: str | None,
) -> None:
    """Find messages, newest first.

    QUERY: words and "phrases" that must all be there, and from: to: subject: folder: before: after: has:attachment.
    For example: archivmail search invoice from:henrik after:2026-01-01 has:attachment
    """
    wanted = parse(" ".join(query))
    with for_reading(archive_url, catalog_url) as archive:
        if not accounts_of(archive, namespace, account):
            return
        hits = islice(_pages(archive, wanted, namespace, account, page_size=min(limit, PAGE)), limit)
        shown = _emit_lines(hits) if as_json else _emit_table(hits)
        backlog = archive.index_backlog()
    if not shown:
        note("no message matches")
    elif shown == limit:
        note(f"{counted(limit, 'message')} shown, the newest first; --limit shows more")
    if backlog:
        note(f"{counted(backlog, 'message')} not indexed yet, so a search may miss them; archivmail sync indexes them")


def _pages(
    archive: Archive, query: Query, namespace: str | None, account: str | None, *, page_size: int
) -> Iterator[Hit]:
    before = None
    while True:
        page = archive.search(query, namespace=namespace, account=account, limit=page_size, before=before)
        yield from page
        if len(page) < page_size:
            return
        before = page[-1].cursor


def _emit_lines(hits: Iterator[Hit]) -> int:
    shown = 0
    for hit in hits:
        emit_json(_document(hit))
        shown += 1
    return shown


def _emit_table(hits: Iterator[Hit]) -> int:
    """Page by page, so that memory is bounded and the first lines come at once."""
    shown = 0
    for first in hits:
        page = [first, *islice(hits, PAGE - 1)]
        emit_table(COLUMNS, [_row(hit) for hit in page])
        shown += len(page)
    return shown


def _document(hit: Hit) -> dict[str, object]:
    return {
        "id": hit.id,
        "namespace": hit.namespace,
        "account": hit.account,
        "folder": hit.folder,
        "uidValidity": hit.uid_validity,
        "uid": hit.uid,
        "date": time_to_wire(hit.date),
        "from": hit.sender,
        "to": hit.to,
        "subject": hit.subject,
        "size": hit.size,
    }


def _row(hit: Hit) -> tuple[str, ...]:
    return (hit.id[:SHORT_ID], moment(hit.date), hit.sender, hit.subject, hit.folder, size(hit.size))
