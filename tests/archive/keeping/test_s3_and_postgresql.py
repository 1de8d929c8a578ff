"""Upkeep, retention, erasure and the trail on an S3 server and PostgreSQL: as on a directory and SQLite."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from archivmail.archive.archive import Archive
from archivmail.archive.opening import open_archive
from archivmail.archive.upkeep import Plan
from archivmail.model.errors import ArchiveUnavailable
from archivmail.model.retention import Policy
from tests.archive.builders import ALICE, content_id, placements, read
from tests.archive.keeping.mailboxes import AT_ONCE, COPIES, YEAR, days_ago, octets_of, require_sound, run, runs
from tests.servers.postgresql import PostgreSqlDatabase
from tests.servers.s3 import S3Bucket

pytestmark = pytest.mark.servers

OLD = b"Subject: zxqold\r\n\r\nzxqold\r\n"
ERASED = b"Subject: zxqgone\r\n\r\nzxqgone\r\n"


@pytest.fixture
def archive(s3_bucket: S3Bucket, postgresql_database: PostgreSqlDatabase) -> Iterator[Archive]:
    """Small packs, an old message, one to be erased, indexed."""
    with open_archive(f"{s3_bucket.url}/mail", postgresql_database.url, create=True) as archive:
        runs(archive, 9)
        run(archive, {50: (OLD, days_ago(400)), 51: (ERASED, days_ago(5))})
        run(archive, {51: (ERASED, days_ago(4))}, of=COPIES)
        while archive.drain_index():
            pass
        yield archive


def test_packs_are_merged_and_old_ones_go(archive: Archive, s3_bucket: S3Bucket) -> None:
    """After their grace; nothing changes for who reads, and packs alone give the same catalog."""
    before = placements(archive)
    archive.keeping.keep_up(ALICE, Plan())
    assert len([key for key in s3_bucket.objects() if key.endswith(".tar.zst")]) == 15
    require_sound(archive)
    archive.keeping.keep_up(ALICE, AT_ONCE)

    assert len([key for key in s3_bucket.objects() if key.endswith(".tar.zst")]) == 1
    assert placements(archive) == before
    assert [read(archive, octets_of(number)) for number in range(1, 10)] == [octets_of(n) for n in range(1, 10)]
    require_sound(archive)


def test_what_is_past_its_time_and_what_is_erased_goes(archive: Archive) -> None:
    """From packs, catalog and index; and stays away after a rebuild and another run."""
    archive.set_policy(ALICE, YEAR, by="tests")
    assert archive.keeping.keep_up(ALICE, AT_ONCE).expired.messages == 1
    told = archive.keeping.erase(ALICE, [content_id(ERASED)], reason="order", by="tests")
    archive.keeping.purge_texts(is_final=True)

    assert (told.places, told.packs, told.unread) == (2, 1, [])
    for _ in range(2):
        assert {content_id(OLD), content_id(ERASED)} & {row[5] for row in placements(archive)} == set()
        with archive._database.reading() as connection:
            lines = connection.execute(text("SELECT words FROM message_text")).scalars()
            assert [line for line in lines if "zxq" in line] == []
        require_sound(archive)
        run(archive, {50: (OLD, days_ago(400)), 60: (ERASED, days_ago(1))})


def test_the_trail_is_proven_and_refuses_changes(archive: Archive) -> None:
    """By triggers, and by the anchor in the bucket."""
    archive.set_policy(ALICE, Policy(hold=True), by="tests")
    for statement in ("UPDATE audit SET kind = 'x'", "DELETE FROM audit", "TRUNCATE audit"):
        with pytest.raises(ArchiveUnavailable), archive._database.writing() as connection:
            connection.execute(text(statement))
    assert archive.prove_trail().is_sound

    with archive._database.writing() as connection:
        connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        connection.execute(text("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)"))
    (problem,) = archive.prove_trail().problems
    assert "cut off at the end" in problem


def test_figures_are_those_of_the_bucket(archive: Archive, s3_bucket: S3Bucket) -> None:
    """Packs and octets as they lie there."""
    (stats,) = archive.keeping.stats()
    packs = [path for path in s3_bucket.folder.rglob("*.tar.zst") if ".sgwtmp" not in str(path)]

    assert (stats.messages, stats.packs) == (11, len(packs))
    assert stats.stored_octets == sum(path.stat().st_size for path in packs)
    assert archive.keeping.index_size() > 0
