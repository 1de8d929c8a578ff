"""Compare packs and catalog both ways. Writes nothing but notes on what is damaged, so it may run beside all else."""

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from archivmail.archive import strangers
from archivmail.archive.catalog import checking, damage
from archivmail.archive.catalog.checking import KnownContent, KnownPack, Sighted, SightingKey
from archivmail.archive.catalog.damage import Suspects
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.schema import UNKNOWN_CRC
from archivmail.archive.locking import AccountLocks
from archivmail.archive.packs.names import ROOT
from archivmail.archive.packs.notes import Note
from archivmail.archive.packs.reading import Damage, Member, content
from archivmail.archive.packs.seektable import Frame
from archivmail.archive.packs.stores import PackStore, StoredPack
from archivmail.archive.scanning import OpenStore, ScannedPack, Scanner, glance
from archivmail.archive.strangers import InFlight, Kind
from archivmail.archive.values import Finding, VerifyReport
from archivmail.model.errors import ArchiveDamaged
from archivmail.model.uidset import UidSet, UidValidity

SAMPLE = 200
"""Messages that are read without `full`: others each time, and few enough for a daily job on an object store."""

Progress = Callable[[int, int], None]
"""Octets of packs done, and their sum."""

_SAME_CONTENT = "an octet is not what was written, though every message is still whole; copy the pack from a backup"
_DAMAGED = "the octets are not those that were archived"


@dataclass(slots=True)
class _Findings:
    missing: list[Finding] = field(default_factory=list)
    corrupt: list[Finding] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    redundant: list[str] = field(default_factory=list)
    suspects: list[Suspects] = field(default_factory=list)
    crcs: dict[int, int] = field(default_factory=dict)
    """Of packs whose CRC was not known, by their keys."""
    checked: int = 0


def verify(
    database: Database,
    store: PackStore,
    locks: AccountLocks,
    *,
    full: bool,
    now: Callable[[], datetime],
    open_store: OpenStore | None = None,
    progress: Progress | None = None,
) -> VerifyReport:
    """`full`: every frame's checksum and every message's SHA-256; otherwise sizes, seek tables and a sample.

    What is found is noted in the catalog, unless that is opened read-only, so that the next run fetches it again.
    `open_store` lets worker processes help.
    """
    stored = {pack.name: pack.size for pack in store.packs(ROOT)}
    total, done = sum(stored.values()), 0
    found = _Findings()
    in_flight = InFlight(locks)
    with Scanner(store, open_store, octets=total if full else 0) as scanner:
        known: deque[KnownPack] = deque()
        for scanned in _scanned(store, scanner, _told(database, known), full=full):
            pack = known.popleft()
            _check_pack(database, scanned, pack, found, full=full)
            in_flight.saw(pack.account, pack.name)
            done += stored.pop(pack.name, 0)
            if progress is not None:
                progress(done, total)
    with database.reading() as connection:
        in_grace = checking.retired(connection)
    for name in stored:
        if name in in_grace:  # another pack took its place, so it is not worth reading
            found.redundant.append(name)
            continue
        match strangers.kind(database, store, name, in_flight):
            case Kind.ORPHAN:
                found.orphans.append(name)
            case Kind.REDUNDANT:
                found.redundant.append(name)
            case Kind.ABOUT_TO_BE_KNOWN:
                pass
    if not full:
        _check_sample(database, store, found)
    if progress is not None:
        progress(total, total)
    if not database.read_only:
        with database.writing() as connection:
            if full:
                damage.clear(connection)
            damage.note(connection, found.suspects)
            checking.save_crcs(connection, found.crcs)
            damage.save_verification(connection, now())
    with database.reading() as connection:
        packs, messages, octets = checking.totals(connection)
    return VerifyReport(
        packs=packs,
        messages=messages,
        octets=octets,
        checked_messages=found.checked,
        missing=tuple(found.missing),
        corrupt=tuple(found.corrupt),
        orphans=tuple(found.orphans),
        redundant=tuple(found.redundant),
        is_noted=not database.read_only,
    )


def _scanned(store: PackStore, scanner: Scanner, packs: Iterator[StoredPack], *, full: bool) -> Iterator[ScannedPack]:
    """The packs in the same order; unless `full` only their seek tables are read."""
    return scanner.scan(packs) if full else (glance(store, pack) for pack in packs)


def _told(database: Database, known: "deque[KnownPack]") -> Iterator[StoredPack]:
    """The packs that the catalog knows; each is added to `known` when it is given out."""
    for pack in _known_packs(database):
        known.append(pack)
        yield StoredPack(pack.name, pack.size)


def _known_packs(database: Database) -> Iterator[KnownPack]:
    after = 0
    while True:
        with database.reading() as connection:  # a snapshot held for hours would keep the log from being trimmed
            some = checking.known_packs(connection, after=after)
        if not some:
            return
        yield from some
        after = some[-1].key


# --- packs that the catalog knows ------------------------------------------------------------------------------------


def _check_pack(database: Database, scanned: ScannedPack, pack: KnownPack, found: _Findings, *, full: bool) -> None:
    if scanned.error is None and scanned.size == pack.size and scanned.frames == pack.members + 1:
        if full:
            left = _read_all(database, scanned, pack, found)
            _settle(database, pack, left, found)
            if pack.crc == UNKNOWN_CRC and left.is_nothing:
                found.crcs[pack.key] = scanned.crc
            elif pack.crc not in {UNKNOWN_CRC, scanned.crc} and left.is_nothing:
                found.corrupt.append(_nameless(pack, _SAME_CONTENT))
        else:
            _settle(database, pack, _compare(database, pack, scanned.listed), found)
        return
    deque(scanned.members, maxlen=0)
    with database.reading() as connection:
        if not checking.is_known_pack(connection, pack.name):
            return  # merged into another one meanwhile
    if scanned.error is not None:
        (found.missing if scanned.is_missing else found.corrupt).extend(_whole(database, pack, scanned.error.text))
    elif scanned.size != pack.size:
        text = f"the pack has {scanned.size} octets and should have {pack.size}"
        found.corrupt += _whole(database, pack, text)
    else:
        text = f"the pack has {scanned.frames - 1} members of {pack.members}"
        found.corrupt += _whole(database, pack, text)
    with database.reading() as connection:
        contents = tuple(each.key for each in checking.contents_of(connection, pack.key))
        sightings = tuple(checking.sightings_of(connection, pack.key).values())
    found.suspects.append(Suspects(pack.key, contents, sightings))


@dataclass(slots=True)
class _Left:
    """What a pack did not confirm."""

    contents: dict[int, KnownContent]
    """By offset."""
    sightings: dict[SightingKey, int] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)

    @property
    def is_nothing(self) -> bool:
        return not (self.contents or self.sightings or self.damage)


def _settle(database: Database, pack: KnownPack, left: _Left, found: _Findings) -> None:
    if left.is_nothing:
        return
    found.corrupt += _named(database, pack, left)
    keys = tuple(each.key for each in left.contents.values())
    found.suspects.append(Suspects(pack.key, keys, tuple(left.sightings.values())))


def _compare(database: Database, pack: KnownPack, listed: Sequence[Frame]) -> _Left:
    """The catalog's ranges against the seek table."""
    with database.reading() as connection:
        left = _Left({each.offset: each for each in checking.contents_of(connection, pack.key)})
    for frame in listed:
        here = left.contents.get(frame.offset)
        if here is not None and here.length == frame.length:
            del left.contents[frame.offset]
    return left


def _read_all(database: Database, scanned: ScannedPack, pack: KnownPack, found: _Findings) -> _Left:
    """Every member against the catalog, and the other way round."""
    with database.reading() as connection:
        left = _Left(
            {each.offset: each for each in checking.contents_of(connection, pack.key)},
            checking.sightings_of(connection, pack.key),
        )
    is_all_known = True
    for member in scanned.members:
        if isinstance(member, Damage):
            left.damage.append(member.text)
            continue
        if isinstance(member, Note):
            continue
        found.checked += member.facts.has_octets
        if _confirms(member, left.contents.get(member.frame.offset)):
            del left.contents[member.frame.offset]
        is_listed = left.sightings.pop(checking.key_of(member.facts), None) is not None
        is_all_known = is_all_known and (is_listed or strangers.is_known(database, member))
    if not is_all_known:
        found.orphans.append(pack.name)
    return left


def _confirms(member: Member, expected: KnownContent | None) -> bool:
    return (
        expected is not None
        and member.facts.has_octets
        and member.facts.content_id == expected.content_id
        and (member.size, member.frame.length) == (expected.size, expected.length)
    )


def _named(database: Database, pack: KnownPack, left: _Left) -> list[Finding]:
    """What was not confirmed, by folder and UID."""
    text = left.damage[0] if left.damage else _DAMAGED
    with database.reading() as connection:
        keys = [each.key for each in left.contents.values()]
        named = checking.sighted(connection, keys, left.sightings.values())
    if not named and (left.contents or left.damage):
        return [_nameless(pack, text)]
    return _grouped(pack.name, named, text)


def _whole(database: Database, pack: KnownPack, text: str) -> list[Finding]:
    with database.reading() as connection:
        named = checking.sighted_in(connection, pack.key)
    return _grouped(pack.name, named, text) or [_nameless(pack, text)]


def _nameless(pack: KnownPack, text: str) -> Finding:
    return Finding(pack.name, pack.account, "", UidValidity(0), UidSet(), text)


def _grouped(pack: str, named: Iterable[Sighted], text: str) -> list[Finding]:
    """One finding per folder and UIDVALIDITY; a pack is of one account."""
    groups: dict[tuple[str, UidValidity], list[Sighted]] = {}
    for each in named:
        groups.setdefault((each.folder, each.uid_validity), []).append(each)
    return [
        Finding(pack, some[0].account, *where, UidSet.of(each.uid for each in some), text)
        for where, some in groups.items()
    ]


# --- a sample --------------------------------------------------------------------------------------------------------


def _check_sample(database: Database, store: PackStore, found: _Findings) -> None:
    with database.reading() as connection:
        highest = checking.highest_content(connection)
        keys = range(1, highest + 1) if highest <= SAMPLE else random.sample(range(1, highest + 1), SAMPLE)
        chosen = checking.sample(connection, sorted(keys))
    already = {finding.pack for finding in (*found.missing, *found.corrupt)}
    for each, pack in chosen:
        if pack in already:
            continue
        found.checked += 1
        text = _damage_of(store, pack, each)
        if text is not None:
            with database.reading() as connection:
                found.corrupt += _grouped(pack, checking.sighted(connection, [each.key], []), text)
                found.suspects.append(Suspects(checking.pack_of(connection, each.key), (each.key,)))


def _damage_of(store: PackStore, pack: str, expected: KnownContent) -> str | None:
    try:
        with store.open(pack) as source:
            digest = sha256()
            for piece in content(source, expected.offset, expected.length):
                digest.update(piece)
    except ArchiveDamaged as error:
        return error.text
    return None if digest.digest() == expected.content_id else _DAMAGED
