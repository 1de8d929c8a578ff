"""Find messages: a `Query` -> hits, newest first.

A hit is a content of an account, shown at its newest placement (in the folders asked for). Newest means by the date
of the message, which the indexer takes from its Date header, or where that is missing or lies in the future from the
server (indexing.py). Contents that wait for the indexer have neither date nor words yet: drain the index first or
tell their number.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from re import escape, fullmatch

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, Select, and_, bindparam, or_, select, tuple_

from archivmail.archive.catalog import fulltext
from archivmail.archive.catalog.querytext import Query
from archivmail.archive.catalog.schema import accounts, contents, epochs, folders, placements

MAX_LIMIT = 10_000
"""Hits of one call; take more with `before`."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended. Stays valid while mail arrives."""

    sent_s: int
    content: int


@dataclass(frozen=True, slots=True)
class Hit:
    """One message found. Texts are as the mail has them: show them through `mime.terminal`."""

    id: str
    """64 hex digits."""
    namespace: str
    account: str
    folder: str
    """Decoded name."""
    uid_validity: int
    uid: int
    date: datetime | None
    sender: str
    to: str
    subject: str
    size: int
    cursor: Cursor
    """Give it as `before` to go on behind this hit."""


def search(
    connection: Connection,
    query: Query,
    *,
    namespace: str | None = None,
    account: str | None = None,
    limit: int = 50,
    before: Cursor | None = None,
) -> list[Hit]:
    """At most `limit` hits older than `before`. The cost grows with what the words match, not with the archive."""
    conditions = content_conditions(connection, query, namespace=namespace, account=account)
    if before is not None:
        conditions.append(tuple_(contents.c.sent_s, contents.c.id) < (before.sent_s, before.content))
    found = (
        select(contents.c.id)
        .join(accounts, accounts.c.id == contents.c.account_id)
        .where(*conditions)
        .order_by(contents.c.sent_s.desc(), contents.c.id.desc())
        .limit(max(1, min(limit, MAX_LIMIT)))
    )
    ids = list(connection.execute(found).scalars())
    rows = {row.content: row for row in connection.execute(_shown(ids, _folder_ids(connection, query.folders)))}
    return [_hit(rows[each]) for each in ids if each in rows]


def content_conditions(
    connection: Connection, query: Query, *, namespace: str | None = None, account: str | None = None
) -> list[ColumnElement[bool]]:
    """What a content must satisfy, over `contents` joined with `accounts`."""
    conditions: list[ColumnElement[bool]] = []
    if namespace is not None:
        conditions.append(accounts.c.namespace == namespace)
    if account is not None:
        conditions.append(accounts.c.name == account)
    if query.terms:
        conditions.append(fulltext.matches(contents.c.id, query.terms))
    if query.after is not None:
        conditions.append(contents.c.sent_s >= _start_of(query.after))
    if query.before is not None:
        conditions.append(and_(contents.c.sent_s < _start_of(query.before), contents.c.sent_s > 0))
    if query.has_attachment:
        conditions.append(contents.c.attachments > 0)
    for ids in _folder_ids(connection, query.folders):
        place = placements.alias()  # its own, for the statement around may be about placements too
        lies_there = select(place.c.id).where(place.c.content_id == contents.c.id, _is_in(place.c.folder_id, ids))
        conditions.append(lies_there.correlate(contents).exists())
    return conditions


def placement_conditions(
    connection: Connection, query: Query, *, namespace: str | None = None, account: str | None = None
) -> list[ColumnElement[bool]]:
    """The same over `placements` joined with `contents` and `accounts`: only placements in the folders asked for."""
    conditions = content_conditions(connection, query, namespace=namespace, account=account)
    chosen = _folder_ids(connection, query.folders)
    if chosen:
        conditions.append(or_(*(_is_in(placements.c.folder_id, ids) for ids in chosen)))
    return conditions


def _start_of(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())


def _folder_ids(connection: Connection, names: Sequence[str]) -> list[list[int]]:
    """For each name the folders it means, in all accounts: names are few, folders some thousands."""
    if not names:
        return []
    known = [(row.id, _folded(row.display)) for row in connection.execute(select(folders.c.id, folders.c.display))]
    return [[number for number, display in known if _is_meant(name, display)] for name in names]


def _is_meant(name: str, display: str) -> bool:
    # Collapsed: "****…" would take the regular expression exponential time.
    pieces = _folded(name).split("*")
    pattern = ".*".join(escape(piece) for at, piece in enumerate(pieces) if piece or at in {0, len(pieces) - 1})
    return fullmatch(f"(?s:{pattern})", display) is not None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _is_in(folder_id: ColumnElement[int], ids: Sequence[int]) -> ColumnElement[bool]:
    # Written into the statement: SQLite takes only 32,766 parameters. "+ 0" keeps it from reading the whole folder for
    # each content; the few placements of the content are what is to be looked at.
    among: BindParameter[int] = bindparam("folder_ids", list(ids), expanding=True, literal_execute=True, unique=True)
    return (folder_id + 0).in_(among)


def _shown(ids: Sequence[int], chosen: Sequence[Sequence[int]]) -> Select[tuple[object, ...]]:
    """Each content with the placement to show."""
    newest = select(placements.c.id).where(placements.c.content_id == contents.c.id)
    if chosen:
        newest = newest.where(or_(*(_is_in(placements.c.folder_id, folder_ids) for folder_ids in chosen)))
    newest = newest.order_by(placements.c.received_s.desc(), placements.c.id.desc()).limit(1)
    shown = placements.alias("shown")
    return (
        select(
            contents.c.id.label("content"),
            contents.c.sha256,
            contents.c.size,
            contents.c.sent_s,
            contents.c.sender,
            contents.c.recipients,
            contents.c.subject,
            accounts.c.namespace,
            accounts.c.name.label("account"),
            folders.c.display,
            epochs.c.uid_validity,
            shown.c.uid,
            shown.c.received_s,
        )
        .join(accounts, accounts.c.id == contents.c.account_id)
        .join(shown, shown.c.id == newest.correlate(contents).scalar_subquery())
        .join(folders, folders.c.id == shown.c.folder_id)
        .join(epochs, epochs.c.id == shown.c.epoch_id)
        .where(contents.c.id.in_(ids))
    )


def _hit(row: Row[tuple[object, ...]]) -> Hit:
    moment = row.sent_s or row.received_s
    return Hit(
        id=row.sha256.hex(),
        namespace=row.namespace,
        account=row.account,
        folder=row.display,
        uid_validity=row.uid_validity,
        uid=row.uid,
        date=datetime.fromtimestamp(moment, UTC) if moment else None,
        sender=row.sender,
        to=row.recipients,
        subject=row.subject,
        size=row.size,
        cursor=Cursor(row.sent_s, row.content),
    )
