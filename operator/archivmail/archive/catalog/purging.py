"""Take the words of removed messages out of SQLite's text index, and their octets out of the file.

FTS5 without content is told what to delete by the very words it was given, and nobody has them any more. But the index
itself knows every word of every content: they are read from it (fts5vocab) for many removed contents in one pass.
PostgreSQL needs nothing of this: there the line of words goes with its row, and VACUUM clears the pages.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, select

from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.replacing import discard_attempt
from archivmail.archive.catalog.schema import TEXT_INDEX, removed_texts
from archivmail.model.errors import ArchiveUnavailable

_TERMS = "removed_terms"
_AT_ONCE = 5000
_WORDS_AT_ONCE = 2_000_000
"""Of one pass over the index: 16 octets each are kept meanwhile. One content has no more than that."""
_COLUMN_BITS = 48


def waiting(connection: Connection) -> int:
    """Removed contents whose words are in the text index still."""
    return connection.execute(select(func.count()).select_from(removed_texts)).scalar_one()


def purge(database: Database, *, is_final: bool) -> int:
    """Take out the words of all removed contents; the number of contents. Raises ArchiveUnavailable.

    `is_final`: also out of old parts of the index and of the log, so that no octet of them is in any file; what an
    interrupted rebuild left goes too.
    """
    if is_final:
        discard_attempt(database)
    if database.dialect != "sqlite":
        return 0
    with database.writing() as connection:
        count = waiting(connection)
        if count:
            _take_out(connection)
            connection.execute(delete(removed_texts))
        if is_final:
            connection.exec_driver_sql(f"INSERT INTO {TEXT_INDEX} ({TEXT_INDEX}) VALUES ('optimize')")  # noqa: S608
    if is_final:
        _cut_log(database)
    return count


def _cut_log(database: Database) -> None:
    with database.holding() as connection:
        is_busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
    if is_busy:
        raise ArchiveUnavailable(
            "What was removed is gone from the catalog but not yet from its log, which another process is reading; run "
            "archivmail upkeep --thorough when no export or search is under way."
        )


def _take_out(connection: Connection) -> None:
    # Between the runs of one process the connection is the same, so the table may be there.
    connection.exec_driver_sql(
        f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.{_TERMS} USING fts5vocab(main, {TEXT_INDEX}, instance)"
    )
    columns = [str(row[1]) for row in connection.exec_driver_sql(f"PRAGMA table_info({TEXT_INDEX})")]
    names = ", ".join((TEXT_INDEX, "rowid", *columns))
    marks = ", ".join("?" * (len(columns) + 2))
    for some in list(_portions(_counted(connection))):
        for content, words in _lines(connection, some, columns):
            connection.exec_driver_sql(
                f"INSERT INTO {TEXT_INDEX} ({names}) VALUES ({marks})",  # noqa: S608
                ("delete", content, *words),
            )


def _counted(connection: Connection) -> list[tuple[int, int]]:
    """Each removed content with the number of its words, in order; those without any are left out."""
    wanted = f"SELECT doc, count(*) FROM temp.{_TERMS} WHERE doc IN (SELECT content FROM removed_texts) GROUP BY doc"  # noqa: S608
    return [(row[0], row[1]) for row in connection.exec_driver_sql(wanted)]


def _portions(counted: Iterable[tuple[int, int]]) -> Iterator[list[int]]:
    """As many contents at once as the bounds allow: each portion costs a pass over the index."""
    portion: list[int] = []
    size = 0
    for content, count in counted:
        if portion and (size + count > _WORDS_AT_ONCE or len(portion) >= _AT_ONCE):
            yield portion
            portion, size = [], 0
        portion.append(content)
        size += count
    if portion:
        yield portion


class _Line:
    """The words of one content, as numbers: as Python objects those of a portion would take a gigabyte."""

    __slots__ = ("places", "terms")

    def __init__(self) -> None:
        self.places, self.terms = array("Q"), array("L")


def _lines(connection: Connection, ids: Sequence[int], columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The words of each content, by column, in their order."""
    lines = {content: _Line() for content in ids}
    number_of = {column: number for number, column in enumerate(columns)}
    terms: list[str] = []
    among = ", ".join(str(int(each)) for each in ids)  # more than SQLite takes as parameters
    driver: Any = connection.connection.dbapi_connection  # its cursor keeps no row, and the index gives term by term
    wanted = f"SELECT term, doc, col, offset FROM temp.{_TERMS} WHERE doc IN ({among})"  # noqa: S608
    for term, content, column, offset in driver.execute(wanted):
        if not terms or terms[-1] != term:
            terms.append(term)
        line = lines[content]
        line.places.append(number_of[column] << _COLUMN_BITS | offset)
        line.terms.append(len(terms) - 1)
    for content, line in lines.items():
        found: list[list[str]] = [[] for _ in columns]
        for at in sorted(range(len(line.places)), key=line.places.__getitem__):
            found[line.places[at] >> _COLUMN_BITS].append(terms[line.terms[at]])
        yield content, [" ".join(words) for words in found]
