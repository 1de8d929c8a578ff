"""The text index in PostgreSQL: the lines as they are, and a GIN index over the tsvector of their words.

The tsvector is no column and has no positions: it is what the GIN index was made of. Whether words stand one after the
other is looked up in the line. Rejected: a tsvector column with positions, which numbers words only up to 16,383, each
up to 256 times, and takes more room; the parser of to_tsvector, whose words depend on the server's locale.

The lines are kept out of the rows (`toast_tuple_target`), so that reading ids touches few pages.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, bindparam, column, func, literal, select, table, text

from archivmail.archive.catalog.schema import TEXT_INDEX
from archivmail.archive.catalog.wording import Phrase

_LINES = table(TEXT_INDEX, column("content_id"), column("words"))
_VECTOR = "array_to_tsvector(string_to_array(words, ' '))"
"""To the letter as in the index, or PostgreSQL does not use it."""
_HAS_WORDS = f"{_VECTOR} @@ CAST(:words AS tsquery)"
_PLAN = text(f"EXPLAIN (FORMAT JSON) SELECT content_id FROM {TEXT_INDEX} WHERE {_HAS_WORDS}")  # noqa: S608 - ours alone
_SIZE = text(f"SELECT reltuples FROM pg_class WHERE oid = CAST('{TEXT_INDEX}' AS regclass)")  # noqa: S608 - likewise
_KNOWN_SHARE = 0.02
"""Of all messages: what the planner expects below is a guess (0.005 for a word that it does not know)."""


class TsVector:
    """See fulltext.TextIndex."""

    few = 8000  # arbitrary: some 30 ms, in which two thousand lines are looked through
    finds_single = True

    def add(self, connection: Connection, lines: Sequence[tuple[int, str]]) -> None:
        connection.execute(
            text(f"INSERT INTO {TEXT_INDEX} (content_id, words) VALUES (:content, :line)"),  # noqa: S608
            [{"content": content, "line": line} for content, line in lines],
        )

    def remove(self, connection: Connection, lines: Sequence[tuple[int, str]]) -> None:
        connection.execute(
            text(f"DELETE FROM {TEXT_INDEX} WHERE content_id = ANY(:ids)"),  # noqa: S608
            {"ids": [content for content, _ in lines]},
        )

    def prepare(self, connection: Connection) -> None:
        # The planner thinks that making the tsvector of a line costs nothing, and would do so for each row.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")

    def count(self, connection: Connection, phrases: Sequence[Phrase], *, up_to: int) -> int:
        if _are_surely(connection, phrases, more_than=up_to):
            return up_to
        # By words alone: to look for phrases, the lines of all that have the words would have to be read.
        found = select(_LINES.c.content_id).where(_has_words(phrases)).limit(up_to).subquery()
        return int(connection.execute(select(func.count()).select_from(found)).scalar_one())

    def matches(self, content_id: ColumnElement[int], phrases: Sequence[Phrase]) -> ColumnElement[bool]:
        # Materialised: the planner must not look at the lines one by one, newest message first.
        found = select(_LINES.c.content_id).where(*_conditions(phrases)).cte("found").prefix_with("MATERIALIZED")
        return content_id.in_(select(found.c.content_id))

    def among(self, connection: Connection, ids: Sequence[int], phrases: Sequence[Phrase]) -> set[int] | None:
        wanted = select(_LINES.c.content_id).where(
            _LINES.c.content_id == func.any(bindparam("ids", list(ids))), *map(_stands, phrases)
        )
        return set(connection.execute(wanted).scalars())


def _are_surely(connection: Connection, phrases: Sequence[Phrase], *, more_than: int) -> bool:
    """Whether statistics tell that so many have the words: to count, GIN reads a word's whole list."""
    plan = connection.execute(_PLAN, {"words": expression(phrases)}).scalar_one()
    expected = float(plan[0]["Plan"]["Plan Rows"])
    return expected > 2 * more_than and expected > _KNOWN_SHARE * connection.execute(_SIZE).scalar_one()


def _conditions(phrases: Sequence[Phrase]) -> list[ColumnElement[bool]]:
    return [_has_words(phrases), *(_stands(each) for each in phrases if len(each.words) > 1)]


def _has_words(phrases: Sequence[Phrase]) -> ColumnElement[bool]:
    return and_(text(_HAS_WORDS).bindparams(words=expression(phrases)))


def _stands(phrase: Phrase) -> ColumnElement[bool]:
    """The phrase is in the line."""
    wanted = f" {' '.join(phrase.words)}{'' if phrase.is_open else ' '}"
    return func.strpos(literal(" ").concat(_LINES.c.words).concat(literal(" ")), wanted) > 0


def expression(phrases: Sequence[Phrase]) -> str:
    """A tsquery of every word; no word holds a quote or a backslash."""
    return " & ".join(
        f"'{word}'{':*' if phrase.is_open and at == len(phrase.words) - 1 else ''}"
        for phrase in phrases
        for at, word in enumerate(phrase.words)
    )


INDEX = TsVector()
