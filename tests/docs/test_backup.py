"""docs/backup.md: its commands restore the whole archive, from a directory and from a bucket."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from archivmail.archive.opening import open_archive
from archivmail.model.notices import AuditEvent
from archivmail.model.retention import Policy
from tests.archive.builders import ALICE, BOB, MAIL, NoFsync, fill, folder, placements, read
from tests.docs.pages import blocks, run_page
from tests.servers.postgresql import PostgreSqlDatabase
from tests.servers.s3 import S3Bucket

BODIES = {1: MAIL, 2: bytes(range(256)) * 50, 3: b""}


@pytest.mark.servers
def test_the_commands_restore_everything(
    tmp_path: Path, s3_bucket: S3Bucket, postgresql_database: PostgreSqlDatabase
) -> None:
    """Each message and each place, in all four copies, and no hold is forgotten."""
    archive_url = f"{s3_bucket.url}/archive"
    catalog = f"sqlite:///{tmp_path}/bucket-catalog.db"
    restored_catalog = postgresql_database.url
    with open_archive(archive_url, catalog, create=True) as bucket:
        expected = _filled(bucket)
    with open_archive(str(tmp_path / "archive"), create=True, durability=NoFsync()) as archive:
        assert _filled(archive) == expected

    env = {"ARCHIVE": archive_url, "RESTORED_CATALOG": restored_catalog}
    printed = run_page("backup.md", tmp_path, env)

    assert printed.count("sound: ") == 3
    for directory in ("restored", "bucket-backup"):
        with open_archive(str(tmp_path / directory), create=False) as archive:
            assert placements(archive) == expected
            assert [read(archive, body) for body in BODIES.values()] == list(BODIES.values())
            assert archive.policy(BOB).hold
    with open_archive(f"{archive_url}-restored", restored_catalog, create=False) as archive:
        assert archive.policy(BOB).hold
    assert len(list((tmp_path / "exported").rglob("*:2,*"))) == len(expected)


def test_a_backup_made_while_mail_arrives_counts_on_no_pack_that_it_lacks(tmp_path: Path) -> None:
    """A run after each of the commands: what the copied catalog calls archived is in the copied packs."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with open_archive(str(tmp_path / "archive"), create=True, durability=NoFsync()) as archive:
        _filled(archive)

    for number, command in enumerate(blocks("backup.md", "sh")[0].splitlines()):
        subprocess.run(
            ["bash", "-euc", command], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True, timeout=60
        )
        with open_archive(str(tmp_path / "archive"), create=False, durability=NoFsync()) as archive:
            fill(archive, {100 + number: b"Subject: news %d\r\n\r\n" % number})

    with open_archive(str(tmp_path / "backup"), create=False) as archive:
        report = archive.verify(full=True)
        assert not report.missing
        assert not report.corrupt
        assert archive.policy(BOB).hold


def _filled(archive):
    fill(archive, BODIES)
    fill(archive, {7: MAIL}, of=folder(b"Entw&APw-rfe"))
    fill(archive, {1: b"Subject: bob\r\n\r\nhello"}, ref=BOB)
    archive.set_policy(BOB, Policy(hold=True), by="tests")
    archive.record(AuditEvent("run", ALICE.namespace, ALICE.name))
    return placements(archive)
