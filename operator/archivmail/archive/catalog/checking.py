"""What `verify` asks the catalog, pack by pack, so that no question grows with the archive."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, or_, select, update

from archivmail.archive.catalog.accounts import find_account
from archivmail.archive.catalog.damage import placement_is_damaged
from archivmail.archive.catalog.schema import (
    accounts,
    contents,
    epochs,
    folders,
    packs,
    placements,
    retired_packs,
    tombstones,
)
from archivmail.archive.packs.facts import Facts
from archivmail.model.account import AccountRef
from archivmail.model.message import ContentId
from archivmail.model.uidset import Uid, UidValidity

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class KnownPack:
    key: int
    name: str
    size: int
    members: int
    crc: int
    """UNKNOWN_CRC where nobody has told it yet."""
    account: AccountRef


@dataclass(frozen=True, slots=True)
class KnownContent:
    key: int
    content_id: ContentId
    size: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Sighted:
    """A placement as `verify` names it."""

    account: AccountRef
    folder: str
    uid_validity: UidValidity
    uid: Uid


SightingKey = tuple[bytes, str, int, int, bytes]
"""Folder, origin, UIDVALIDITY, UID and content: what a member and a placement have in common."""


def totals(connection: Connection) -> tuple[int, int, int]:
    """Packs, contents, and the contents' raw octets."""
    count = connection.execute(select(func.count()).select_from(packs)).scalar_one()
    messages, octets = connection.execute(select(func.count(), func.coalesce(func.sum(contents.c.size), 0))).one()
    return count, messages, int(octets)


def count_placements(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(placements)).scalar_one()


def named(connection: Connection, epoch: int) -> tuple[str, UidValidity]:
    """The decoded name of an epoch's folder, and its UIDVALIDITY."""
    wanted = select(folders.c.display, epochs.c.uid_validity).join(epochs).where(epochs.c.id == epoch)
    row = connection.execute(wanted).one()
    return row.display, UidValidity(row.uid_validity)


def known_packs(connection: Connection, *, after: int, limit: int = _AT_ONCE) -> list[KnownPack]:
    """The next packs above a key, in its order."""
    wanted = (
        select(
            packs.c.id, packs.c.name, packs.c.size, packs.c.members, packs.c.crc, accounts.c.namespace, accounts.c.name
        )
        .join(accounts, accounts.c.id == packs.c.account_id)
        .where(packs.c.id > after)
        .order_by(packs.c.id)
        .limit(limit)
    )
    return [KnownPack(*row[:5], AccountRef(*row[5:])) for row in connection.execute(wanted)]


def save_crcs(connection: Connection, found: Mapping[int, int]) -> None:
    """Remember the CRCs of packs, by their keys."""
    for key, crc in found.items():
        connection.execute(update(packs).where(packs.c.id == key).values(crc=crc))


def retired(connection: Connection) -> frozenset[str]:
    """Names of packs that another one has replaced and that stay for a time of grace."""
    return frozenset(connection.execute(select(retired_packs.c.name)).scalars())


def is_known_pack(connection: Connection, name: str) -> bool:
    return connection.execute(select(packs.c.id).where(packs.c.name == name)).first() is not None


def pack_of(connection: Connection, content: int) -> int:
    """The key of the pack in which a content's octets lie; 0 when the content is gone."""
    return connection.execute(select(contents.c.pack_id).where(contents.c.id == content)).scalar() or 0


def contents_of(connection: Connection, pack: int) -> list[KnownContent]:
    """Contents whose octets lie in a pack."""
    wanted = select(
        contents.c.id, contents.c.sha256, contents.c.size, contents.c.frame_offset, contents.c.frame_length
    ).where(contents.c.pack_id == pack)
    return [KnownContent(row.id, ContentId(bytes(row.sha256)), *row[2:]) for row in connection.execute(wanted).all()]


def sightings_of(connection: Connection, pack: int) -> dict[SightingKey, int]:
    """Placements that a pack's members record, with their keys."""
    rows = connection.execute(_keys().where(placements.c.pack_id == pack)).all()
    return {
        (bytes(folder), origin, uid_validity, uid, bytes(sha256)): key
        for key, folder, origin, uid_validity, uid, sha256 in rows
    }


def key_of(facts: Facts) -> SightingKey:
    """The same of a member."""
    return facts.folder, str(facts.origin), facts.uid_validity, facts.sighting.uid, facts.content_id


def is_known(connection: Connection, facts: Facts) -> bool:
    """Whether the catalog has the sighting that a member records, whatever the pack: its placement or its tombstone."""
    sighting = _sighting(connection, facts)
    if sighting is None:
        return False
    # A sighting that was removed may have a message again, and the other way round.
    for question in (_PLACED, _GONE) if facts.gone is None else (_GONE, _PLACED):
        if connection.execute(question, sighting).first() is not None:
            return True
    return False


def homes(connection: Connection, facts: Facts) -> set[tuple[str, int]] | None:
    """Other packs (name and size) that make the one with this member needless; None: it is needed.

    They hold the sighting and its octets, neither of which was found damaged. A sighting that was removed needs none.
    """
    sighting = _sighting(connection, facts)
    if sighting is None:
        return None
    found = {(row.name, row.size) for row in connection.execute(_HOMES, sighting)}
    if found:
        return found
    return set() if connection.execute(_GONE, sighting).first() is not None else None


def _sighting(connection: Connection, facts: Facts) -> dict[str, object] | None:
    """What is asked of the catalog about a member; None when it has no such account."""
    account = find_account(connection, facts.account)
    if account is None:
        return None
    return {
        "account": account,
        "sha256": facts.content_id,
        "uid": facts.sighting.uid,
        "folder": facts.folder,
        "origin": str(facts.origin),
        "uid_validity": facts.uid_validity,
    }


def sighted_in(connection: Connection, pack: int) -> list[Sighted]:
    """Every placement that needs the pack, for its octets or for its record."""
    return _sighted(connection, or_(contents.c.pack_id == pack, placements.c.pack_id == pack))


def sighted(connection: Connection, content_keys: Iterable[int], placement_keys: Iterable[int]) -> list[Sighted]:
    """The placements of these contents, and these placements."""
    found: list[Sighted] = []
    for keys, column in ((content_keys, placements.c.content_id), (placement_keys, placements.c.id)):
        for some in _portions(sorted(keys)):
            found += _sighted(connection, column.in_(some))
    return found


def sample(connection: Connection, keys: Sequence[int]) -> list[tuple[KnownContent, str]]:
    """Contents with the name of their pack: for each key the first one at or above it."""
    found: dict[int, tuple[KnownContent, str]] = {}
    for key in keys:
        wanted = (
            select(
                contents.c.id, contents.c.sha256, contents.c.size, contents.c.frame_offset, contents.c.frame_length,
                packs.c.name,
            )
            .join(packs, packs.c.id == contents.c.pack_id)
            .where(contents.c.id >= key)
            .order_by(contents.c.id)
            .limit(1)
        )  # fmt: skip
        row = connection.execute(wanted).first()
        if row is not None:
            found[row.id] = (KnownContent(row.id, ContentId(bytes(row.sha256)), *row[2:5]), row.name)
    return list(found.values())


def highest_content(connection: Connection) -> int:
    """The highest key of a content, 0 when there is none."""
    return connection.execute(select(func.max(contents.c.id))).scalar() or 0


def _keys() -> Select[*tuple[Any, ...]]:
    return (
        select(placements.c.id, folders.c.name, epochs.c.origin, epochs.c.uid_validity, placements.c.uid,
               contents.c.sha256)
        .select_from(placements)
        .join(folders, folders.c.id == placements.c.folder_id)
        .join(epochs, epochs.c.id == placements.c.epoch_id)
        .join(contents, contents.c.id == placements.c.content_id)
    )  # fmt: skip


_OF_THE_SIGHTING = (
    placements.c.account_id == bindparam("account"),
    contents.c.sha256 == bindparam("sha256"),
    placements.c.uid == bindparam("uid"),
    folders.c.name == bindparam("folder"),
    epochs.c.origin == bindparam("origin"),
    epochs.c.uid_validity == bindparam("uid_validity"),
)
# Built once: they are asked for every member that its own pack does not list.
_PLACED = _keys().where(*_OF_THE_SIGHTING).limit(1)
_HOMES = (
    select(packs.c.name, packs.c.size)
    .select_from(placements)
    .join(folders, folders.c.id == placements.c.folder_id)
    .join(epochs, epochs.c.id == placements.c.epoch_id)
    .join(contents, contents.c.id == placements.c.content_id)
    .join(packs, or_(packs.c.id == placements.c.pack_id, packs.c.id == contents.c.pack_id))
    .where(*_OF_THE_SIGHTING, ~placement_is_damaged)
)
_GONE = (
    select(tombstones.c.id)
    .join(folders, folders.c.id == tombstones.c.folder_id)
    .where(
        tombstones.c.account_id == bindparam("account"),
        tombstones.c.sha256 == bindparam("sha256"),
        tombstones.c.uid == bindparam("uid"),
        folders.c.name == bindparam("folder"),
    )
    .limit(1)
)


def _sighted(connection: Connection, condition: ColumnElement[bool]) -> list[Sighted]:
    wanted = (
        select(accounts.c.namespace, accounts.c.name, folders.c.display, epochs.c.uid_validity, placements.c.uid)
        .select_from(placements)
        .join(accounts, accounts.c.id == placements.c.account_id)
        .join(folders, folders.c.id == placements.c.folder_id)
        .join(epochs, epochs.c.id == placements.c.epoch_id)
        .join(contents, contents.c.id == placements.c.content_id)
        .where(condition)
        .order_by(placements.c.id)
    )
    return [Sighted(AccountRef(*row[:2]), *row[2:]) for row in connection.execute(wanted)]


def _portions(keys: list[int]) -> Iterable[list[int]]:
    return (keys[at : at + _AT_ONCE] for at in range(0, len(keys), _AT_ONCE))
