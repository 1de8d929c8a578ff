"""Take the words of removed messages out of SQLite's text index, and their octets out of the file.

FTS5 without content is told what to delete by the very words it was given, and nobody has them any more. But the index
itself knows every word of every content: they are read from it (fts5vocab) for all removed contents in one pass.
PostgreSQL needs nothing of this: there the line of words goes with its row, and VACUUM clears the pages.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

from sqlalchemy import Connection, delete, func, select

from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.replacing import discard_attempt
from archivmail.archive.catalog.schema import TEXT_INDEX, removed_texts
from archivmail.model.errors import ArchiveUnavailable

_TERMS = "removed_terms"
_AT_ONCE = 5000


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
        ids = list(connection.execute(select(removed_texts.c.content).order_by(removed_texts.c.content)).scalars())
        if ids:
            _take_out(connection, ids)
            connection.execute(delete(removed_texts))
        if is_final:
            connection.exec_driver_sql(f"INSERT INTO {TEXT_INDEX} ({TEXT_INDEX}) VALUES ('optimize')")  # noqa: S608
    if is_final:
        _cut_log(database)
    return len(ids)


def _cut_log(database: Database) -> None:
    with database.holding() as connection:
        is_busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
    if is_busy:
        raise ArchiveUnavailable(
            "What was removed is gone from the catalog but not yet from its log, which another process is reading; run "
            "archivmail upkeep --thorough when no export or search is under way."
        )


def _take_out(connection: Connection, ids: Sequence[int]) -> None:
    # Between the runs of one process the connection is the same, so the table may be there.
    connection.exec_driver_sql(
        f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.{_TERMS} USING fts5vocab(main, {TEXT_INDEX}, instance)"
    )
    columns = [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({TEXT_INDEX})")]
    names = ", ".join((TEXT_INDEX, "rowid", *columns))
    marks = ", ".join("?" * (len(columns) + 2))
    for at in range(0, len(ids), _AT_ONCE):
        lines = _lines(connection, ids[at : at + _AT_ONCE])
        rows = [("delete", content, *(words.get(column, "") for column in columns)) for content, words in lines]
        if rows:
            connection.exec_driver_sql(f"INSERT INTO {TEXT_INDEX} ({names}) VALUES ({marks})", rows)  # noqa: S608


def _lines(connection: Connection, ids: Sequence[int]) -> Iterator[tuple[int, dict[str, str]]]:
    """The words of each content, by column, in their order."""
    among = ", ".join(str(int(each)) for each in ids)  # more than SQLite takes as parameters
    found = connection.exec_driver_sql(
        f"SELECT doc, col, term FROM temp.{_TERMS} WHERE doc IN ({among}) ORDER BY doc, col, offset"  # noqa: S608
    ).all()
    for content, of_content in groupby(found, key=lambda row: row[0]):
        yield (
            content,
            {
                column: " ".join(row[2] for row in of_column)
                for column, of_column in groupby(of_content, key=lambda row: row[1])
            },
        )
