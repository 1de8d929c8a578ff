"""Enter what a pack holds into the catalog, in the transaction of the caller. Entering it twice changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, literal_column, select, update

from archivmail.archive.catalog import damage, tombstones
from archivmail.archive.catalog.dialects import insert, insert_all
from archivmail.archive.catalog.schema import UNKNOWN_CRC, contents, packs, placements
from archivmail.archive.catalog.tombstones import NewTombstone
from archivmail.archive.catalog.values import clean
from archivmail.archive.packs.internaldate import seconds
from archivmail.model.message import ContentId, Sighting

_CONTENT_COLUMNS = ("account_id", "sha256", "size", "pack_id", "frame_offset", "frame_length")
_PLACEMENT_COLUMNS = (
    "account_id",
    "folder_id",
    "epoch_id",
    "uid",
    "content_id",
    "pack_id",
    "internal_date",
    "received_s",
    "flags",
    "email_id",
    "assembled",
    "labels",
)


@dataclass(frozen=True, slots=True)
class NewContent:
    """Octets that lie in the pack."""

    content_id: ContentId
    size: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class NewPlacement:
    """A sighting that a member of the pack records; its content is in this pack or in the catalog."""

    epoch: int
    folder: int
    sighting: Sighting
    content_id: ContentId


@dataclass(frozen=True, slots=True)
class NewPack:
    """A durable pack and what is in it."""

    name: str
    size: int
    members: int
    contents: Sequence[NewContent]
    placements: Sequence[NewPlacement]
    crc: int = UNKNOWN_CRC
    """CRC-32 of the whole pack."""
    tombstones: Sequence[NewTombstone] = ()
    """What the pack tells of sightings whose messages were removed; they come before the placements."""
    dead: int = 0
    """Octets of frames whose messages must not come back."""
    replaced: int = 0
    """Names of other packs that it carries as replaced."""


def record(connection: Connection, account: int, pack: NewPack) -> list[NewPlacement]:
    """Enter the pack. Give back the placements whose content is nowhere in this account."""
    pack_id = _enter_pack(connection, account, pack)
    if pack.tombstones:
        tombstones.enter(connection, account, pack.tombstones)
    _enter_contents(connection, account, pack_id, pack.contents)
    return _enter_placements(connection, account, pack_id, pack.placements)


def place_later(connection: Connection, account: int, pack: str, placement: NewPlacement) -> bool:
    """Enter a sighting of a pack that is entered; False when its content still is nowhere in this account."""
    pack_id = connection.execute(select(packs.c.id).where(packs.c.name == pack)).scalar_one()
    return not _enter_placements(connection, account, pack_id, [placement])


def bury_later(connection: Connection, account: int, placement: NewPlacement) -> bool:
    """Enter a sighting as one of a message that was removed; False when nothing tells that it was."""
    gone = tombstones.of_contents(connection, account, [placement.content_id]).get(placement.content_id)
    if gone is None:
        return False
    new = NewTombstone(placement.epoch, placement.folder, placement.sighting, placement.content_id, gone)
    tombstones.enter(connection, account, [new])
    return True


def _enter_placements(
    connection: Connection, account: int, pack_id: int, new: Sequence[NewPlacement]
) -> list[NewPlacement]:
    keys = _keys(connection, account, pack_id, {each.content_id for each in new})
    rows = [
        (
            account,
            each.folder,
            each.epoch,
            each.sighting.uid,
            keys[each.content_id],
            pack_id,
            clean(each.sighting.internal_date),
            seconds(each.sighting.internal_date),
            clean(" ".join(each.sighting.flags)),
            clean(each.sighting.email_id or ""),
            clean(each.sighting.assembled),
            clean("\n".join(each.sighting.labels)),
        )
        for each in new
        if each.content_id in keys
    ]
    insert_all(connection, placements, _PLACEMENT_COLUMNS, rows)
    tombstones.revive(connection, account, ((each.epoch, each.sighting.uid, each.content_id) for each in new))
    seen = ((each.epoch, each.sighting.uid, keys[each.content_id]) for each in new if each.content_id in keys)
    damage.heal_sightings(connection, account, pack_id, seen)
    _clear_marks(connection, account, new, keys)
    return [each for each in new if each.content_id not in keys]


def _clear_marks(connection: Connection, account: int, new: Sequence[NewPlacement], keys: dict[ContentId, int]) -> None:
    """Octets that were put together and later came as one, the same, are proven: their mark goes."""
    # The literal lets the planner use the partial index; there is nearly never a row in it.
    wanted = select(placements.c.id, placements.c.epoch_id, placements.c.uid, placements.c.content_id).where(
        placements.c.account_id == account, placements.c.assembled != literal_column("''")
    )
    marked = {(row.epoch_id, row.uid, row.content_id): row.id for row in connection.execute(wanted)}
    if not marked:
        return
    for each in new:
        key = marked.get((each.epoch, each.sighting.uid, keys.get(each.content_id)))
        if key is not None and not each.sighting.assembled:
            connection.execute(update(placements).where(placements.c.id == key).values(assembled=""))


def _enter_pack(connection: Connection, account: int, pack: NewPack) -> int:
    values = {
        "account_id": account,
        "name": pack.name,
        "size": pack.size,
        "members": pack.members,
        "crc": pack.crc,
        "replaced": pack.replaced,
        "dead": pack.dead,
        "dead_since_us": 1 if pack.dead else 0,  # long ago: the next upkeep takes them out
    }
    row = insert(connection, packs).values(**values)
    connection.execute(row.on_conflict_do_nothing())
    return int(connection.execute(select(packs.c.id).where(packs.c.name == pack.name)).scalar_one())


def _enter_contents(connection: Connection, account: int, pack_id: int, new: Sequence[NewContent]) -> None:
    rows = [(account, each.content_id, each.size, pack_id, each.offset, each.length) for each in new]
    # Where another process was first, its octets are the same and its pack is durable too.
    insert_all(connection, contents, _CONTENT_COLUMNS, rows)
    damage.heal_contents(connection, account, pack_id, ((each.content_id, each.offset, each.length) for each in new))


def _keys(connection: Connection, account: int, pack_id: int, wanted: set[ContentId]) -> dict[ContentId, int]:
    here = select(contents.c.sha256, contents.c.id).where(contents.c.pack_id == pack_id)
    found = {ContentId(bytes(sha256)): key for sha256, key in connection.execute(here).all()}
    elsewhere = [content_id for content_id in wanted if content_id not in found]
    for at in range(0, len(elsewhere), 500):  # SQLite takes some thousand parameters at most
        some = select(contents.c.sha256, contents.c.id).where(
            contents.c.account_id == account, contents.c.sha256.in_(elsewhere[at : at + 500])
        )
        found |= {ContentId(bytes(row.sha256)): row.id for row in connection.execute(some)}
    return found
