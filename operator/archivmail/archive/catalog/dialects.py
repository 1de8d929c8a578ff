"""What differs between SQLite and PostgreSQL: connecting, transactions, conflicts, hot statements. Nothing else may."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import ClauseElement, Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import QueuePool

from archivmail.archive.catalog.server import begin_writing, make_server_engine
from archivmail.model.errors import SpecInvalid

BUSY_TIMEOUT_S = 30
"""How long a statement waits for another process's transaction."""

WRITES = "archivmail_writes"
"""Execution option of a connection whose transactions begin as writers, with one of the two values that follow."""

DURABLY = "durably"
"""A commit is durable when it returns (design §1, invariant 5)."""

SOON = "soon"
"""A commit is durable with the next durable one. The log keeps the order of both, so that one never stands alone."""

_CACHE_KIB = 16 * 1024
_ROWS_AT_ONCE = 1000


def parse_url(text: str) -> URL:
    """Raises SpecInvalid. The text may hold a password and is not repeated."""
    try:
        url = make_url(text)
        if url.drivername == "postgres":  # as libpq has it too
            url = url.set(drivername="postgresql")
        kind = url.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise SpecInvalid("The catalog URL cannot be read; it looks like sqlite:////data/catalog.db.") from error
    if kind not in {"sqlite", "postgresql"}:
        raise SpecInvalid(f"The catalog cannot be a {kind} database; use SQLite or PostgreSQL.")
    if kind == "sqlite" and (not url.database or url.database == ":memory:"):
        raise SpecInvalid("A catalog in memory would be lost; give a file, as in sqlite:////data/catalog.db.")
    if kind == "sqlite":
        return url_of(Path(url.database or "").absolute())
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def file_of(url: URL) -> Path | None:
    """The file of an SQLite catalog; None for a database on a server."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def url_of(path: Path) -> URL:
    return URL.create("sqlite", database=str(path))


def make_engine(url: URL, *, read_only: bool, is_scratch: bool = False) -> Engine:
    """An engine; for a file its pool grows with the readers. Nothing connects yet.

    Its errors show no parameters: they are mail.
    """
    path = file_of(url)
    if path is None:
        engine = make_server_engine(url)
        event.listen(engine, "begin", _begin_on_server)
        return engine
    engine = create_engine(
        "sqlite://",
        creator=lambda: _connect(path, read_only=read_only, is_scratch=is_scratch),
        poolclass=QueuePool,
        max_overflow=-1,
        hide_parameters=True,
    )
    event.listen(engine, "begin", _begin_scratch if is_scratch else _begin)
    return engine


def _connect(path: Path, *, read_only: bool, is_scratch: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        _uri(path, read_only=read_only),
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,  # transactions begin where we say so
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        _configure(connection, read_only=read_only, is_scratch=is_scratch)
    except BaseException:
        connection.close()  # the pool never hears of a connection that could not be made
        raise
    return connection


def _configure(connection: sqlite3.Connection, *, read_only: bool, is_scratch: bool) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute("PRAGMA temp_store = MEMORY")
    if not read_only:
        connection.execute("PRAGMA journal_mode = WAL")
        # Erased messages must not stand in free pages. Debian's SQLite is built so, others are not.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA synchronous = {'OFF' if is_scratch else 'FULL'}")


def _uri(path: Path, *, read_only: bool) -> str:
    # Never created in passing: an empty catalog where one was lost would look like an empty archive.
    uri = f"file:{quote(str(path))}?mode={'ro' if read_only else 'rw'}"
    if read_only and not os.access(path.parent, os.W_OK) and not _has_log(path):
        # SQLite wants to write beside a WAL database even to read it. Nobody can write here, so it need not.
        return f"{uri}&immutable=1"
    return uri


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _begin(connection: Connection) -> None:
    manner = connection.get_execution_options().get(WRITES)
    if manner is not None:
        # NORMAL leaves out the fsync of the log at a commit, and nothing else where there is a log.
        connection.exec_driver_sql(f"PRAGMA synchronous = {'NORMAL' if manner == SOON else 'FULL'}")
    _begin_scratch(connection)


def _begin_scratch(connection: Connection) -> None:
    # A writer takes the lock at once: one that read first and then wants to write could not wait for another.
    writes = WRITES in connection.get_execution_options()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_on_server(connection: Connection) -> None:
    manner = connection.get_execution_options().get(WRITES)
    if manner is not None:
        begin_writing(connection, is_durable=manner == DURABLY)


def snapshots(engine: Engine) -> Engine:
    """The same engine for transactions that read one state of the database from beginning to end."""
    if engine.dialect.name == "sqlite":
        return engine  # as every transaction does
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def insert(connection: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """INSERT that knows ON CONFLICT, which standard SQL does not."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def insert_all(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[object, ...]]
) -> None:
    """INSERT ... ON CONFLICT DO NOTHING of many rows, straight to the driver: SQLAlchemy takes 20 µs more a row."""
    if not rows:
        return
    statement = insert(connection, table).on_conflict_do_nothing()
    compiled = statement.compile(dialect=connection.dialect, column_keys=list(columns))
    if compiled.positiontup is None:
        connection.exec_driver_sql(str(compiled), [dict(zip(columns, row, strict=True)) for row in rows])
        return
    if list(compiled.positiontup) != list(columns):
        raise ValueError("columns must stand in the order of the table")
    connection.exec_driver_sql(str(compiled), list(rows))


Compiled = tuple[str, list[str] | None, dict[str, object]]

_compilations: dict[tuple[str, ClauseElement], Compiled] = {}
"""Of the module's hot statements, a handful: compiling one takes a millisecond, and every run needs them all."""


def _compiled(statement: ClauseElement, connection: Connection) -> Compiled:
    """Text, order of the parameters where they have no names, and those that never change, as of LIMIT."""
    key = (connection.dialect.name, statement)
    if key not in _compilations:
        compiled = statement.compile(dialect=connection.dialect)
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        _compilations[key] = str(compiled), compiled.positiontup, constants  # type: ignore[attr-defined]  # SQLCompiler
    return _compilations[key]


class HotStatement:
    """A SELECT that runs once per message or run, straight on the driver: 6 µs instead of 30 to 300 in SQLAlchemy."""

    def __init__(self, connection: Connection, statement: ClauseElement) -> None:
        self._sql, self._order, self._constants = _compiled(statement, connection)
        self._cursor = connection.connection.cursor()
        self._execute = self._cursor.execute
        self._error: type[Exception] = connection.dialect.loaded_dbapi.Error

    def first(self, **parameters: object) -> tuple[Any, ...] | None:
        """Run it for its first row. Raises DBAPIError."""
        try:
            self._execute(self._sql, self._values(parameters))
            row = self._cursor.fetchone()
            self._cursor.fetchall()  # an unfinished statement would hold its snapshot
        except self._error as error:
            raise DBAPIError(self._sql, None, error) from error
        return row

    def all(self, **parameters: object) -> list[tuple[Any, ...]]:
        """Run it for all its rows, which are few. Raises DBAPIError."""
        return list(self.each(**parameters))

    def each(self, **parameters: object) -> Iterator[tuple[Any, ...]]:
        """Run it for all its rows, without holding them. Raises DBAPIError."""
        try:
            self._execute(self._sql, self._values(parameters))
            while rows := self._cursor.fetchmany(_ROWS_AT_ONCE):
                yield from rows
        except self._error as error:
            raise DBAPIError(self._sql, None, error) from error

    def _values(self, parameters: dict[str, object]) -> Any:
        values = {**self._constants, **parameters}
        return values if self._order is None else [values[name] for name in self._order]
