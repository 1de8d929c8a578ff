"""A fresh catalog for each test, on SQLite and on PostgreSQL: both must give the same answers."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from archivmail.archive.catalog.dialects import parse_url, url_of
from archivmail.archive.catalog.schema import metadata
from tests.archive.search import catalogs


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("catalog") / "catalog.db"
    catalogs.make_empty(url_of(path))
    return path


@pytest.fixture(scope="session")
def postgresql_catalog(request: pytest.FixtureRequest) -> Iterator[URL]:
    """One database for the tests of a process; each leaves it empty."""
    server = request.getfixturevalue("postgresql")
    database = server.create_database()
    yield catalogs.make_empty(parse_url(database.url))
    server.drop_database(database)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[catalogs.Catalog]:
    if request.param == "sqlite":
        empty = request.getfixturevalue("empty_sqlite")
        with catalogs.opened(url_of(Path(shutil.copy(empty, tmp_path)))) as made:
            yield made
        return
    with catalogs.opened(request.getfixturevalue("postgresql_catalog")) as made:
        yield made
        names = ", ".join(set(metadata.tables) - {"audit"})  # nobody takes anything from the trail
        with made.database.writing() as connection:
            connection.exec_driver_sql(f"TRUNCATE {names}, message_text RESTART IDENTITY")
