"""The tables are those of the newest revision, hold the invariants by their keys, and answer without scans."""

import re
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from archivmail.archive.catalog.creating import create
from archivmail.archive.catalog.database import REVISION, Database, ensure_revision
from archivmail.archive.catalog.dialects import url_of
from archivmail.archive.catalog.indexing import waiting
from archivmail.archive.catalog.schema import TEXT_INDEX, WAITS, metadata
from archivmail.model.errors import ArchiveUnavailable
from tests.archive.builders import NoFsync


def _migrated(path: Path) -> Database:
    """A database that went over every revision."""
    path.touch()
    database = Database(url_of(path))
    ensure_revision(database)
    return database


@pytest.fixture
def database(tmp_path: Path):
    create(tmp_path / "catalog.db", NoFsync())
    database = Database(url_of(tmp_path / "catalog.db"))
    yield database
    database.close()


def _tables(database: Database) -> dict[str, str]:
    with database.reading() as connection:
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        return {name: re.sub(r"\s+", " ", sql).strip() for name, sql in rows}


def test_a_new_catalog_equals_one_that_went_over_every_revision(database: Database, tmp_path: Path) -> None:
    """Statement by statement."""
    migrated = _migrated(tmp_path / "migrated.db")

    assert _tables(migrated) == _tables(database)
    ensure_revision(database)
    migrated.close()


def test_tables_equal_the_newest_revision(tmp_path: Path) -> None:
    """Alembic would have nothing to add."""
    migrated = _migrated(tmp_path / "migrated.db")
    with migrated.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": lambda _, name, *__: not str(name).startswith(TEXT_INDEX)}
        )
        assert compare_metadata(context, metadata) == []
    migrated.close()


def test_the_revision_told_is_the_newest() -> None:
    """So that opening need not load Alembic to know."""
    config = Config()
    config.set_main_option("script_location", "archivmail.archive.catalog:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION


def test_tables_are_strict_and_columns_have_no_null(database: Database) -> None:
    """A wrong type or a missing value is an error, not a surprise later."""
    tables = {name: sql for name, sql in _tables(database).items() if name in metadata.tables}

    assert set(tables) == set(metadata.tables)
    assert [name for name, sql in tables.items() if not sql.endswith("STRICT")] == []
    assert [column for table in metadata.tables.values() for column in table.columns if column.nullable] == []


def test_commits_are_durable(database: Database) -> None:
    """WAL with synchronous=FULL (2), and foreign keys hold."""
    with database.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


@pytest.mark.parametrize(
    "question",
    [
        pytest.param("SELECT id FROM contents WHERE sha256 = x'00' AND account_id = 1", id="content"),
        pytest.param("SELECT id FROM contents WHERE sha256 BETWEEN x'00' AND x'01'", id="shortened-id"),
        pytest.param(f"SELECT id FROM contents WHERE {WAITS} ORDER BY id LIMIT 9", id="index-backlog"),
        pytest.param(
            "SELECT id FROM contents WHERE account_id = 1 ORDER BY sent_s DESC LIMIT 9", id="newest-of-account"
        ),
        pytest.param("SELECT id FROM contents WHERE pack_id = 1", id="contents-of-a-pack"),
        pytest.param("SELECT id FROM placements WHERE epoch_id = 1 AND uid = 2 AND content_id = 3", id="placement"),
        pytest.param("SELECT uid FROM placements WHERE epoch_id = 1 ORDER BY uid", id="uids-of-an-epoch"),
        pytest.param("SELECT id FROM placements WHERE content_id = 1", id="placements-of-a-content"),
        pytest.param(
            "SELECT id FROM placements WHERE account_id = 1 AND email_id = 'M' AND email_id <> ''", id="immutable-id"
        ),
        pytest.param("SELECT id FROM placements ORDER BY received_s DESC LIMIT 9", id="newest"),
        pytest.param(
            "SELECT id FROM placements WHERE account_id = 1 ORDER BY received_s DESC LIMIT 9", id="of-account"
        ),
        pytest.param("SELECT id FROM placements WHERE folder_id = 1 ORDER BY received_s DESC LIMIT 9", id="folder"),
        pytest.param("SELECT max(name) FROM packs WHERE account_id = 1", id="newest-pack"),
    ],
)
def test_questions_are_answered_by_an_index(database: Database, question: str) -> None:
    """Ten million placements must not be read or sorted for one of them."""
    with database.reading() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {question}")]

    assert all("INDEX" in step and "TEMP B-TREE" not in step for step in plan), plan


def test_a_newer_catalog_is_refused_with_what_to_do(database: Database) -> None:
    """Older programs must not write into tables they do not know."""
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))

    with pytest.raises(ArchiveUnavailable, match="newer version of archivmail") as raised:
        ensure_revision(database)
    assert raised.value.text.count(". ") == 0


def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    """All or nothing."""

    def fail() -> None:
        with database.writing() as connection:
            connection.execute(text("INSERT INTO accounts (namespace, name) VALUES ('a', 'b')"))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM accounts")).scalar() == 0


def test_a_catalog_of_the_first_version_is_indexed_anew(tmp_path: Path) -> None:
    """The text index got another form: everything waits, nothing that lists show is lost."""
    (tmp_path / "old.db").touch()
    database = Database(url_of(tmp_path / "old.db"))
    config = Config()
    config.set_main_option("script_location", "archivmail.archive.catalog:migrations")
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in (
            "INSERT INTO accounts (id, namespace, name) VALUES (1, 'a', 'b')",
            "INSERT INTO packs (id, account_id, name) VALUES (1, 1, 'packs/a/b/1.tar.zst')",
            (
                "INSERT INTO contents (id, account_id, sha256, pack_id, indexed, subject) "
                "VALUES (1, 1, x'00', 1, 1, 'kept')"
            ),
            "INSERT INTO message_text (rowid, subject) VALUES (1, 'kept')",
        ):
            connection.exec_driver_sql(statement)

    ensure_revision(database)
    with database.reading() as connection:
        assert [each.content for each in waiting(connection, after=0, limit=9)] == [1]
        assert connection.execute(text("SELECT subject FROM contents")).scalar() == "kept"
        assert (
            connection.execute(text("SELECT count(*) FROM message_text WHERE message_text MATCH 'kept'")).scalar() == 0
        )
    database.close()
