"""Find messages in an archive: by a query, or all of them."""

from collections.abc import Iterator

from archivmail.archive.catalog import indexing, reading
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.querytext import Query
from archivmail.archive.catalog.search import Cursor, Hit, search
from archivmail.archive.rows import PlacementRow


class Finder:
    """The part of an archive that asks the catalog alone. Methods raise ArchiveUnavailable."""

    _database: Database

    def search(
        self,
        query: Query,
        *,
        namespace: str | None = None,
        account: str | None = None,
        limit: int = 50,
        before: Cursor | None = None,
    ) -> list[Hit]:
        """Messages that match, newest first."""
        with self._database.reading() as connection:
            return search(connection, query, namespace=namespace, account=account, limit=limit, before=before)

    def index_backlog(self) -> int:
        """Messages that a search cannot find yet."""
        with self._database.reading() as connection:
            return indexing.backlog(connection)

    def placements(
        self, *, namespace: str | None = None, account: str | None = None, query: Query | None = None
    ) -> Iterator[PlacementRow]:
        """Every sighting, in an order that never changes. One snapshot; memory does not grow with them."""
        with self._database.reading() as connection:
            yield from reading.all_placements(connection, namespace=namespace, account=account, query=query)

    def count_placements(
        self, *, namespace: str | None = None, account: str | None = None, query: Query | None = None
    ) -> int:
        """How many sightings `placements` gives."""
        with self._database.reading() as connection:
            return reading.count_placements(connection, namespace=namespace, account=account, query=query)
