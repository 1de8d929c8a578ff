"""The text index, whichever database it lies in: fts5.py or tsvector.py, as the connection has it.

Both keep the lines of wording.py under the id of their content. A content is written once, in the transaction that
marks it as indexed.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from sqlalchemy import ColumnElement, Connection

from archivmail.archive.catalog import fts5, tsvector
from archivmail.archive.catalog.wording import IndexedText, Phrase, line_of


class TextIndex(Protocol):
    """What each database offers."""

    few: int
    """Matches, or placements in a folder, that are put in order rather than looked for from the newest message on."""
    finds_single: bool
    """Whether `among` is quick for contents that lie far from each other."""

    def add(self, connection: Connection, lines: Sequence[tuple[int, str]]) -> None:
        """Write (content, line) of contents that are not in the index."""
        ...

    def remove(self, connection: Connection, lines: Sequence[tuple[int, str]]) -> None:
        """Take lines out again, given as they were written."""
        ...

    def prepare(self, connection: Connection) -> None:
        """Before the questions of a transaction."""
        ...

    def count(self, connection: Connection, phrases: Sequence[Phrase], *, up_to: int) -> int:
        """How many contents have all phrases, or at least all their words, counted no further than `up_to`."""
        ...

    def matches(self, content_id: ColumnElement[int], phrases: Sequence[Phrase]) -> ColumnElement[bool]:
        """Condition: the content has all phrases."""
        ...

    def among(self, connection: Connection, ids: Sequence[int], phrases: Sequence[Phrase]) -> set[int] | None:
        """Those of `ids` that have all phrases; None where to find that out takes as long as `matches`."""
        ...


def of(connection: Connection) -> TextIndex:
    """The text index of this database."""
    return fts5.INDEX if connection.dialect.name == "sqlite" else tsvector.INDEX


def add(connection: Connection, rows: Iterable[IndexedText]) -> None:
    """Write texts of contents that are not in the index. Part of the caller's transaction."""
    # In the order of the ids: FTS5 starts another segment whenever one is lower than that before it.
    lines = sorted((row.content, line_of(row)) for row in rows)
    if lines:
        of(connection).add(connection, lines)


def remove(connection: Connection, rows: Iterable[IndexedText]) -> None:
    """Take contents out of the index; their texts must be those that were written. Part of the caller's transaction.

    A content that is erased is taken out before its row and its octets go: FTS5 keeps no text and cannot know its
    words, and the number of the row may be given to another content.
    """
    lines = sorted((row.content, line_of(row)) for row in rows)
    if lines:
        of(connection).remove(connection, lines)
