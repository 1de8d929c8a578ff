"""The catalog on a PostgreSQL server: connections with limits, and locks that every process of the archive sees.

Advisory locks belong to a session of the server: it gives them back when the process ends, however it ends. Behind a
pooler that shares sessions (PgBouncer's transaction mode) they hold nothing, so the catalog needs one of its own.
"""

import threading
from contextlib import suppress
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from archivmail.archive.catalog.faults import translated
from archivmail.model.account import AccountRef
from archivmail.model.errors import SpecInvalid

POOL = 10
"""Connections for short transactions. Each running account has one more, and the locks of the process one."""

CONNECT_TIMEOUT_S = 10
POOL_TIMEOUT_S = 30

# What keeps every wait finite; what the administrator has set for the database, the role or the URL stays.
_UNLESS_SET = {
    "statement_timeout": "600s",  # a count over ten million messages takes seconds, on a busy server a minute
    "lock_timeout": "30s",
    "tcp_keepalives_idle": "60",  # a node that vanished must not hold an account's lock for hours
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60s",
}
_MIGRATION_WAIT_S = 600
# A process that was stopped in mid-transaction must not hold rows for ever.
_IDLE = "SELECT set_config('idle_in_transaction_session_timeout', '300s', true)"
_IDLE_AND_SOON = f"{_IDLE}, set_config('synchronous_commit', 'off', true)"


def make_server_engine(url: URL) -> Engine:
    """A bounded pool. Nothing connects yet. Raises SpecInvalid when the driver is not installed."""
    try:
        engine = create_engine(
            url,
            pool_pre_ping=True,  # connections that a restart of the server has cut are made anew
            pool_size=POOL // 2,
            max_overflow=POOL - POOL // 2,
            pool_timeout=POOL_TIMEOUT_S,
            hide_parameters=True,
            connect_args=_connect_args(url),
        )
    except ModuleNotFoundError as error:
        raise SpecInvalid(
            "A catalog on PostgreSQL needs the driver psycopg; install it with pip install 'archivmail[postgresql]'."
        ) from error
    _watch(engine)
    return engine


def unpooled(url: URL) -> Engine:
    """For connections that live as long as a run or the process."""
    engine = create_engine(
        url,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args=_connect_args(url),
        isolation_level="AUTOCOMMIT",  # else the first question would open a transaction that nobody ends
    )
    _watch(engine)
    return engine


def _watch(engine: Engine) -> None:
    """Every wait of its connections has a limit."""
    # Imported late: the driver is installed with an extra.
    from archivmail.archive.catalog.patience import PatientConnection  # noqa: PLC0415

    def connect(_dialect: object, _record: object, arguments: Any, parameters: Any) -> PatientConnection:
        return PatientConnection.connect(*arguments, **parameters)

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", _configure)


def _connect_args(url: URL) -> dict[str, Any]:
    given = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "archivmail"}
    # Of this side: a server that vanished is noticed while an answer is awaited.
    given |= {"keepalives_idle": 60, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 60_000}
    return {name: value for name, value in given.items() if name not in url.query}


def _configure(connection: Any, _record: object) -> None:
    try:
        _set_limits(connection)
    except BaseException:
        connection.close()  # the pool has not taken it yet, and would leave it open
        raise


def _set_limits(connection: Any) -> None:
    from archivmail.archive.catalog.patience import expect_answers  # noqa: PLC0415 - as above

    was, connection.autocommit = connection.autocommit, True
    with connection.cursor() as cursor:
        cursor.execute(_SETTINGS)
        # A commit is durable when it returns (design §1, invariant 5), whatever the server's default is.
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
    expect_answers(connection)
    connection.autocommit = was


_LIMITS = ", ".join(f"('{name}', '{value}')" for name, value in _UNLESS_SET.items())
_SETTINGS = (
    f"SELECT set_config(name, wanted, false) FROM pg_settings JOIN (VALUES {_LIMITS}) "  # noqa: S608 - ours alone
    "AS limits (setting_name, wanted) ON name = setting_name WHERE source = 'default'"
)


def begin_writing(connection: Connection, *, is_durable: bool) -> None:
    """The first statement of a transaction that writes."""
    connection.exec_driver_sql(_IDLE if is_durable else _IDLE_AND_SOON)


def wait_for_migration(connection: Connection) -> None:
    """Wait until no other process changes the tables; held until the end of the transaction."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_MIGRATION_WAIT_S}s'")
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _key("migration")})
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")  # an index that is cut short would never be made
    driver: Any = connection.connection.dbapi_connection
    driver.patience_s = None


def wait_for_trail(connection: Connection) -> None:
    """Entries of the audit trail follow one another; held until the end of the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _key("audit trail")})


class SharedLocks:
    """Locks of accounts that all processes on one catalog see; satisfies locking.Shared. Thread-safe.

    One session holds those of this process. When it breaks, they are lost, which writes survive (invariant 8); with
    the next lock those of accounts that are still being archived are taken again, where nobody else has them.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._engine = unpooled(url)
        self._mutex = threading.Lock()
        self._connection: Connection | None = None
        self._held: set[int] = set()

    def take(self, ref: AccountRef) -> bool:
        """False when another process holds it. Raises ArchiveUnavailable."""
        key = _key(f"account {ref}")
        with self._mutex, translated(self._url):
            is_taken = self._ask(_TRY, key)
            if is_taken:
                self._held.add(key)
            return is_taken

    def release(self, ref: AccountRef) -> None:
        """Never raises."""
        key = _key(f"account {ref}")
        with self._mutex:
            self._held.discard(key)
            try:
                if self._connection is not None:
                    self._connection.execute(_UNLOCK, {"key": key})
            except SQLAlchemyError:
                self._drop()  # the session has ended, and its locks with it

    def close(self) -> None:
        """Never raises."""
        with self._mutex:
            self._drop()

    def _ask(self, question: TextClause, key: int) -> bool:
        """Once more on a new connection where the old one broke meanwhile."""
        if self._connection is not None:
            try:
                return bool(self._connection.execute(question, {"key": key}).scalar())
            except DBAPIError:
                self._drop()
        self._connection = self._engine.connect()
        for held in self._held:
            self._connection.execute(_TRY, {"key": held})
        return bool(self._connection.execute(question, {"key": key}).scalar())

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()


_TRY = text("SELECT pg_try_advisory_lock(:key)")
_UNLOCK = text("SELECT pg_advisory_unlock(:key)")


def _key(what: str) -> int:
    """A 64-bit number; two things that get the same one by chance would only wait for each other."""
    return int.from_bytes(sha256(f"archivmail {what}".encode()).digest()[:8], "big", signed=True)
