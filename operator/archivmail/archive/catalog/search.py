"""Find messages: a `Query` -> hits, newest first.

A hit is a content of an account, shown at its newest placement (in the folders asked for). Newest means by the date
of the message, which the indexer takes from its Date header, or where that is missing or lies in the future from the
server (indexing.py). Contents that wait for the indexer have neither date nor words yet: drain the index first or
tell their number.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import islice
from re import escape, fullmatch

from sqlalchemy import BindParameter, ColumnElement, Connection, Row, Select, and_, bindparam, func, or_, select, tuple_

from archivmail.archive.catalog import fulltext
from archivmail.archive.catalog.querytext import Query
from archivmail.archive.catalog.schema import accounts, contents, epochs, folders, placements
from archivmail.archive.catalog.values import second
from archivmail.archive.catalog.wording import phrase_of

MAX_LIMIT = 10_000
"""Hits of one call; take more with `before`."""

_WINDOWS = (200, 800, 4000)
"""Contents looked at one after the other before all matches are read after all."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ended. Stays valid while mail arrives."""

    sent_s: int
    content: int


_NEWEST = Cursor(2**62, 2**62)


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
    limit = max(1, min(limit, MAX_LIMIT))
    looked_for = _LookedFor(connection, query, namespace=namespace, account=account)
    ids = [each.content for each in looked_for.newest(limit, before)]
    rows = {row.content: row for row in connection.execute(_shown(ids, looked_for.folders))}
    return [_hit(rows[each]) for each in ids if each in rows]


class _LookedFor:
    """A query on its way through the catalog.

    Few matches are all read and put in order. Many are not: then contents are gone through from the newest on, and each
    is asked whether it matches, until there are enough.
    """

    def __init__(self, connection: Connection, query: Query, *, namespace: str | None, account: str | None) -> None:
        self._connection = connection
        self._index = fulltext.of(connection)
        self._phrases = [phrase_of(term) for term in query.terms]
        self.folders = _folder_ids(connection, query.folders)
        self._filters = _filters(connection, query, namespace=namespace, account=account)
        self._in_folders = [_lies_in(ids) for ids in self.folders]

    def newest(self, limit: int, before: Cursor | None) -> list[Cursor]:
        self._index.prepare(self._connection)
        if self._phrases and not self._are_many():
            return self._page([self._matches(contents.c.id), *self._in_folders], limit, before, is_sorted=True)
        rare = next((ids for ids in self.folders if self._is_rare(ids)), None)
        if rare is None:
            # "+ 0" on the id: go through the index by date and not through the matches.
            return self._from_newest(self._in_folders, contents.c.id + 0, limit, before, is_sorted=False)
        drive = contents.c.id.in_(select(placements.c.content_id).where(placements.c.folder_id.in_(_among(rare))))
        return self._from_newest([drive, *self._in_folders], contents.c.id, limit, before, is_sorted=True)

    def _from_newest(
        self,
        places: Sequence[ColumnElement[bool]],
        content_id: ColumnElement[int],
        limit: int,
        before: Cursor | None,
        *,
        is_sorted: bool,
    ) -> list[Cursor]:
        """Contents in these places from the newest on, those that have the words if there are any."""
        if not self._phrases:
            return self._page(places, limit, before, is_sorted=is_sorted)
        if is_sorted and not self._index.finds_single:
            return self._page([self._matches(content_id), *places], limit, before, is_sorted=True)
        if is_sorted:
            every = iter(self._page(places, self._index.few, before, is_sorted=True))
            found, rest = self._walk(lambda window, _: list(islice(every, window)), limit, before)
        else:
            found, rest = self._walk(lambda window, last: self._page(places, window, last), limit, before)
        if rest is None:
            return found
        conditions = [self._matches(content_id), *places]
        return [*found, *self._page(conditions, limit - len(found), rest, is_sorted=is_sorted)]

    def _are_many(self) -> bool:
        few = self._index.few
        return self._index.count(self._connection, self._phrases, up_to=few + 1) > few

    def _is_rare(self, folder_ids: Sequence[int]) -> bool:
        some = select(placements.c.id).where(placements.c.folder_id.in_(_among(folder_ids))).limit(self._index.few + 1)
        number = self._connection.execute(select(func.count()).select_from(some.subquery())).scalar_one()
        return number <= self._index.few

    def _matches(self, content_id: ColumnElement[int]) -> ColumnElement[bool]:
        return self._index.matches(content_id, self._phrases)

    def _walk(
        self, page_of: Callable[[int, Cursor], list[Cursor]], limit: int, before: Cursor | None
    ) -> tuple[list[Cursor], Cursor | None]:
        """Hits among the next contents, and where to go on when they were not enough."""
        found: list[Cursor] = []
        rest = before or _NEWEST
        for window in _WINDOWS:
            page = page_of(window, rest)
            among = self._index.among(self._connection, [each.content for each in page], self._phrases)
            if among is None:
                break
            found += [each for each in page if each.content in among]
            if len(found) >= limit or len(page) < window:
                return found[:limit], None
            rest = page[-1]
        return found, rest

    def _page(
        self, conditions: Sequence[ColumnElement[bool]], limit: int, before: Cursor | None, *, is_sorted: bool = False
    ) -> list[Cursor]:
        """The newest contents behind `before` for which all holds. `is_sorted`: do not go by the index of dates."""
        sent_s = contents.c.sent_s + 0 if is_sorted else contents.c.sent_s
        wanted = select(contents.c.sent_s, contents.c.id).where(*self._filters, *conditions)
        if before is not None:
            wanted = wanted.where(tuple_(contents.c.sent_s, contents.c.id) < (before.sent_s, before.content))
        rows = self._connection.execute(wanted.order_by(sent_s.desc(), contents.c.id.desc()).limit(limit))
        return [Cursor(*row) for row in rows]


def placement_conditions(
    connection: Connection, query: Query, *, namespace: str | None = None, account: str | None = None
) -> list[ColumnElement[bool]]:
    """What a placement must satisfy, over `placements` joined with `contents`: only those in the folders asked for."""
    conditions = _filters(connection, query, namespace=namespace, account=account)
    index = fulltext.of(connection)
    index.prepare(connection)
    if query.terms:
        conditions.append(index.matches(contents.c.id, [phrase_of(term) for term in query.terms]))
    chosen = _folder_ids(connection, query.folders)
    conditions += map(_lies_in, chosen)
    if chosen:
        conditions.append(or_(*(_is_in(placements.c.folder_id, ids) for ids in chosen)))
    return conditions


def _filters(
    connection: Connection, query: Query, *, namespace: str | None, account: str | None
) -> list[ColumnElement[bool]]:
    """What holds of a content by its own row."""
    conditions: list[ColumnElement[bool]] = []
    if namespace is not None or account is not None:
        ids = _account_ids(connection, namespace, account)
        conditions.append(contents.c.account_id == ids[0] if len(ids) == 1 else contents.c.account_id.in_(_among(ids)))
    if query.after is not None:
        conditions.append(contents.c.sent_s >= _start_of(query.after))
    if query.before is not None:
        conditions.append(and_(contents.c.sent_s < _start_of(query.before), contents.c.sent_s > 0))
    if query.has_attachment:
        conditions.append(contents.c.attachments > 0)
    return conditions


def _lies_in(folder_ids: Sequence[int]) -> ColumnElement[bool]:
    place = placements.alias()  # its own, for the statement around may be about placements too
    lies_there = select(place.c.id).where(place.c.content_id == contents.c.id, _is_in(place.c.folder_id, folder_ids))
    return lies_there.correlate(contents).exists()


def _account_ids(connection: Connection, namespace: str | None, account: str | None) -> list[int]:
    wanted = select(accounts.c.id)
    if namespace is not None:
        wanted = wanted.where(accounts.c.namespace == namespace)
    if account is not None:
        wanted = wanted.where(accounts.c.name == account)
    return list(connection.execute(wanted).scalars())


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
    # "+ 0" keeps SQLite from reading the whole folder for each content; the few placements of the content are what is
    # to be looked at.
    return (folder_id + 0).in_(_among(ids))


def _among(ids: Sequence[int]) -> BindParameter[int]:
    """For `in_`. Written into the statement: SQLite takes only 32,766 parameters."""
    return bindparam("ids", list(ids), expanding=True, literal_execute=True, unique=True)


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
    return Hit(
        id=row.sha256.hex(),
        namespace=row.namespace,
        account=row.account,
        folder=row.display,
        uid_validity=row.uid_validity,
        uid=row.uid,
        date=second(row.sent_s or row.received_s),
        sender=row.sender,
        to=row.recipients,
        subject=row.subject,
        size=row.size,
        cursor=Cursor(row.sent_s, row.content),
    )
