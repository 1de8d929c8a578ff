"""The text index in SQLite: an FTS5 table of one column.

Contentless: it answers with ids of contents and keeps no text. Positions are kept (`detail=full`), for without them
phrases, addresses and scripts without spaces could not be found; sizes are not, for hits are ordered by date.
The tokeniser `ascii` parts the lines at their blanks and takes every other octet as it is.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Integer, Select, column, literal_column, select, table

from archivmail.archive.catalog.schema import TEXT_INDEX
from archivmail.archive.catalog.wording import Phrase

SPREAD = 20_000
"""Ids among which contents are looked up: mail that was archived as it came lies near its neighbours. Arbitrary: that
many postings are read in some milliseconds."""


class Fts5:
    """See fulltext.TextIndex. Statements go straight to the driver: SQLAlchemy's work on each row is saved."""

    few = 2000  # arbitrary: some milliseconds
    finds_single = False  # each takes 0.1 ms, so that reading all matches is not slower

    def add(self, connection: Connection, lines: Sequence[tuple[int, str]]) -> None:
        connection.exec_driver_sql(f"INSERT INTO {TEXT_INDEX} (rowid, words) VALUES (?, ?)", list(lines))  # noqa: S608

    def remove(self, connection: Connection, lines: Sequence[tuple[int, str]]) -> None:
        # FTS5 §6.3 "The 'delete' Command"
        connection.exec_driver_sql(
            f"INSERT INTO {TEXT_INDEX} ({TEXT_INDEX}, rowid, words) VALUES ('delete', ?, ?)",  # noqa: S608
            list(lines),
        )

    def prepare(self, connection: Connection) -> None:
        """Nothing to do."""

    def count(self, connection: Connection, phrases: Sequence[Phrase], *, up_to: int) -> int:
        found = connection.exec_driver_sql(
            f"SELECT count(*) FROM (SELECT 1 FROM {TEXT_INDEX} WHERE {TEXT_INDEX} MATCH ? LIMIT ?)",  # noqa: S608
            (expression(phrases), up_to),
        )
        return int(found.scalar_one())

    def matches(self, content_id: ColumnElement[int], phrases: Sequence[Phrase]) -> ColumnElement[bool]:
        found: Select[int] = (
            select(column("rowid", Integer))
            .select_from(table(TEXT_INDEX))
            .where(literal_column(TEXT_INDEX).op("MATCH")(expression(phrases)))
        )
        return content_id.in_(found)

    def among(self, connection: Connection, ids: Sequence[int], phrases: Sequence[Phrase]) -> set[int] | None:
        low, high = min(ids, default=0), max(ids, default=0)
        if high - low > SPREAD:
            return None
        found = connection.exec_driver_sql(
            f"SELECT rowid FROM {TEXT_INDEX} WHERE {TEXT_INDEX} MATCH ? AND rowid BETWEEN ? AND ?",  # noqa: S608
            (expression(phrases), low, high),
        )
        return set(found.scalars()).intersection(ids)


def expression(phrases: Sequence[Phrase]) -> str:
    """FTS5 §3: quoted strings are phrases without operators; no word holds a quote."""
    return " AND ".join(f'"{" ".join(phrase.words)}"{" *" if phrase.is_open else ""}' for phrase in phrases)


INDEX = Fts5()
