"""`archivmail search`: messages by words and fields, newest first."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

import click

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.querytext import Query, parse
from archivmail.archive.catalog.search import Cursor, Hit
from archivmail.cli.opened import accounts_of, for_reading
from archivmail.cli.options import account_options, archive_options, json_option
from archivmail.cli.output import Column, counted, emit_json, emit_table, moment, note, on_terminal, size
from archivmail.cli.snippets import Snippets
from archivmail.model.errors import SpecInvalid
from archivmail.model.wireform import time_to_wire

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 1_000_000_000
PAGE: Final = 1000  # hits of one question to the catalog
SHORT_ID: Final = 12  # hex digits shown; two of ten million messages share as many with a chance of one in six
TOKEN: Final = re.compile("([0-9a-f]{1,15})-([0-9a-f]{1,15})")
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
    type=click.IntRange(min=1, max=MAX_LIMIT),
    default=DEFAULT_LIMIT,
    show_default=True,
    metavar="N",
    help="At most so many messages.",
)
@click.option("--page", metavar="TOKEN", help="Go on behind an earlier page: the token that it ended with.")
@click.option(
    "--snippets/--no-snippets",
    default=None,
    help="Show under each message where the words stand.  [default: on a terminal]",
)
@json_option
@archive_options
def command(
    *,
    query: tuple[str, ...],
    namespace: str | None,
    account: str | None,
    limit: int,
    page: str | None,
    snippets: bool | None,
    as_json: bool,
    archive_url: str,
    catalog_url: str | None,
) -> None:
    """Find messages, newest first.

    QUERY: words and "phrases" that must all be there, and from: to: subject: folder: before: after: has:attachment.
    For example: archivmail search invoice from:henrik after:2026-01-01 has:attachment
    """
    wanted = parse(" ".join(query))
    before = None if page is None else cursor_of(page)
    with for_reading(archive_url, catalog_url) as archive:
        if not accounts_of(archive, namespace, account):
            return
        hits = islice(_pages(archive, wanted, namespace, account, before, page_size=min(limit, PAGE)), limit)
        if as_json:
            shown, last = _emit_lines(hits)
        else:
            has_snippets = on_terminal() if snippets is None else snippets
            shown, last = _emit_table(hits, Snippets(archive, wanted) if has_snippets else None)
        backlog = archive.index_backlog()
    if not shown:
        note("no message matches")
    elif shown == limit and last is not None:
        there = f"--limit shows more at once, --page {token_of(last.cursor)} what comes next"
        note(f"{counted(limit, 'message')} shown, the newest first; {there}")
    if backlog:
        note(f"{counted(backlog, 'message')} not indexed yet, so a search may miss them; archivmail sync indexes them")


def _pages(
    archive: Archive,
    query: Query,
    namespace: str | None,
    account: str | None,
    before: Cursor | None,
    *,
    page_size: int,
) -> Iterator[Hit]:
    while True:
        page = archive.search(query, namespace=namespace, account=account, limit=page_size, before=before)
        yield from page
        if len(page) < page_size:
            return
        before = page[-1].cursor


def _emit_lines(hits: Iterator[Hit]) -> tuple[int, Hit | None]:
    """How many there were, and the last."""
    shown, hit = 0, None
    for hit in hits:
        emit_json(_document(hit))
        shown += 1
    return shown, hit


def _emit_table(hits: Iterator[Hit], snippets: Snippets | None) -> tuple[int, Hit | None]:
    """Page by page, so that memory is bounded and the first lines come at once."""
    shown, last = 0, None
    for first in hits:
        page = [first, *islice(hits, PAGE - 1)]
        below = None if snippets is None else (lambda at, page=page: snippets.of(page[at]))
        emit_table(COLUMNS, [_row(hit) for hit in page], below=below)
        shown, last = shown + len(page), page[-1]
    return shown, last


def token_of(cursor: Cursor) -> str:
    """Where a page ended, as `--page` takes it. It stays good while mail arrives, until the catalog is rebuilt."""
    return f"{cursor.sent_s:x}-{cursor.content:x}"


def cursor_of(token: str) -> Cursor:
    """Raises SpecInvalid."""
    found = TOKEN.fullmatch(token)
    if found is None:
        raise SpecInvalid(f"--page {token[:40]} is no page; take the token that the page before ended with")
    return Cursor(int(found[1], 16), int(found[2], 16))


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
