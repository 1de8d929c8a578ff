"""Compare packs and catalog both ways. Reads only; changes nothing, so it may run beside everything else."""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from archivmail.archive.catalog import checking
from archivmail.archive.catalog.checking import KnownContent, KnownPack, Sighted, SightingKey
from archivmail.archive.catalog.database import Database
from archivmail.archive.locking import AccountLocks
from archivmail.archive.packs.names import ROOT, time_of
from archivmail.archive.packs.reading import Damage, Member, Source, content, frames, scan
from archivmail.archive.packs.seektable import Frame
from archivmail.archive.packs.stores import PackStore
from archivmail.archive.values import Finding, VerifyReport
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchiveDamaged
from archivmail.model.uidset import UidSet, UidValidity

SAMPLE = 200
"""Messages that are read without `full`: others each time, and few enough for a daily job on an object store."""

Progress = Callable[[int, int], None]
"""Octets of packs done, and their sum."""

_DAMAGED = "the octets are not those that were archived"


@dataclass(slots=True)
class _Findings:
    missing: list[Finding] = field(default_factory=list)
    corrupt: list[Finding] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    redundant: list[str] = field(default_factory=list)
    checked: int = 0


def verify(
    database: Database, store: PackStore, locks: AccountLocks, *, full: bool, progress: Progress | None = None
) -> VerifyReport:
    """`full`: every frame's checksum and every message's SHA-256; otherwise sizes, seek tables and a sample."""
    stored = {pack.name: pack.size for pack in store.packs(ROOT)}
    total, done = sum(stored.values()), 0
    found = _Findings()
    newest: dict[AccountRef, str] = {}
    for pack in _known_packs(database):
        _check_pack(database, store, pack, found, full=full)
        newest[pack.account] = max(newest.get(pack.account, ""), pack.name)
        done += stored.pop(pack.name, 0)
        if progress is not None:
            progress(done, total)
    for name in stored:
        _check_stranger(database, store, name, found, _InFlight(locks, newest))
    if not full:
        _check_sample(database, store, found)
    if progress is not None:
        progress(total, total)
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
    )


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


def _check_pack(database: Database, store: PackStore, pack: KnownPack, found: _Findings, *, full: bool) -> None:
    try:
        with store.open(pack.name) as source:
            _check_open_pack(database, source, pack, found, full=full)
    except ArchiveDamaged as error:
        found.missing += _whole(database, pack, error.text)


def _check_open_pack(database: Database, source: Source, pack: KnownPack, found: _Findings, *, full: bool) -> None:
    try:
        listed = frames(source)
    except ArchiveDamaged as error:
        found.corrupt += _whole(database, pack, error.text)
        return
    if source.size != pack.size:
        found.corrupt += _whole(database, pack, f"the pack has {source.size} octets and should have {pack.size}")
    elif len(listed) != pack.members + 1:
        found.corrupt += _whole(database, pack, f"the pack has {len(listed) - 1} members of {pack.members}")
    else:
        left = _compare(database, pack, listed) if not full else _read_all(database, source, pack, listed, found)
        found.corrupt += _named(database, pack, left)


@dataclass(slots=True)
class _Left:
    """What a pack did not confirm."""

    contents: dict[int, KnownContent]
    """By offset."""
    sightings: dict[SightingKey, int] = field(default_factory=dict)
    damage: list[str] = field(default_factory=list)


def _compare(database: Database, pack: KnownPack, listed: list[Frame]) -> _Left:
    """The catalog's ranges against the seek table."""
    with database.reading() as connection:
        left = _Left({each.offset: each for each in checking.contents_of(connection, pack.key)})
    for frame in listed:
        here = left.contents.get(frame.offset)
        if here is not None and here.length == frame.length:
            del left.contents[frame.offset]
    return left


def _read_all(database: Database, source: Source, pack: KnownPack, listed: list[Frame], found: _Findings) -> _Left:
    """Every member against the catalog, and the other way round."""
    with database.reading() as connection:
        left = _Left(
            {each.offset: each for each in checking.contents_of(connection, pack.key)},
            checking.sightings_of(connection, pack.key),
        )
    is_all_known = True
    for member in scan(source, listed):
        if isinstance(member, Damage):
            left.damage.append(member.text)
            continue
        found.checked += member.facts.has_octets
        if _confirms(member, left.contents.get(member.frame.offset)):
            del left.contents[member.frame.offset]
        is_listed = left.sightings.pop(checking.key_of(member.facts), None) is not None
        is_all_known = is_all_known and (is_listed or _is_known(database, member))
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


def _is_known(database: Database, member: Member) -> bool:
    with database.reading() as connection:
        return checking.is_known(connection, member.facts)


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
    """One finding per folder and UIDVALIDITY."""
    uids: dict[tuple[AccountRef, str, UidValidity], list[int]] = {}
    for each in named:
        uids.setdefault((each.account, each.folder, each.uid_validity), []).append(each.uid)
    return [Finding(pack, *where, UidSet.of(which), text) for where, which in uids.items()]


# --- packs that it does not know -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _InFlight:
    """A pack newer than all that are committed, of an account that is being archived now, is about to be committed."""

    locks: AccountLocks
    newest: dict[AccountRef, str]

    def covers(self, name: str) -> bool:
        _, namespace, account_name, _ = name.split("/")
        for account, newest in self.newest.items():
            if newest.rpartition("/")[0] == name.rpartition("/")[0]:
                return time_of(name) > time_of(newest) and self.locks.is_taken(account)
        return self.locks.is_taken(AccountRef(namespace, account_name))


def _check_stranger(database: Database, store: PackStore, name: str, found: _Findings, in_flight: _InFlight) -> None:
    try:
        with store.open(name) as source:
            is_needless = all(
                isinstance(each, Member) and _is_known(database, each) for each in scan(source, frames(source))
            )
    except ArchiveDamaged:
        is_needless = False
    with database.reading() as connection:
        if checking.is_known_pack(connection, name):  # committed in the meantime
            return
    if is_needless:
        found.redundant.append(name)
    elif not in_flight.covers(name):
        found.orphans.append(name)


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


def _damage_of(store: PackStore, pack: str, expected: KnownContent) -> str | None:
    try:
        with store.open(pack) as source:
            digest = sha256()
            for piece in content(source, expected.offset, expected.length):
                digest.update(piece)
    except ArchiveDamaged as error:
        return error.text
    return None if digest.digest() == expected.content_id else _DAMAGED
