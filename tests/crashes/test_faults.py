"""Stores and databases that fail in mid-run: the run says so, and the next one has everything, once."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import IO

import pytest

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.database import ensure_revision
from archivmail.archive.catalog.dialects import parse_url
from archivmail.archive.locking import AccountLocks
from archivmail.archive.opening import open_archive
from archivmail.archive.packs.buckets import Bucket, Limits, open_bucket
from archivmail.archive.packs.objects import ObjectPacks
from archivmail.model.outcome import AccountOutcome
from archivmail.model.reasons import Reason
from tests.archive.builders import NoFsync
from tests.crashes.forkserver import ForkServer
from tests.crashes.points import ToldBucket, ToldDatabase
from tests.crashes.runs import SUCCEEDED, Mail, Task, distinct, require_sound, require_whole, sync
from tests.servers.faultproxy import FaultProxy, Mode
from tests.servers.postgresql import PostgreSql, PostgreSqlDatabase
from tests.servers.s3 import S3Bucket

pytestmark = pytest.mark.servers

IMPATIENT = Limits(timedelta(seconds=1), timedelta(seconds=1), timedelta(seconds=1))
MAIL = Mail.of("alice")


def _opened(bucket: Bucket, catalog: str, tell: Callable[[str], None] = lambda _: None) -> Archive:
    database = ToldDatabase(parse_url(catalog), tell)
    ensure_revision(database)
    return Archive(ObjectPacks(bucket), database, AccountLocks(None, NoFsync(), database.shared_locks()))


def _require_failed(outcome: AccountOutcome) -> str:
    """The run failed for the archive's sake, and says so in one sentence."""
    assert outcome.failure is not None
    assert Reason.ARCHIVE_UNAVAILABLE is outcome.failure.reason
    assert outcome.failure.text.endswith(".")
    return outcome.failure.text


def _require_healed(archive: Archive) -> None:
    outcome = sync(archive, "alice", MAIL)
    assert SUCCEEDED == outcome.result.value, outcome.failure
    require_whole(archive, "alice", MAIL)
    require_sound(archive, contents=distinct([MAIL]))


# --- the store -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        pytest.param("unavailable", "overloaded or down", id="503"),
        pytest.param("stall", "does not answer in time", id="time-out"),
        pytest.param("refuse", "s3 store cannot be used now", id="refused"),
        pytest.param("cut requests", "s3 store cannot be used now", id="put-truncated"),
        pytest.param("lose answers", "s3 store cannot be used now", id="answer-lost"),
    ],
)
def test_a_store_that_fails_from_the_second_pack_on_stops_the_run(
    s3_bucket: S3Bucket,
    postgresql_catalog: PostgreSqlDatabase,
    monkeypatch: pytest.MonkeyPatch,
    mode: Mode,
    sentence: str,
) -> None:
    """What was checkpointed before stays; an answer that was lost leaves a pack that the next run takes in."""
    with FaultProxy(s3_bucket.server.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
        puts: list[str] = []

        def tell(point: str) -> None:
            if point == "before PUT":
                puts.append(point)
                if len(puts) == 2:
                    proxy.cut_after = 2000
                    proxy.mode = mode
                    proxy.cut()

        bucket = ToldBucket(open_bucket(s3_bucket.url, IMPATIENT), tell)
        with _opened(bucket, postgresql_catalog.url) as archive:
            text = _require_failed(sync(archive, "alice", MAIL))
            assert sentence in text
            assert proxy.faults
            assert 0 < len(list(archive.placements())) < len(MAIL.expected())

            proxy.mode = "pass"
            proxy.cut()
            _require_healed(archive)


class LyingBucket(ToldBucket):
    """Says yes to its second PUT, whatever it does. Passes on to another."""

    def __init__(self, behind: Bucket, keeps: float) -> None:
        super().__init__(behind, lambda _: None)
        self._keeps, self._puts = keeps, 0

    def put(self, name: str, file: IO[bytes], size: int) -> None:
        self._puts += 1
        if self._puts != 2:
            super().put(name, file, size)
        elif kept := file.read()[: int(size * self._keeps)]:
            super().put(name, io.BytesIO(kept), len(kept))


@pytest.mark.parametrize("keeps", [pytest.param(0, id="absent"), pytest.param(0.5, id="truncated")])
def test_a_store_that_lies_about_a_pack_stops_the_run(
    s3_bucket: S3Bucket, postgresql_catalog: PostgreSqlDatabase, keeps: float
) -> None:
    """The catalog never names a pack that is not there; what is left of it is named by verify and nothing else."""
    with _opened(LyingBucket(open_bucket(s3_bucket.url), keeps), postgresql_catalog.url) as archive:
        assert "took a pack of" in _require_failed(sync(archive, "alice", MAIL))
        assert SUCCEEDED == sync(archive, "alice", MAIL).result.value
        require_whole(archive, "alice", MAIL)
        report = archive.verify(full=True)
        assert ((), ()) == (report.missing, report.corrupt)
        assert distinct([MAIL]) == report.messages
        assert (1 if keeps else 0) == len(report.orphans)


# --- the catalog -----------------------------------------------------------------------------------------------------


@contextmanager
def _failing_at_commit(
    bucket: S3Bucket, catalog: str, fail: Callable[[], None], *, moment: str, number: int
) -> Iterator[Archive]:
    """An archive in which `fail` is called at the commit of that number."""
    seen: list[str] = []

    def tell(point: str) -> None:
        if point == moment:
            seen.append(point)
            if len(seen) == number:
                fail()

    with _opened(open_bucket(bucket.url), catalog, tell) as archive:
        yield archive


@pytest.mark.parametrize("is_crash", [False, True], ids=["restarted", "crashed"])
@pytest.mark.parametrize("number", [3, 6])
def test_a_database_restarted_in_mid_commit_loses_nothing(s3_bucket: S3Bucket, number: int, is_crash: bool) -> None:
    """With the settings of production, ended as an administrator does and as a power cut does."""
    with PostgreSql(is_durable=True) as server:
        database = server.create_database()

        def restart() -> None:
            if is_crash:
                server.kill()
                server.start()
            else:
                server.restart()

        with _failing_at_commit(s3_bucket, database.url, restart, moment="before commit", number=number) as archive:
            assert "The catalog database on 127.0.0.1" in _require_failed(sync(archive, "alice", MAIL))
            _require_healed(archive)


@pytest.mark.parametrize("mode", ["lose answers", "cut requests"])
def test_a_connection_cut_at_a_commit_loses_nothing(
    s3_bucket: S3Bucket, postgresql_catalog: PostgreSqlDatabase, mode: Mode
) -> None:
    """Nobody knows then whether the commit took place: both are told apart by the next run."""
    with FaultProxy(postgresql_catalog.server.port) as proxy:

        def fail() -> None:
            proxy.mode = mode

        url = postgresql_catalog.url_at(proxy.port)
        with _failing_at_commit(s3_bucket, url, fail, moment="before commit", number=6) as archive:
            _require_failed(sync(archive, "alice", MAIL))
            assert proxy.faults
            proxy.mode = "pass"
            _require_healed(archive)


# --- the disk --------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A file system of its own: a function that sets its size (`1m`) and gives its directory. Needs root."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def resize(size: str) -> Path:
        how = ["remount,"] if disk.is_mount() else [""]
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"{how[0]}size={size}", "tmpfs", disk], check=True)
        return disk

    yield resize
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.parametrize("spare_kib", [32, 64, 128, 192])
def test_a_full_disk_stops_the_run_and_loses_nothing(small_disk: Callable[[str], Path], spare_kib: int) -> None:
    """Wherever it becomes full: in a pack, in the catalog's log, in the catalog."""
    mail = Mail.of("alice", messages=60)
    with open_archive(str(small_disk("2m")), create=True) as archive:
        used_kib = sum(path.stat().st_blocks for path in small_disk("2m").rglob("*")) // 2
        small_disk(f"{used_kib + spare_kib}k")
        outcome = sync(archive, "alice", mail)
        assert "the disk is full; free some space or give the volume more" in _require_failed(outcome)

        small_disk("8m")
        assert SUCCEEDED == sync(archive, "alice", mail).result.value
        require_whole(archive, "alice", mail)
        require_sound(archive, contents=distinct([mail]))


# --- several writers -------------------------------------------------------------------------------------------------


def test_two_writers_of_one_account_lose_nothing(s3_bucket: S3Bucket, postgresql_catalog: PostgreSqlDatabase) -> None:
    """Invariant 8 failed: two processes archive one account at once, again and again while mail arrives."""
    where = s3_bucket.url, postgresql_catalog.url
    mail = Mail.of("alice")
    with ForkServer() as one, ForkServer() as other:
        for number in range(6):
            task = Task(*where, "alice", mail, is_locked=False)
            for forks in (one, other):
                forks.start(task.to_wire())
            ended = [forks.wait() for forks in (one, other)]
            assert all(each.signal == 0 for each in ended), ended
            mail.folders["INBOX"][1].update(
                {uid: f"round {number} {uid}" for uid in range(100 + 3 * number, 103 + 3 * number)}
            )
        assert SUCCEEDED == one.run(replace(task, mail=mail).to_wire()).result
    with open_archive(*where, create=False) as archive:
        require_whole(archive, "alice", mail, is_alone=False)
        report = archive.verify(full=True)
        assert ((), (), ()) == (report.missing, report.corrupt, report.orphans)
        # Octets of both may stand in packs; for readers there is one of each.
        assert report.messages == len({row.content_id for row in archive.placements()})


@pytest.mark.slow
def test_three_processes_archive_sixty_accounts_at_once(
    s3_bucket: S3Bucket, postgresql_database: PostgreSqlDatabase
) -> None:
    """Each goes through all of them in an order of its own, on a database without tables at first."""
    where = s3_bucket.url, postgresql_database.url
    mails = {f"user-{number:02}": Mail.of(f"user-{number:02}", messages=6) for number in range(60)}
    names = list(mails)
    orders = [[*names[first:], *names[:first]] for first in (0, 20, 40)]
    with ForkServer() as one, ForkServer() as two, ForkServer() as three:
        servers = (one, two, three)
        for forks, (first, *others) in zip(servers, orders, strict=True):
            task = Task(*where, first, mails[first], more={each: mails[each] for each in others})
            forks.start(task.to_wire())
        results = [forks.wait().result for forks in servers]

    assert [SUCCEEDED] * 3 == results
    with open_archive(*where, create=False) as archive:
        for account, mail in mails.items():
            require_whole(archive, account, mail)
        require_sound(archive, contents=distinct(mails.values()))
