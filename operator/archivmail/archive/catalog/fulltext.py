"""The text index of SQLite (FTS5): how text is written to it and how a query reads it.

The only module with SQL of one dialect: PostgreSQL (tsvector) gets its own functions of the same names beside these.
The index is contentless: it answers with ids of contents and keeps no text. Rows can only be added, so a content is
written once, in the transaction that marks it as indexed.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Integer, Select, column, literal_column, select, table

from archivmail.archive.catalog.querytext import Field, Term
from archivmail.archive.catalog.schema import TEXT_INDEX, TEXT_INDEX_COLUMNS

MAX_INDEXED = 4 * 1024 * 1024
"""Characters of one column, after `index_form`. Compatibility forms may be 18 times as long as what they stand for."""

# Written without spaces, so that a word cannot be told from its neighbours: each character is a token of its own and a
# word of a query a phrase of them. Thai, Lao, Burmese, Khmer, kana, Bopomofo, Han, Yi; Hangul too, for its particles
# are joined to the words. Rejected: bigrams (no single characters), ICU (not in SQLite as it is installed).
_NO_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1100-\u11ff\u3005-\u3007\u3040-\u312f\u3130-\u318f\u31a0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]+"
)


@dataclass(frozen=True, slots=True)
class IndexedText:
    """What the index holds of one content."""

    content: int
    """contents.id"""
    subject: str
    sender: str
    recipients: str
    attachments: str
    body: str


def index_form(words: str) -> str:
    """Text as both the index and a query write it: compatibility forms folded, scripts without spaces taken apart."""
    if words.isascii():
        return words[:MAX_INDEXED]
    if not unicodedata.is_normalized("NFKC", words):
        words = unicodedata.normalize("NFKC", words)
    return _NO_SPACES.sub(_apart, words)[:MAX_INDEXED]


def _apart(run: re.Match[str]) -> str:
    return f" {' '.join(run[0])} "


def add(connection: Connection, rows: Iterable[IndexedText]) -> None:
    """Write texts of contents that are not in the index. Part of the caller's transaction."""
    values = [
        (row.content, *map(index_form, (row.subject, row.sender, row.recipients, row.attachments, row.body)))
        for row in rows
    ]
    if values:
        columns = ", ".join(("rowid", *TEXT_INDEX_COLUMNS))
        # Straight to the driver: the statement is of one dialect anyway, and SQLAlchemy's work on each row is saved.
        connection.exec_driver_sql(f"INSERT INTO {TEXT_INDEX} ({columns}) VALUES (?, ?, ?, ?, ?, ?)", values)  # noqa: S608


def matches(content_id: ColumnElement[int], terms: Iterable[Term]) -> ColumnElement[bool]:
    """Contents in which every term is found."""
    found: Select[int] = (
        select(column("rowid", Integer))
        .select_from(table(TEXT_INDEX))
        .where(literal_column(TEXT_INDEX).op("MATCH")(expression(terms)))
    )
    return content_id.in_(found)


def expression(terms: Iterable[Term]) -> str:
    """FTS5 §3: each term a quoted string, which makes it a phrase without operators; a term holds no quote."""
    return " AND ".join(
        f'{term.field.value} : "{quoted}"' if term.field is not Field.ANYWHERE else f'"{quoted}"'
        for term in terms
        for quoted in (index_form(term.words).replace('"', " "),)
    )
