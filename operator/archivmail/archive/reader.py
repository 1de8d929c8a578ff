"""Read messages back: by full or shortened id, octets by one range read."""

import string
from collections.abc import Iterator
from contextlib import ExitStack

from archivmail.archive.catalog import reading
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.reading import Location
from archivmail.archive.packs.reading import Source, beginning, content
from archivmail.archive.packs.stores import PackStore
from archivmail.archive.rows import ArchivedMessage
from archivmail.model.errors import ArchiveDamaged, SpecInvalid
from archivmail.model.message import ContentId

MIN_PREFIX = 4
"""Hex digits of a shortened id, as git's."""
AHEAD = 4 * 1024 * 1024
"""Octets of a pack that are read at once to index it."""
_FULL = 64
_CANDIDATES = 5


class Reader:
    """Thread-safe. Methods raise ArchiveUnavailable."""

    def __init__(self, database: Database, store: PackStore) -> None:
        self._database, self._store = database, store

    def resolve(self, prefix: str) -> ContentId:
        """The content whose id begins so. Raises SpecInvalid when there is none, or more than one."""
        wanted = prefix.strip().lower()
        if not wanted or set(wanted) - set(string.hexdigits) or len(wanted) > _FULL:
            raise SpecInvalid(f"{prefix[:80]!r} is not an id; take the hexadecimal one that archivmail search shows.")
        if len(wanted) < MIN_PREFIX:
            raise SpecInvalid(f"The id {wanted} is too short; give at least {MIN_PREFIX} digits of it.")
        with self._database.reading() as connection:
            found = reading.ids_with_prefix(connection, wanted, limit=_CANDIDATES)
        if not found:
            raise SpecInvalid(f"No message has an id that begins with {wanted}; look for it with archivmail search.")
        if len(found) > 1:
            names = ", ".join(each.hex()[: len(wanted) + 8] for each in found)
            raise SpecInvalid(f"More than one id begins with {wanted}; give more digits, as in {names}.")
        return found[0]

    def message(self, content_id: ContentId) -> ArchivedMessage:
        """Raises SpecInvalid when there is no such message."""
        with self._database.reading() as connection:
            found = reading.message(connection, content_id)
        if found is None:
            raise SpecInvalid(f"No message has the id {content_id.hex()}; look for it with archivmail search.")
        return found

    def octets(self, content_id: ContentId) -> Iterator[bytes]:
        """The exact octets, checked against the id at the end. Raises SpecInvalid, ArchiveDamaged.

        Accounts hold their octets apart: when those of one are damaged before the first piece, another's are given.
        """
        with self._database.reading() as connection:
            places = reading.locations(connection, content_id)
        if not places:
            raise SpecInvalid(f"No message has the id {content_id.hex()}; look for it with archivmail search.")
        for place in places[:-1]:
            pieces = self._pieces(place)
            try:
                first = next(pieces, b"")
            except ArchiveDamaged:
                continue
            yield first
            yield from pieces
            return
        yield from self._pieces(places[-1])

    def _pieces(self, place: Location) -> Iterator[bytes]:
        # The catalog knows the pack's size: one message is one request.
        with self._store.open(place.pack, size=place.pack_size or None) as source:
            yield from content(source, place.offset, place.length)


class NearbyReader:
    """Reads the beginnings of many messages that lie pack by pack; keeps one pack open. Not thread-safe.

    What lies behind a message is read with it, for it is asked for next: one request to an object store then serves
    hundreds of messages.
    """

    def __init__(self, store: PackStore) -> None:
        self._store = store
        self._open = ExitStack()
        self._name = ""
        self._source: Source | None = None

    def beginning(self, place: Location, limit: int) -> bytes:
        """The first `limit` octets. Raises ArchiveDamaged, ArchiveUnavailable."""
        if place.pack != self._name or self._source is None:
            self.close()
            self._source = _AheadSource(self._open.enter_context(self._store.open(place.pack)))
            self._name = place.pack
        return beginning(self._source, place.offset, place.length, limit)

    def close(self) -> None:
        self._open.close()
        self._name, self._source = "", None


class _AheadSource:
    """A source that reads further than it is asked to; satisfies packs.reading.Source."""

    def __init__(self, source: Source) -> None:
        self._source, self.size = source, source.size
        self._start, self._window = 0, memoryview(b"")

    def read_at(self, offset: int, length: int) -> bytes:
        at = offset - self._start
        if not 0 <= at <= at + length <= len(self._window):
            if length > AHEAD:
                return self._source.read_at(offset, length)
            self._start, self._window, at = offset, memoryview(self._source.read_at(offset, AHEAD)), 0
        return bytes(self._window[at : at + length])
