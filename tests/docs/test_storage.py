"""docs/storage.md: its commands make a shared archive, and move it to a volume and back."""

import shutil
from pathlib import Path

import pytest

from archivmail.archive.opening import open_archive
from tests.archive.builders import placements
from tests.cli.conftest import Pymap, pymap  # noqa: F401 - a fixture
from tests.cli.manifests import manifest
from tests.docs.pages import run_page
from tests.servers.postgresql import OWNER, PostgreSql
from tests.servers.s3 import S3Bucket

pytestmark = pytest.mark.servers

PASSWORD = "of-a-test"


def test_the_commands_make_and_move_an_archive(
    tmp_path: Path,
    s3_bucket: S3Bucket,
    pymap: Pymap,  # noqa: F811 - as above
) -> None:
    """All three archives hold the same mail at the same places."""
    made = manifest(tmp_path, port=pymap.port, user=pymap.user, password=pymap.password)
    made.rename(tmp_path / "account.yaml")
    with PostgreSql() as server:
        env = {
            "PGHOST": server.host,
            "PGPORT": str(server.port),
            "PGUSER": OWNER,
            "PGPASSWORD": server.password,
            "DB_PASSWORD": PASSWORD,
            "AWS_MAX_ATTEMPTS": "1",
        }
        printed = run_page("storage.md", tmp_path, env)
        url = f"postgresql://mailarchive:{PASSWORD}@{server.host}:{server.port}/mailarchive"
        with open_archive("s3://mail-archive/archive", url, create=False) as archive:
            expected = placements(archive)
        with open_archive("s3://mail-archive/moved", f"{url}_new", create=False) as archive:
            assert expected == placements(archive)
    with open_archive(str(tmp_path / "volume"), create=False) as archive:
        assert expected == placements(archive)
    shutil.rmtree(s3_bucket.server.buckets / "mail-archive")

    assert len(expected) > 5
    assert 3 == printed.count("sound: ")
