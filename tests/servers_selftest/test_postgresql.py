"""The PostgreSQL of the tests: what the fixtures promise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.servers.postgresql import PostgreSql

if TYPE_CHECKING:
    from tests.servers.postgresql import PostgreSqlDatabase

pytestmark = pytest.mark.servers


def test_each_database_is_alone(postgresql: PostgreSql, postgresql_database: PostgreSqlDatabase) -> None:
    """What one test writes, another does not see; UTF-8, and the order of texts is that of their octets."""
    other = postgresql.create_database()
    with postgresql_database.connect() as here, other.connect() as there:
        here.execute("CREATE TABLE found (word text)")
        here.execute("INSERT INTO found VALUES ('b'), ('B'), ('\N{LATIN SMALL LETTER E WITH ACUTE}')")

        assert [("B",), ("b",), ("é",)] == here.execute("SELECT word FROM found ORDER BY word").fetchall()
        assert there.execute("SELECT to_regclass('found')").fetchone() == (None,)
    postgresql.drop_database(other)
    with pytest.raises(psycopg.OperationalError):
        other.connect()


def test_a_database_can_be_made_from_another(postgresql: PostgreSql, postgresql_database: PostgreSqlDatabase) -> None:
    """So tables need to be made once only."""
    with postgresql_database.connect() as connection:
        connection.execute("CREATE TABLE here (number int)")
    copy = postgresql.create_database(template=postgresql_database.name)
    with copy.connect() as connection:
        assert connection.execute("SELECT count(*) FROM here").fetchone() == (0,)
    postgresql.drop_database(copy)


def test_it_is_unprivileged_and_wants_a_password(postgresql_database: PostgreSqlDatabase) -> None:
    """On loopback alone: another user of this machine gets nowhere."""
    server = postgresql_database.server
    with postgresql_database.connect() as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        assert connection.execute("SHOW unix_socket_directories").fetchone() == ("",)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgresql_database.url.replace(server.password, "wrong"))
    assert Path(f"/proc/{server.process.pid}").stat().st_uid != 0
    assert server.password not in str(server.process.log_text())


def test_data_outlive_a_stop_a_restart_and_a_crash() -> None:
    """With the same port and the settings of production."""
    with PostgreSql(is_durable=True) as server:
        database = server.create_database()
        with database.connect() as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
            assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
            connection.execute("CREATE TABLE kept (number int)")
        for number, restart in enumerate((server.restart, _crash(server))):
            with database.connect() as connection:
                connection.execute("INSERT INTO kept VALUES (%s)", [number])
                restart()
                with pytest.raises(psycopg.OperationalError):
                    connection.execute("SELECT 1")
        with database.connect() as connection:
            assert connection.execute("SELECT number FROM kept ORDER BY number").fetchall() == [(0,), (1,)]
        folder = server.folder
    assert not folder.exists()
    assert not server.is_ready()


def test_paused_it_answers_nothing(postgresql_database: PostgreSqlDatabase) -> None:
    """Connections stay open: what a network that swallows packets looks like."""
    server = postgresql_database.server
    with postgresql_database.connect() as connection:
        server.pause()
        try:
            connection.pgconn.send_query(b"SELECT 1")
            connection.pgconn.flush()
            connection.pgconn.consume_input()
            assert connection.pgconn.is_busy()
        finally:
            server.resume()
        assert connection.pgconn.get_result() is not None
        connection.pgconn.get_result()


def _crash(server: PostgreSql):
    def crash() -> None:
        server.kill()
        server.start()

    return crash
