"""Packs that the catalog does not know: left by a crash, brought from a backup, or about to be committed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from archivmail.archive.catalog import checking
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.upkeep import is_retired
from archivmail.archive.locking import AccountLocks
from archivmail.archive.packs.names import time_of
from archivmail.archive.packs.notes import Note
from archivmail.archive.packs.reading import Damage, Found, Member, frames, scan
from archivmail.archive.packs.stores import PackStore
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchiveDamaged


class Kind(StrEnum):
    ORPHAN = "orphan"
    """It holds what the catalog does not know; `rebuild` takes it in."""
    REDUNDANT = "redundant"
    """Everything in it is known, and sound elsewhere as far as is known."""
    ABOUT_TO_BE_KNOWN = "about-to-be-known"


@dataclass(slots=True)
class InFlight:
    """A pack newer than all that are committed, of an account that is being archived now, is about to be committed."""

    locks: AccountLocks
    newest: dict[AccountRef, str] = field(default_factory=dict)

    def saw(self, account: AccountRef, name: str) -> None:
        """A pack of the account is committed."""
        self.newest[account] = max(self.newest.get(account, ""), name)

    def covers(self, name: str) -> bool:
        _, namespace, account_name, _ = name.split("/")
        for account, newest in self.newest.items():
            if newest.rpartition("/")[0] == name.rpartition("/")[0]:
                return time_of(name) > time_of(newest) and self.locks.is_taken(account)
        return self.locks.is_taken(AccountRef(namespace, account_name))


def kind(database: Database, store: PackStore, name: str, in_flight: InFlight) -> Kind:
    """What to make of a pack that the catalog did not list. Raises ArchiveUnavailable."""
    homes: set[tuple[str, int]] = set()
    try:
        # One that was to replace others is judged by its messages too: those packs may be gone or damaged since, and
        # a catalog that is older than it may know only some of them.
        with store.open(name) as source:
            is_needless = all(_is_needless(database, each, homes) for each in scan(source, frames(source)))
    except ArchiveDamaged:
        is_needless = False
    with database.reading() as connection:
        if checking.is_known_pack(connection, name):  # committed in the meantime
            return Kind.ABOUT_TO_BE_KNOWN
        if is_retired(connection, name):
            return Kind.REDUNDANT
    if is_needless and _are_there(store, homes):
        return Kind.REDUNDANT
    return Kind.ABOUT_TO_BE_KNOWN if in_flight.covers(name) else Kind.ORPHAN


def _are_there(store: PackStore, packs: Iterable[tuple[str, int]]) -> bool:
    """Whether the store has these packs, whole by their size."""
    for name, size in packs:
        try:
            with store.open(name) as source:
                if source.size != size:
                    return False
        except ArchiveDamaged:
            return False
    return True


def _is_needless(database: Database, found: Found, homes: set[tuple[str, int]]) -> bool:
    match found:
        case Note():
            return True
        case Member():
            with database.reading() as connection:
                elsewhere = checking.homes(connection, found.facts)
            homes.update(elsewhere or ())
            return elsewhere is not None
        case Damage():
            return False


def is_known(database: Database, member: Member) -> bool:
    """Whether the catalog has the sighting that a member records, whatever the pack."""
    with database.reading() as connection:
        return checking.is_known(connection, member.facts)
