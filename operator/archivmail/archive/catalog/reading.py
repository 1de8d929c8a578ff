"""What readers ask the catalog: ids, envelopes, placements, and where octets lie."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, func, select

from archivmail.archive.catalog.accounts import folder_name
from archivmail.archive.catalog.dialects import HotStatement
from archivmail.archive.catalog.querytext import Query
from archivmail.archive.catalog.schema import accounts, contents, epochs, folders, packs, placements
from archivmail.archive.catalog.search import placement_conditions
from archivmail.archive.catalog.values import second
from archivmail.archive.rows import ArchivedMessage, PlacementRow
from archivmail.model.account import AccountRef
from archivmail.model.message import ContentId
from archivmail.model.uidset import Uid, UidValidity

_AT_ONCE = 500
_FOUND_AT_ONCE = 5000
"""With a query, whose matches are looked for again each time."""
_DIGEST_SIZE = 32


@dataclass(frozen=True, slots=True)
class Location:
    """Where octets lie: a pack and the frame in it."""

    pack: str
    offset: int
    length: int
    pack_size: int | None = None
    """Octets of the pack, where the catalog was asked."""


def ids_with_prefix(connection: Connection, prefix: str, *, limit: int) -> list[ContentId]:
    """Distinct contents whose hexadecimal id begins with `prefix`, in order."""
    low = bytes.fromhex(prefix.ljust(2 * _DIGEST_SIZE, "0"))
    high = bytes.fromhex(prefix.ljust(2 * _DIGEST_SIZE, "f"))
    wanted = select(contents.c.sha256).where(contents.c.sha256.between(low, high)).distinct()
    rows = connection.execute(wanted.order_by(contents.c.sha256).limit(limit)).scalars()
    return [ContentId(bytes(each)) for each in rows]


def locations(connection: Connection, content_id: ContentId) -> list[Location]:
    """Every place that holds the octets: one per account."""
    return [Location(*row) for row in HotStatement(connection, _LOCATIONS).each(sha256=content_id)]


_LOCATIONS = (  # asked for every message of an export
    select(packs.c.name, contents.c.frame_offset, contents.c.frame_length, packs.c.size)
    .join(packs, packs.c.id == contents.c.pack_id)
    .where(contents.c.sha256 == bindparam("sha256"))
    .order_by(contents.c.id)
)


def message(connection: Connection, content_id: ContentId) -> ArchivedMessage | None:
    """Envelope and every placement in every account; None when there is no such content."""
    rows = connection.execute(select(contents).where(contents.c.sha256 == content_id).order_by(contents.c.id)).all()
    if not rows:
        return None
    row = max(rows, key=lambda each: each.indexed)
    found = connection.execute(_placements().where(contents.c.sha256 == content_id).order_by(placements.c.id))
    return ArchivedMessage(
        content_id=content_id,
        size=row.size,
        is_indexed=row.indexed > 0,
        message_id=row.message_id,
        sender=row.sender,
        recipients=row.recipients,
        subject=row.subject,
        sent_at=second(row.sent_s),
        placements=tuple(_placement(each) for each in found),
    )


def all_placements(
    connection: Connection, *, namespace: str | None, account: str | None, query: Query | None
) -> Iterator[PlacementRow]:
    """Placements in the order in which they were recorded, which never changes. Memory does not grow with them."""
    conditions = _conditions(connection, namespace, account, query)
    last = 0
    at_once = _AT_ONCE if query is None else _FOUND_AT_ONCE
    wanted = _placements().where(*conditions).order_by(placements.c.id).limit(at_once)
    while rows := connection.execute(wanted.where(placements.c.id > last)).all():
        yield from map(_placement, rows)
        last = rows[-1].id


def count_placements(connection: Connection, *, namespace: str | None, account: str | None, query: Query | None) -> int:
    """How many `all_placements` gives."""
    wanted = _placements().where(*_conditions(connection, namespace, account, query)).order_by(None).subquery()
    return connection.execute(select(func.count()).select_from(wanted)).scalar_one()


def _conditions(
    connection: Connection, namespace: str | None, account: str | None, query: Query | None
) -> list[ColumnElement[bool]]:
    if query is not None:
        return placement_conditions(connection, query, namespace=namespace, account=account)
    conditions: list[ColumnElement[bool]] = []
    if namespace is not None:
        conditions.append(accounts.c.namespace == namespace)
    if account is not None:
        conditions.append(accounts.c.name == account)
    return conditions


def _placements() -> Select[*tuple[Any, ...]]:
    return (
        select(
            placements.c.id, accounts.c.namespace, accounts.c.name, folders.c.name.label("folder"),
            folders.c.delimiter, folders.c.display, epochs.c.uid_validity, epochs.c.number, placements.c.uid,
            contents.c.sha256, contents.c.size, placements.c.internal_date, placements.c.received_s,
            placements.c.flags, placements.c.assembled, placements.c.labels,
        )
        .select_from(placements)
        .join(accounts, accounts.c.id == placements.c.account_id)
        .join(folders, folders.c.id == placements.c.folder_id)
        .join(epochs, epochs.c.id == placements.c.epoch_id)
        .join(contents, contents.c.id == placements.c.content_id)
    )  # fmt: skip


def _placement(row: Row[*tuple[Any, ...]]) -> PlacementRow:
    return PlacementRow(
        account=AccountRef(row.namespace, row.name),
        folder=folder_name(row.folder),
        delimiter=bytes(row.delimiter) or None,
        display=row.display,
        uid_validity=UidValidity(row.uid_validity),
        epoch=row.number,
        uid=Uid(row.uid),
        content_id=ContentId(bytes(row.sha256)),
        size=row.size,
        internal_date=row.internal_date,
        received_at=second(row.received_s),
        flags=tuple(row.flags.split()),
        assembled=row.assembled,
        labels=tuple(filter(None, row.labels.split("\n"))),
    )
