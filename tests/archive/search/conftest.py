"""A fresh catalog for each test, copied from one that was migrated once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archive.search import catalogs


@pytest.fixture(scope="session")
def empty_catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return catalogs.make_empty(tmp_path_factory.mktemp("catalog") / "catalog.db")


@pytest.fixture
def catalog(tmp_path: Path, empty_catalog: Path) -> Iterator[catalogs.Catalog]:
    with catalogs.opened(Path(shutil.copy(empty_catalog, tmp_path))) as made:
        yield made
