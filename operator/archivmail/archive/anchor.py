"""The anchor of the audit trail: number and hash of its newest entry, kept beside the packs and not in the catalog.

A chain of hashes cannot tell that its end was cut off; the anchor can, and a copy of it that somebody noted elsewhere
can even where both were changed. It also names the accounts under hold, so that a catalog that was lost takes no hold
with it. Written after the entry is committed: it may lag behind the trail, never lead.

It moves only along the trail that holds the entry it names: an end that was cut off stays visible however many runs
follow. A rebuild, which may have to begin the trail anew, says so in it.
"""

import json
import threading
import time
from dataclasses import dataclass

from sqlalchemy import Connection

from archivmail.archive.catalog import policies, trail
from archivmail.archive.catalog.database import Database
from archivmail.archive.packs.stores import PackStore
from archivmail.model.account import AccountRef

NAME = "audit/head.json"


EVERY_S = 10.0
"""Runs of many accounts end at once; a write for each of them would cost more than the seconds it tells."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """The trail had the entry `seq` with this hash."""

    seq: int
    hash: bytes
    holds: tuple[AccountRef, ...] = ()


def save(store: PackStore, anchor: Anchor) -> None:
    """Raises ArchiveUnavailable."""
    document = {"seq": anchor.seq, "hash": anchor.hash.hex(), "holds": [str(ref) for ref in anchor.holds]}
    store.save(NAME, json.dumps(document, sort_keys=True).encode() + b"\n")


def load(store: PackStore) -> Anchor | None:
    """None when there is none, or when it cannot be read as one. Raises ArchiveUnavailable."""
    octets = store.load(NAME)
    if octets is None:
        return None
    try:
        document = json.loads(octets)
        holds = tuple(AccountRef(*str(name).split("/")) for name in document["holds"])
        return Anchor(int(document["seq"]), bytes.fromhex(document["hash"]), holds)
    except (ValueError, TypeError, KeyError):
        return None


class Anchoring:
    """Keeps the anchor up to date. Thread-safe."""

    def __init__(self, store: PackStore, database: Database) -> None:
        self._store, self._database = store, database
        self._mutex = threading.Lock()
        self._written = trail.FIRST
        self._next_at = 0.0

    def keep(self, *, at_once: bool = True, is_new_trail: bool = False) -> None:
        """Write the anchor when the trail has grown; `at_once` False: some seconds later is soon enough.

        `is_new_trail`: also where the trail does not hold the entry that the anchor names. Raises ArchiveUnavailable.
        """
        with self._mutex:
            if self._database.read_only or (not at_once and time.monotonic() < self._next_at):
                return
            with self._database.reading() as connection:
                if trail.head(connection)[1] == self._written:
                    return
            before = load(self._store)  # first: others write it too, and it never leads
            with self._database.reading() as connection:
                seq, digest = trail.head(connection)
                holds = tuple(policies.held(connection))
                is_cut = before is not None and not _holds(connection, before)
            if is_cut and before is not None and not is_new_trail:
                # This catalog may be older than the last hold that was set; a rebuild puts those in force again.
                known = (*holds, *(ref for ref in before.holds if ref not in holds))
                save(self._store, Anchor(before.seq, before.hash, known))
            else:
                save(self._store, Anchor(seq, digest, holds))
            self._written = digest
            self._next_at = time.monotonic() + EVERY_S

    def cut_off(self) -> Anchor | None:
        """The anchor, where the trail does not hold the entry that it names. Raises ArchiveUnavailable."""
        anchor = load(self._store)
        if anchor is None:
            return None
        with self._database.reading() as connection:
            return None if _holds(connection, anchor) else anchor


def _holds(connection: Connection, anchor: Anchor) -> bool:
    return not anchor.seq or trail.hash_of(connection, anchor.seq) == anchor.hash
