"""Turn the members of packs back into contents, placements and epochs: for `rebuild`, and for packs that a crash left
between their own durability and the catalog's (design §1, invariants 5 and 6).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from archivmail.archive.catalog.accounts import ensure_account, ensure_folder
from archivmail.archive.catalog.passes import epoch_of, latest_epoch, start_epoch
from archivmail.archive.catalog.recording import NewContent, NewPack, NewPlacement
from archivmail.archive.catalog.tombstones import NewTombstone, erased, of_contents
from archivmail.archive.packs.facts import Facts
from archivmail.archive.packs.notes import Note
from archivmail.archive.packs.paths import member_folder
from archivmail.archive.packs.reading import Damage, Found
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchiveDamaged
from archivmail.model.folder import Epoch, Folder, FolderName
from archivmail.model.retention import Why

_DELIMITERS = (b"/", b".", b"\\", b"|", b":", b"^", b"!", b"~", b",", b";")
"""What servers use, the likely ones first."""


@dataclass(frozen=True, slots=True)
class Intake:
    """What one pack gives."""

    account: AccountRef
    key: int
    """Of the account in the catalog."""
    pack: NewPack
    octets: int
    """Raw octets of its messages."""
    damage: tuple[Damage, ...]


@dataclass(slots=True)
class _Ground:
    """The epoch that members of a folder belong to."""

    epoch: Epoch
    folder: int


@dataclass(slots=True)
class EpochTracker:
    """Finds epochs by the order of members: another origin or UIDVALIDITY in a folder begins a new one.

    Packs must come in the order of their names within an account.
    """

    _known: dict[tuple[int, FolderName], _Ground] = field(default_factory=dict)
    _unknown: dict[tuple[int, FolderName, str], _Ground] = field(default_factory=dict)
    _account: int = 0

    def ground(self, connection: Connection, account: int, facts: Facts) -> tuple[int, int]:
        """Keys of the epoch and the folder of a member, entered into the catalog if need be."""
        if account != self._account:  # accounts come one after the other; what was learnt of the last is not needed
            self._known.clear()
            self._unknown.clear()
            self._account = account
        found = self._find(connection, account, facts)
        return found.epoch.id, found.folder

    def _find(self, connection: Connection, account: int, facts: Facts) -> _Ground:
        if facts.gone is not None and (known := self._of_tombstone(connection, account, facts)) is not None:
            return known
        if not facts.uid_validity:
            by_origin = (account, facts.folder, str(facts.origin))
            if by_origin not in self._unknown:
                self._unknown[by_origin] = _start(connection, account, facts)
            return self._unknown[by_origin]
        key = (account, facts.folder)
        if key not in self._known:
            latest = latest_epoch(connection, account, facts.folder)
            if latest is not None:
                self._known[key] = _Ground(latest, ensure_folder(connection, account, _folder(facts)))
        ground = self._known.get(key)
        if ground is None or not _continues(ground.epoch, facts):
            ground = self._known[key] = _start(connection, account, facts)
        return ground

    def _of_tombstone(self, connection: Connection, account: int, facts: Facts) -> _Ground | None:
        """A tombstone stands where its removal was written, perhaps long after its epoch: it begins none.

        None when the folder had no such epoch yet: the tombstone stands in the place of the message itself then.
        """
        ground = self._known.get((account, facts.folder))
        if ground is not None and _continues(ground.epoch, facts):
            return ground
        epoch = epoch_of(connection, account, facts.folder, facts.origin, facts.uid_validity)
        if epoch is None:
            return None
        return _Ground(epoch, ensure_folder(connection, account, _folder(facts)))


@dataclass(slots=True)
class KnownEpochs(EpochTracker):
    """For a pack from among others: it begins no epoch. Raises ArchiveDamaged where the catalog has none that fits."""

    def ground(self, connection: Connection, account: int, facts: Facts) -> tuple[int, int]:
        epoch = epoch_of(connection, account, facts.folder, facts.origin, facts.uid_validity)
        if epoch is None:
            raise ArchiveDamaged("A pack tells of an epoch that the catalog does not know; run archivmail rebuild.")
        return epoch.id, ensure_folder(connection, account, _folder(facts))


def take_in(
    connection: Connection,
    name: str,
    size: int,
    members: Iterable[Found],
    tracker: EpochTracker,
) -> Intake | None:
    """Read a pack's members into what the catalog records. None when no member of it can be read."""
    contents: list[NewContent] = []
    gone: list[NewTombstone] = []
    count = replaced = 0
    placements: list[NewPlacement] = []
    damage: list[Damage] = []
    account: AccountRef | None = None
    key = octets = 0
    for member in members:
        count += 1
        if isinstance(member, Note):
            replaced += len(member.replaced)
            continue
        if isinstance(member, Damage):
            damage.append(member)
            continue
        facts = member.facts
        if account is None:
            account, key = facts.account, ensure_account(connection, facts.account)
        elif facts.account != account:
            damage.append(Damage(member.frame, "A message of another account is in the pack.", facts))
            continue
        epoch, folder = tracker.ground(connection, key, facts)
        if facts.gone is not None:
            gone.append(NewTombstone(epoch, folder, facts.sighting, facts.content_id, facts.gone))
            continue
        placements.append(NewPlacement(epoch, folder, facts.sighting, facts.content_id))
        if facts.has_octets:
            octets += member.size
            contents.append(NewContent(facts.content_id, member.size, member.frame.offset, member.frame.length))
    if account is None:
        return None
    found = _without_erased(connection, key, NewPack(name, size, count, contents, placements, tombstones=gone))
    pack = replace(found, replaced=replaced)
    return Intake(account, key, pack, octets, tuple(damage))


def _without_erased(connection: Connection, account: int, pack: NewPack) -> NewPack:
    """A pack of before an erasure, from an old backup perhaps, brings nothing back."""
    here = {each.content_id: each.gone for each in pack.tombstones if each.gone.why is Why.ERASED}
    barred = here.keys() | erased(connection, account, (each.content_id for each in pack.placements))
    if not barred:
        return pack
    why = of_contents(connection, account, barred) | here
    left = [
        NewTombstone(each.epoch, each.folder, each.sighting, each.content_id, why[each.content_id])
        for each in pack.placements
        if each.content_id in barred
    ]
    return replace(
        pack,
        contents=[each for each in pack.contents if each.content_id not in barred],
        placements=[each for each in pack.placements if each.content_id not in barred],
        tombstones=[*pack.tombstones, *left],
        dead=sum(each.length for each in pack.contents if each.content_id in barred),
    )


def _start(connection: Connection, account: int, facts: Facts) -> _Ground:
    folder = _folder(facts)
    epoch = start_epoch(connection, account, folder, facts.origin, facts.uid_validity)
    return _Ground(epoch, ensure_folder(connection, account, folder))


def _continues(epoch: Epoch, facts: Facts) -> bool:
    return epoch.uid_validity == facts.uid_validity and str(epoch.origin) == str(facts.origin)


def _folder(facts: Facts) -> Folder:
    """The facts do not tell the delimiter; the member's path does, for it was split by it."""
    return Folder(facts.folder, next(_delimiters(facts), b"/"))


def _delimiters(facts: Facts) -> Iterator[bytes | None]:
    for delimiter in _DELIMITERS:
        if facts.folder.count(delimiter) and member_folder(facts.folder, delimiter) == facts.path:
            yield delimiter
    if any(facts.folder.count(delimiter) for delimiter in _DELIMITERS):
        yield None
