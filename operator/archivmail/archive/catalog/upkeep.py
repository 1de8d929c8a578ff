"""What upkeep asks the catalog about packs, and what it enters when packs took the place of others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, bindparam, delete, select, update

from archivmail.archive.catalog.dialects import insert_all
from archivmail.archive.catalog.schema import contents, packs, placements, retired_packs
from archivmail.archive.catalog.values import microseconds, moment, moment_or_none
from archivmail.archive.packs.names import time_of
from archivmail.decide.upkeep import PackFacts
from archivmail.model.errors import ArchiveUnavailable

T = TypeVar("T")
_AT_ONCE = 500
_LONG_AGO = 1  # microseconds since 1970: past every grace


@dataclass(frozen=True, slots=True)
class Retired:
    """A pack whose place another took, or that was never needed."""

    name: str
    size: int
    retired_at: datetime
    is_urgent: bool
    """It holds what was erased: it goes whatever else is wrong."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Where the octets of a content lie now."""

    content: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Successor:
    """A durable pack that takes the place of others, and what lies in it."""

    name: str
    size: int
    members: int
    crc: int
    replaced: int
    moved: Sequence[Moved]


def packs_of(connection: Connection, account: int) -> list[PackFacts]:
    """The account's packs, in the order of their names."""
    wanted = select(packs).where(packs.c.account_id == account).order_by(packs.c.name)
    return [
        PackFacts(
            name=row.name,
            size=row.size,
            written_at=moment(time_of(row.name) * 1000),
            dead=row.dead,
            dead_since=moment_or_none(row.dead_since_us),
            replaced=row.replaced,
            members=row.members,
        )
        for row in connection.execute(wanted)
    ]


def is_counted_on(connection: Connection, pack: str) -> bool:
    """Whether a message or a sighting is where this pack is, as far as the catalog knows."""
    for table in (contents, placements):
        wanted = select(table.c.id).join(packs, packs.c.id == table.c.pack_id).where(packs.c.name == pack).limit(1)
        if connection.execute(wanted).first() is not None:
            return True
    return False


def keys_by_offset(connection: Connection, pack: str) -> Mapping[int, int]:
    """The contents whose octets lie in a pack: the key of each by the offset of its frame."""
    wanted = select(contents.c.frame_offset, contents.c.id).join(packs, packs.c.id == contents.c.pack_id)
    return {row.frame_offset: row.id for row in connection.execute(wanted.where(packs.c.name == pack))}


def succeed(
    connection: Connection,
    account: int,
    new: Successor,
    old: Sequence[PackFacts],
    retired_at: datetime | None,
) -> None:
    """Enter a pack in the place of others. `retired_at` None: the others may go at once."""
    entered = packs.insert().values(
        account_id=account,
        name=new.name,
        size=new.size,
        members=new.members,
        crc=new.crc,
        replaced=new.replaced,
    )
    key = connection.execute(entered.returning(packs.c.id)).scalar_one()
    if new.moved:
        connection.execute(
            update(contents)
            .where(contents.c.id == bindparam("content"))
            .values(pack_id=key, frame_offset=bindparam("at"), frame_length=bindparam("length")),
            [{"content": each.content, "at": each.offset, "length": each.length} for each in new.moved],
        )
    names = [pack.name for pack in old]
    keys = [connection.execute(select(packs.c.id).where(packs.c.name == name)).scalar_one() for name in names]
    for some in _portions(keys):
        connection.execute(update(placements).where(placements.c.pack_id.in_(some)).values(pack_id=key))
        if connection.execute(select(contents.c.id).where(contents.c.pack_id.in_(some)).limit(1)).first():
            raise ArchiveUnavailable("A pack changed while it was written anew; run archivmail verify --full.")
        connection.execute(delete(packs).where(packs.c.id.in_(some)))
    retire(connection, account, [(pack.name, pack.size) for pack in old], retired_at)


def retire(connection: Connection, account: int, gone: Sequence[tuple[str, int]], retired_at: datetime | None) -> None:
    """Note packs (name and size) to be removed from the store later; `retired_at` None: at once."""
    at_us = _LONG_AGO if retired_at is None else microseconds(retired_at)
    rows = [(name, account, size, at_us) for name, size in gone]
    insert_all(connection, retired_packs, ("name", "account_id", "size", "retired_at_us"), rows)
    if retired_at is None:
        for some in _portions([name for name, _ in gone]):
            connection.execute(
                update(retired_packs).where(retired_packs.c.name.in_(some)).values(retired_at_us=_LONG_AGO)
            )


def retired(connection: Connection, account: int) -> list[Retired]:
    """Packs of the account that wait for their removal."""
    wanted = select(retired_packs).where(retired_packs.c.account_id == account).order_by(retired_packs.c.name)
    return [
        Retired(row.name, row.size, moment(row.retired_at_us), is_urgent=row.retired_at_us == _LONG_AGO)
        for row in connection.execute(wanted)
    ]


def drop_retired(connection: Connection, name: str) -> None:
    """The pack is gone from the store."""
    connection.execute(delete(retired_packs).where(retired_packs.c.name == name))


def is_retired(connection: Connection, name: str) -> bool:
    """Whether another pack took the place of this one."""
    return connection.execute(select(retired_packs.c.name).where(retired_packs.c.name == name)).first() is not None


def _portions(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[at : at + _AT_ONCE] for at in range(0, len(items), _AT_ONCE)]
