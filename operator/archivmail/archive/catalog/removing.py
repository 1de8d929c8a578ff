"""Take messages out of the catalog: which are past their time, and what goes when they go.

Nothing here touches a pack: what goes from the catalog must have its tombstone in a durable pack already.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, delete, func, select, update

from archivmail.archive.catalog.accounts import folder_name
from archivmail.archive.catalog.dialects import insert_all
from archivmail.archive.catalog.schema import contents, epochs, folders, packs, placements, removed_texts
from archivmail.archive.catalog.values import microseconds
from archivmail.model.account import Origin
from archivmail.model.folder import FolderName
from archivmail.model.message import ContentId, Sighting
from archivmail.model.uidset import Uid, UidValidity

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Removable:
    """One sighting of a message that is to go."""

    content: int
    content_id: ContentId
    size: int
    epoch: int
    folder: int
    name: FolderName
    delimiter: bytes | None
    display: str
    origin: Origin
    uid_validity: UidValidity
    sighting: Sighting


def expired(connection: Connection, account: int, limit: int, *, at_most: int) -> list[int]:
    """Contents of which every placement of the account was received before `limit` (seconds since 1970)."""
    return list(connection.execute(_expired(account, limit).limit(at_most)).scalars())


def _expired(account: int, limit: int) -> Select[int]:
    other = placements.alias()
    is_kept = (
        select(other.c.id)
        .where(other.c.content_id == placements.c.content_id, (other.c.received_s <= 0) | (other.c.received_s >= limit))
        .exists()
    )
    return (
        select(placements.c.content_id)
        .where(
            placements.c.account_id == account,
            placements.c.received_s < limit,
            placements.c.received_s > 0,  # before 1970 there was no mail: such a date tells no age
            ~is_kept,
        )
        .distinct()
    )


def count_expired(connection: Connection, account: int, limit: int) -> tuple[int, int]:
    """How many contents, and their raw octets."""
    wanted = select(func.count(), func.coalesce(func.sum(contents.c.size), 0))
    count, octets = connection.execute(wanted.where(contents.c.id.in_(_expired(account, limit)))).one()
    return int(count), int(octets)


def keys_of(connection: Connection, account: int, wanted: Iterable[ContentId]) -> list[int]:
    """Those of the contents that the account holds."""
    ids, found = sorted(set(wanted)), []
    for at in range(0, len(ids), _AT_ONCE):
        some = select(contents.c.id).where(
            contents.c.account_id == account, contents.c.sha256.in_(ids[at : at + _AT_ONCE])
        )
        found += list(connection.execute(some).scalars())
    return found


def ids_of(connection: Connection, keys: Sequence[int]) -> list[ContentId]:
    """The content ids behind keys."""
    found: list[ContentId] = []
    for some in _portions(keys):
        wanted = select(contents.c.sha256).where(contents.c.id.in_(some)).order_by(contents.c.id)
        found += [ContentId(bytes(each)) for each in connection.execute(wanted).scalars()]
    return found


def sightings(connection: Connection, keys: Sequence[int]) -> list[Removable]:
    """Every placement of these contents, in the order in which they were recorded."""
    found: list[Removable] = []
    for some in _portions(keys):
        wanted = (
            select(
                placements.c.content_id, contents.c.sha256, contents.c.size, placements.c.epoch_id,
                placements.c.folder_id, folders.c.name, folders.c.delimiter, folders.c.display, epochs.c.origin,
                epochs.c.uid_validity, placements.c.uid, placements.c.internal_date,
            )
            .select_from(placements)
            .join(contents, contents.c.id == placements.c.content_id)
            .join(folders, folders.c.id == placements.c.folder_id)
            .join(epochs, epochs.c.id == placements.c.epoch_id)
            .where(placements.c.content_id.in_(some))
            .order_by(placements.c.id)
        )  # fmt: skip
        found += [
            Removable(
                content=row.content_id,
                content_id=ContentId(bytes(row.sha256)),
                size=row.size,
                epoch=row.epoch_id,
                folder=row.folder_id,
                name=folder_name(row.name),
                delimiter=bytes(row.delimiter) or None,
                display=row.display,
                origin=Origin.parse(row.origin),
                uid_validity=UidValidity(row.uid_validity),
                sighting=Sighting(Uid(row.uid), row.internal_date),
            )
            for row in connection.execute(wanted)
        ]
    return found


def forget(connection: Connection, keys: Sequence[int], now: datetime) -> None:
    """Take contents out, and their placements; their octets in packs count as dead from now on."""
    for some in _portions(keys):
        spans = select(contents.c.pack_id, func.sum(contents.c.frame_length)).where(contents.c.id.in_(some))
        for pack, octets in connection.execute(spans.group_by(contents.c.pack_id)).all():
            bury(connection, pack, int(octets), now)
        texts = select(contents.c.id).where(contents.c.id.in_(some), contents.c.indexed > 0)
        if connection.dialect.name == "sqlite":  # elsewhere the words go with the row
            rows = [(key,) for key in connection.execute(texts).scalars()]
            insert_all(connection, removed_texts, ("content",), rows)
        connection.execute(delete(placements).where(placements.c.content_id.in_(some)))
        connection.execute(delete(contents).where(contents.c.id.in_(some)))


def bury(connection: Connection, pack: int, octets: int, now: datetime) -> None:
    """So many more octets of a pack are of no use."""
    connection.execute(update(packs).where(packs.c.id == pack).values(dead=packs.c.dead + octets))
    connection.execute(
        update(packs).where(packs.c.id == pack, packs.c.dead_since_us == 0).values(dead_since_us=microseconds(now))
    )


def unseen(connection: Connection, account: int) -> list[int]:
    """Contents of the account without any placement: what tombstones of a rebuild left."""
    is_seen = select(placements.c.id).where(placements.c.content_id == contents.c.id).exists()
    return list(connection.execute(select(contents.c.id).where(contents.c.account_id == account, ~is_seen)).scalars())


def _portions(keys: Sequence[int]) -> Iterable[Sequence[int]]:
    return (keys[at : at + _AT_ONCE] for at in range(0, len(keys), _AT_ONCE))
