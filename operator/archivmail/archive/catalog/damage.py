"""What verification found damaged: kept until the octets are stored again, so that the next run fetches them.

A damaged content is not held and a damaged sighting not placed, so runs see their UIDs as missing. What the server no
longer has stays damaged and is named by every verification.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Select,
    delete,
    exists,
    func,
    or_,
    select,
    union,
    union_all,
    update,
)

from archivmail.archive.catalog.dialects import insert_all
from archivmail.archive.catalog.schema import (
    contents,
    damaged_contents,
    damaged_sightings,
    folder_states,
    placements,
    verifications,
)
from archivmail.archive.catalog.values import microseconds, moment

_AT_ONCE = 500

content_is_damaged: ColumnElement[bool] = exists().where(damaged_contents.c.content_id == contents.c.id)
"""For a query over contents."""
placement_is_damaged: ColumnElement[bool] = or_(
    exists().where(damaged_contents.c.content_id == placements.c.content_id),
    exists().where(damaged_sightings.c.placement_id == placements.c.id),
)
"""For a query over placements."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The end of the last verification, and how many messages (contents) are damaged or missing still."""

    at: datetime
    damaged: int


@dataclass(frozen=True, slots=True)
class Suspects:
    """Keys that one pack did not confirm."""

    pack: int
    contents: Sequence[int] = ()
    placements: Sequence[int] = ()


def damaged_uids(epoch: BindParameter[int]) -> Select[Any]:
    """The UIDs of an epoch of which no placement is sound, ascending."""
    of_epoch = select(placements.c.uid).where(placements.c.epoch_id == epoch)
    suspects = union_all(
        of_epoch.join(damaged_contents, damaged_contents.c.content_id == placements.c.content_id),
        of_epoch.join(damaged_sightings, damaged_sightings.c.placement_id == placements.c.id),
    ).subquery()
    others = placements.alias()
    is_sound = exists().where(
        others.c.epoch_id == epoch,
        others.c.uid == suspects.c.uid,
        ~exists().where(damaged_contents.c.content_id == others.c.content_id),
        ~exists().where(damaged_sightings.c.placement_id == others.c.id),
    )
    return select(suspects.c.uid).where(~is_sound).distinct().order_by(suspects.c.uid)


# --- what verification found -----------------------------------------------------------------------------------------


def note(connection: Connection, found: Iterable[Suspects]) -> None:
    """Mark what is still recorded in the pack where it was found damaged, and have its folders compared again."""
    folders: set[int] = set()
    for suspects in found:
        for keys in _portions(suspects.contents):
            still = select(contents.c.id).where(contents.c.id.in_(keys), contents.c.pack_id == suspects.pack)
            folders |= _mark(connection, damaged_contents, "content_id", still, placements.c.content_id)
        for keys in _portions(suspects.placements):
            still = select(placements.c.id).where(placements.c.id.in_(keys), placements.c.pack_id == suspects.pack)
            folders |= _mark(connection, damaged_sightings, "placement_id", still, placements.c.id)
    for keys in _portions(sorted(folders)):
        # A complete state would let the folder be skipped.
        connection.execute(update(folder_states).where(folder_states.c.folder_id.in_(keys)).values(complete=0))


def clear(connection: Connection) -> None:
    """Forget all marks: a full verification looks at everything anew."""
    connection.execute(delete(damaged_contents))
    connection.execute(delete(damaged_sightings))


def save_verification(connection: Connection, at: datetime) -> None:
    """Remember that a verification ended."""
    connection.execute(delete(verifications))
    connection.execute(verifications.insert().values(id=1, ended_at_us=microseconds(at)))


def last_verification(connection: Connection) -> Verification | None:
    """None before the first."""
    ended = connection.execute(select(verifications.c.ended_at_us)).scalar()
    if ended is None:
        return None
    messages = union(
        select(damaged_contents.c.content_id), select(placements.c.content_id).join(damaged_sightings)
    ).subquery()
    return Verification(moment(ended), connection.execute(select(func.count()).select_from(messages)).scalar_one())


# --- what a run heals ------------------------------------------------------------------------------------------------


def heal_contents(connection: Connection, account: int, pack: int, new: Iterable[tuple[bytes, int, int]]) -> None:
    """Damaged contents whose octets (SHA-256, frame offset and length) are in a new pack are sound there."""
    wanted = select(contents.c.sha256, contents.c.id).join(damaged_contents).where(contents.c.account_id == account)
    damaged = {bytes(row.sha256): row.id for row in connection.execute(wanted)}
    if not damaged:
        return
    for sha256, offset, length in new:
        key = damaged.get(bytes(sha256))
        if key is not None:
            place = {"pack_id": pack, "frame_offset": offset, "frame_length": length}
            connection.execute(update(contents).where(contents.c.id == key).values(**place))
            connection.execute(delete(damaged_contents).where(damaged_contents.c.content_id == key))


def heal_sightings(connection: Connection, account: int, pack: int, new: Iterable[tuple[int, int, int]]) -> None:
    """Damaged sightings (epoch, UID, content) that a new pack records are sound there."""
    wanted = (
        select(placements.c.epoch_id, placements.c.uid, placements.c.content_id, placements.c.id)
        .join(damaged_sightings)
        .where(placements.c.account_id == account)
    )
    damaged = {(row.epoch_id, row.uid, row.content_id): row.id for row in connection.execute(wanted)}
    for sighting in new if damaged else ():
        key = damaged.get(sighting)
        if key is not None:
            connection.execute(update(placements).where(placements.c.id == key).values(pack_id=pack))
            connection.execute(delete(damaged_sightings).where(damaged_sightings.c.placement_id == key))


def _mark(
    connection: Connection, table: Any, column: str, still: Select[Any], of_placement: ColumnElement[int]
) -> set[int]:
    keys = list(connection.execute(still).scalars())
    insert_all(connection, table, (column,), [(key,) for key in keys])
    return set(connection.execute(select(placements.c.folder_id).where(of_placement.in_(keys)).distinct()).scalars())


def _portions(keys: Sequence[int]) -> Iterator[Sequence[int]]:
    return (keys[at : at + _AT_ONCE] for at in range(0, len(keys), _AT_ONCE))
