from pathlib import Path

import pytest

from archivmail.archive.opening import open_archive
from tests.archive.builders import NoFsync
from tests.contracts.archive_contract import ArchiveContract


class TestDirPg(ArchiveContract):
    @pytest.fixture
    def archive(self, tmp_path: Path, postgresql_database):
        with open_archive(str(tmp_path), postgresql_database.url, create=True, durability=NoFsync()) as a:
            yield a
