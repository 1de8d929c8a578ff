"""The catalog on PostgreSQL: what a server adds to the contract, and what it takes away."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from archivmail.archive.archive import Archive
from archivmail.archive.catalog import patience
from archivmail.archive.catalog.database import REVISION, Database, ensure_revision
from archivmail.archive.catalog.dialects import parse_url
from archivmail.archive.catalog.pending import commit
from archivmail.archive.catalog.schema import TEXT_INDEX, metadata
from archivmail.archive.catalog.server import POOL, SharedLocks, wait_for_migration
from archivmail.archive.locking import AccountLocks
from archivmail.archive.opening import open_archive
from archivmail.archive.packs.local import LocalStore
from archivmail.model.errors import ArchiveUnavailable, RunInProgress, SpecInvalid
from archivmail.model.notices import AuditEvent
from archivmail.model.uidset import Uid, UidSet
from tests.archive.builders import (
    ALICE,
    BOB,
    INBOX,
    NoFsync,
    begin,
    entry,
    fetched,
    fill,
    folder,
    placements,
    state,
)
from tests.cli.program import archivmail
from tests.servers.postgresql import PostgreSql, PostgreSqlDatabase

pytestmark = pytest.mark.servers


@pytest.fixture
def database(postgresql_catalog: PostgreSqlDatabase) -> Iterator[Database]:
    database = Database(parse_url(postgresql_catalog.url))
    yield database
    database.close()


def opened(directory: Path, catalog: PostgreSqlDatabase) -> Archive:
    return open_archive(str(directory), catalog.url, create=True, durability=NoFsync())


def unlocked(directory: Path, catalog: PostgreSqlDatabase) -> Archive:
    """The archive as a process sees it whose locks do not reach the other's."""
    database = Database(parse_url(catalog.url))
    return Archive(LocalStore(directory, NoFsync()), database, AccountLocks(None, NoFsync()))


# --- tables ----------------------------------------------------------------------------------------------------------


def test_processes_that_start_at_once_make_the_tables_once(postgresql_database: PostgreSqlDatabase) -> None:
    """Four replicas on an empty database: Alembic runs under a lock."""
    start = Barrier(4, timeout=60)

    def run(_: int) -> None:
        database = Database(parse_url(postgresql_database.url))
        start.wait()
        ensure_revision(database)
        database.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))

    with postgresql_database.connect() as connection:
        assert [(REVISION,)] == connection.execute("SELECT version_num FROM alembic_version").fetchall()
        assert connection.execute("SELECT count(*) FROM accounts").fetchone() == (0,)


def test_tables_equal_the_newest_revision(database: Database) -> None:
    """Alembic would have nothing to add."""
    with database.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": lambda _, name, *__: not str(name).startswith(TEXT_INDEX)}
        )
        assert compare_metadata(context, metadata) == []


def test_a_program_older_than_the_tables_refuses(postgresql_catalog: PostgreSqlDatabase, tmp_path: Path) -> None:
    """In one sentence, with exit code 3, and it changes nothing."""
    opened(tmp_path, postgresql_catalog).close()
    with postgresql_catalog.connect() as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    done = archivmail("status", "--archive", str(tmp_path), "--catalog", postgresql_catalog.url)

    assert done.code == 3
    assert "newer version of archivmail; use that version" in done.err
    assert "Traceback" not in done.err
    assert postgresql_catalog.server.password not in done.text + done.err
    with postgresql_catalog.connect() as connection:
        assert [("0099",)] == connection.execute("SELECT version_num FROM alembic_version").fetchall()


# --- connections -----------------------------------------------------------------------------------------------------


def _shown(database: Database, *names: str) -> list[str]:
    with database.writing() as connection:
        return [connection.execute(text(f"SHOW {name}")).scalar_one() for name in names]


def test_every_wait_of_a_session_has_a_limit(database: Database) -> None:
    """And a commit is durable when it returns, even where the server's default is another (as in these tests)."""
    assert ["10min", "30s", "5min", "60"] == _shown(
        database, "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "tcp_keepalives_idle"
    )
    assert ["on"] == _shown(database, "synchronous_commit")


def test_what_an_administrator_has_set_stays(postgresql_catalog: PostgreSqlDatabase) -> None:
    """For the role, the database or in the URL."""
    with postgresql_catalog.connect() as connection:
        connection.execute(f"ALTER DATABASE {postgresql_catalog.name} SET lock_timeout = '7s'")
    database = Database(parse_url(f"{postgresql_catalog.url}?options=-c%20statement_timeout%3D11s"))
    assert ["7s", "11s"] == _shown(database, "lock_timeout", "statement_timeout")
    database.close()


def test_a_server_that_stops_answering_is_given_up(
    tmp_path: Path, postgresql: PostgreSql, postgresql_catalog: PostgreSqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its kernel still acknowledges, so that no keepalive finds out. Later all is well again."""
    monkeypatch.setattr(patience, "GRACE_S", 0.2)
    url = f"{postgresql_catalog.url}?options=-c%20statement_timeout%3D2s&connect_timeout=2"
    with open_archive(str(tmp_path), url, create=True, durability=NoFsync()) as archive:
        fill(archive, {1: b"one"})
        postgresql.pause()
        try:
            with pytest.raises(ArchiveUnavailable):
                archive.account_status(ALICE)
            with pytest.raises(ArchiveUnavailable):
                archive.take(BOB)
        finally:
            postgresql.resume()
        archive.take(BOB).close()
        assert archive.verify().is_clean


def test_an_index_may_take_as_long_as_it_takes(database: Database) -> None:
    """While the tables are changed neither side gives up."""
    with database.writing() as connection:
        wait_for_migration(connection)
        assert connection.connection.dbapi_connection.patience_s is None  # type: ignore[union-attr]
    with database.holding() as connection:
        assert connection.connection.dbapi_connection.patience_s == 630  # type: ignore[union-attr]


def test_connections_are_bounded(postgresql_catalog: PostgreSqlDatabase) -> None:
    """However many threads ask at once, the server sees no more than the pool has."""
    database = Database(parse_url(postgresql_catalog.url))
    count = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'archivmail' AND datname = current_database()"
    )
    seen = []

    def ask(_: int) -> None:
        with database.reading() as connection:
            seen.append(connection.execute(text(count), {"name": postgresql_catalog.name}).scalar_one())

    with ThreadPoolExecutor(4 * POOL) as pool:
        list(pool.map(ask, range(8 * POOL)))

    assert max(seen) <= POOL
    database.close()


def test_a_reader_sees_one_state_from_beginning_to_end(tmp_path: Path, postgresql_catalog: PostgreSqlDatabase) -> None:
    """An export must not mix two states, and a reader writes nothing."""
    with opened(tmp_path, postgresql_catalog) as archive:
        fill(archive, {1: b"first"})
        rows = archive.placements()
        assert next(rows).uid == 1
        fill(archive, {9: b"second"}, of=folder(b"Sent"))
        assert [] == list(rows)
        assert [1, 9] == [row.uid for row in archive.placements()]


def test_a_run_survives_no_restart_of_the_server_and_the_next_one_does() -> None:
    """What was not checkpointed is done again; no connection of before is used any more."""
    with PostgreSql() as server:
        database = server.create_database()
        directory = server.folder / "archive"
        with open_archive(str(directory), database.url, create=True, durability=NoFsync()) as archive:
            writer = archive.take(ALICE)
            epoch = begin(writer)
            writer.store(epoch, fetched(1, b"first"))
            server.restart()
            with pytest.raises(ArchiveUnavailable) as raised:
                writer.store(epoch, fetched(2, b"second"))
            assert raised.value.text.startswith("The catalog database on 127.0.0.1 cannot be used: ")
            writer.close()

            fill(archive, {1: b"first", 2: b"second"})
            assert archive.verify(full=True).messages == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(("5432", "1"), "there is no connection", id="no-server"),
        pytest.param(("PASSWORD", "geheim"), "refuses the user or the password", id="password"),
        pytest.param(("DATABASE", "nowhere"), "there is no such database", id="no-database"),
    ],
)
def test_what_a_server_refuses_is_told_in_one_sentence(
    postgresql_catalog: PostgreSqlDatabase, tmp_path: Path, change: tuple[str, str], sentence: str
) -> None:
    """With what to do about it, and without the password."""
    server = postgresql_catalog.server
    where = {"5432": f":{server.port}/", "PASSWORD": server.password, "DATABASE": postgresql_catalog.name}
    new = f":{change[1]}/" if change[0] == "5432" else change[1]
    url = postgresql_catalog.url.replace(where[change[0]], new)

    with pytest.raises(ArchiveUnavailable, match=sentence) as raised:
        open_archive(str(tmp_path), url, create=True)
    assert raised.value.text.count(". ") == 0
    assert "geheim" not in raised.value.text
    assert server.password not in raised.value.text


def test_a_missing_driver_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """psycopg is an extra of the package."""
    import sys  # noqa: PLC0415

    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SpecInvalid, match=r"pip install 'archivmail\[postgresql\]'"):
        open_archive(str(tmp_path), "postgresql://archivmail@127.0.0.1/archivmail", create=True)


# --- several processes -----------------------------------------------------------------------------------------------


def _wait_for_no_locks(catalog: PostgreSqlDatabase) -> None:
    """The server ends a session a moment after its client has left."""
    locks = (
        "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database WHERE locktype = 'advisory' AND datname = %s"
    )
    with catalog.connect() as connection:
        for _ in range(1000):
            if connection.execute(locks, (catalog.name,)).fetchone() == (0,):
                return
            connection.execute("SELECT pg_sleep(0.01)")
    raise AssertionError("the locks of a session that ended are still held after 10 s")


def test_an_account_has_one_run_across_replicas(tmp_path: Path, postgresql_catalog: PostgreSqlDatabase) -> None:
    """Invariant 8: two replicas share nothing but the catalog; a replica that ends gives its accounts back."""
    with opened(tmp_path / "here", postgresql_catalog) as here:
        there = opened(tmp_path / "there", postgresql_catalog)
        taken = there.take(ALICE)
        with pytest.raises(RunInProgress):
            here.take(ALICE)
        here.take(BOB).close()
        taken.close()
        here.take(ALICE).close()
        left = there.take(ALICE)
        there._locks.close()  # its session ends, as with its process
        _wait_for_no_locks(postgresql_catalog)
        here.take(ALICE).close()
        left.close()
        there.close()


def test_locks_are_taken_again_when_their_session_broke(tmp_path: Path) -> None:
    """With the next account that is taken."""
    with PostgreSql() as server:
        database = server.create_database()
        with opened(tmp_path / "here", database) as here, opened(tmp_path / "there", database) as there:
            held = here.take(ALICE)
            server.restart()
            here.take(BOB).close()
            with pytest.raises(RunInProgress):
                there.take(ALICE)
            held.close()
            there.take(ALICE).close()


def _lose_locks(archive: Archive, catalog: PostgreSqlDatabase) -> None:
    """The server ends the session that holds the locks, as it does when a machine does not answer; the rest stays."""
    shared = archive._locks._shared
    assert isinstance(shared, SharedLocks)
    assert shared._connection is not None
    session = shared._connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with catalog.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 10000)", [session])


def test_a_run_that_lost_its_lock_saves_nothing_more(tmp_path: Path, postgresql_catalog: PostgreSqlDatabase) -> None:
    """Invariant 8: it was away while another took the account over. What it saved before stays, and so does what the
    other one saves; in its own time it may take the account again."""
    with opened(tmp_path / "here", postgresql_catalog) as here, opened(tmp_path / "there", postgresql_catalog) as there:
        late = here.take(ALICE)
        epoch = begin(late)
        late.store(epoch, fetched(1, b"first"))
        late.checkpoint()
        late.store(epoch, fetched(2, b"second"))
        _lose_locks(here, postgresql_catalog)
        taker = there.take(ALICE)
        with pytest.raises(RunInProgress, match="taken over by another run"):
            late.checkpoint()
        with pytest.raises(RunInProgress):
            late.record(AuditEvent("saved", "team-a", "alice", {}))
        with pytest.raises(RunInProgress):
            late.start_epoch(folder(b"other"), epoch.origin, epoch.uid_validity)
        taker.store(epoch, fetched(2, b"second"))
        taker.checkpoint()
        late.close()

        assert [1, 2] == [row.uid for row in there.placements()]
        assert [] == list(there.audit_entries())
        with pytest.raises(RunInProgress):
            here.take(ALICE)
        taker.close()
        here.take(ALICE).close()


def test_a_commit_under_way_is_waited_for(tmp_path: Path, postgresql_catalog: PostgreSqlDatabase) -> None:
    """Whoever takes the account over begins with all that the one before has saved, or that one saves nothing."""
    with opened(tmp_path / "here", postgresql_catalog) as here, opened(tmp_path / "there", postgresql_catalog) as there:
        late = here.take(ALICE)
        epoch = begin(late)
        late.store(epoch, fetched(1, b"first"))
        pack = late._keep_pack()
        _lose_locks(here, postgresql_catalog)
        with ThreadPoolExecutor(1) as pool:
            with late._database.writing() as connection:
                taking = pool.submit(there.take, ALICE)
                _wait_until_blocked(postgresql_catalog)
                commit(connection, late._account, late._pending, pack)
            taker = taking.result(timeout=30)

        assert taker.archived(epoch) == UidSet.of([Uid(1)])
        taker.close()


def _wait_until_blocked(catalog: PostgreSqlDatabase) -> None:
    """Until a session waits for another one's lock on a row."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    deadline = time.monotonic() + 30
    with catalog.connect() as connection:
        while connection.execute(waiting).fetchone() == (0,):
            assert time.monotonic() < deadline, "nobody waits"
            time.sleep(0.02)


def test_both_may_save_the_same_messages(tmp_path: Path, postgresql_catalog: PostgreSqlDatabase) -> None:
    """Neither knew of the other's: the octets stand twice, the placements once, and nobody fails."""
    with unlocked(tmp_path, postgresql_catalog) as here, unlocked(tmp_path, postgresql_catalog) as there:
        one, other = here.take(ALICE), there.take(ALICE)
        epoch = begin(one)
        for writer in (one, other):
            writer.store(epoch, fetched(1, b"same"))
            writer.store(epoch, fetched(2, b"same"))
            writer.put_ledger(epoch, entry(3))
            writer.put_folder_state(INBOX, state(epoch, archived=2))
        one.checkpoint()
        other.checkpoint()
        one.close()
        other.close()

        assert [1, 2] == [row.uid for row in here.placements()]
        report = here.verify(full=True)
        assert (True, 1, 2) == (report.is_clean, report.messages, report.packs)


def test_a_transaction_that_must_give_way_is_done_again(tmp_path: Path, postgresql_catalog: PostgreSqlDatabase) -> None:
    """Two writers of one account save the same messages in opposite order, each within one transaction of the other:
    the server ends one of the two for the deadlock, and that one starts over."""
    order = Barrier(2, timeout=60)

    def run(uids: list[int]) -> int:
        with unlocked(tmp_path, postgresql_catalog) as archive:
            writer = archive.take(ALICE)
            epoch = begin(writer)
            packs = []
            for uid in uids:
                writer.store(epoch, fetched(uid, b"message %d" % uid))
                packs.append((writer._keep_pack(), writer._pending))
                writer._pack, writer._pending = None, type(writer._pending)()
            attempts = []

            def work(connection: Connection) -> None:
                attempts.append(uids)
                for pack, pending in packs:
                    commit(connection, writer._account, pending, pack)
                    if len(attempts) == 1 and (pack, pending) == packs[0]:
                        order.wait()

            archive._database.write(work)
            writer.close()
            return len(attempts)

    with ThreadPoolExecutor(2) as pool:
        attempts = list(pool.map(run, [[1, 2], [2, 1]]))
    assert [1, 2] == sorted(attempts)

    with unlocked(tmp_path, postgresql_catalog) as archive:
        assert {1, 2} == {row.uid for row in archive.placements()}
        assert archive.verify(full=True).is_clean


def test_writers_in_a_race_lose_nothing(tmp_path: Path, postgresql_catalog: PostgreSqlDatabase) -> None:
    """Many batches side by side, overlapping, with the audit trail in one chain."""
    start = Barrier(3, timeout=60)

    def run(first: int) -> None:
        with unlocked(tmp_path, postgresql_catalog) as archive:
            start.wait()
            writer = archive.take(ALICE)
            epoch = writer.latest_epoch(INBOX.name) or begin(writer)
            for uid in range(first, first + 40):
                writer.store(epoch, fetched(uid, b"message %d" % uid))
                if uid % 7 == 0:
                    writer.checkpoint()
                    writer.record(AuditEvent("saved", "team-a", "alice", {"uid": uid}))
            writer.checkpoint()
            writer.close()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run, [1, 21, 41]))

    with unlocked(tmp_path, postgresql_catalog) as archive:
        assert set(range(1, 81)) == {row.uid for row in archive.placements()}
        assert archive.verify(full=True).is_clean
        trail = list(archive.audit_entries())
        assert all(each.is_intact for each in trail)
        assert sum(uid % 7 == 0 for first in (1, 21, 41) for uid in range(first, first + 40)) == len(trail)


def test_a_rebuild_gives_the_same_catalog(tmp_path: Path, postgresql_catalog: PostgreSqlDatabase) -> None:
    """Invariant 6, in one transaction: readers see the old or the new."""
    with opened(tmp_path, postgresql_catalog) as archive:
        fill(archive, {1: b"first", 2: b"second"})
        fill(archive, {1: b"first"}, ref=BOB)
        before = placements(archive)
        archive.rebuild()
        assert before == placements(archive)
        assert archive.verify(full=True).is_clean
