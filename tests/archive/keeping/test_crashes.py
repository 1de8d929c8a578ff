"""A crash at any point of upkeep and erasure is harmless: nothing is lost, and doing it again finishes it.

Each case is a process that kills itself with SIGKILL at the n-th point: before and after each fsync, rename, removal
and write of a small file, and before and after each commit; on a directory, and on a store of PUT and DELETE alone.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from obstore.store import LocalStore as Directory
from sqlalchemy import Connection

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.dialects import url_of
from archivmail.archive.durability import SystemDurability
from archivmail.archive.locking import AccountLocks
from archivmail.archive.packs.buckets import ObstoreBucket
from archivmail.archive.packs.local import LocalStore
from archivmail.archive.packs.objects import ObjectPacks
from archivmail.archive.packs.stores import PackStore
from tests.archive.builders import ALICE, NoFsync, archive_in, content_id, placements, read
from tests.archive.keeping.mailboxes import AT_ONCE, YEAR, days_ago, files_with, octets_of, require_sound, run, runs

MARKER = b"zxqgone"
OLD = b"Subject: zxqold\r\n\r\nzxqold\r\n"
ERASED = b"Subject: zxqgone\r\n\r\nzxqgone\r\n"
MOST_POINTS = 200


class Points:
    """Ends the process at the n-th point; 0: never."""

    def __init__(self, at: int) -> None:
        self.at, self.passed = at, 0

    def point(self) -> None:
        self.passed += 1
        if self.passed == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


class Killing(SystemDurability):
    """Points around every call that makes something durable, and around none that only waits."""

    def __init__(self, points: Points) -> None:
        self._points = points

    def fsync(self, fd: int) -> None:
        self._points.point()

    def rename(self, temporary: Path, final: Path) -> None:
        self._points.point()
        super().rename(temporary, final)
        self._points.point()

    def fsync_dir(self, directory: Path) -> None:
        self._points.point()

    def remove(self, path: Path) -> None:
        self._points.point()
        super().remove(path)
        self._points.point()


class KillingBucket(ObstoreBucket):
    """The same around each request that changes something."""

    points: Points

    def put(self, name, file, size):
        self.points.point()
        super().put(name, file, size)
        self.points.point()

    def delete(self, name):
        self.points.point()
        super().delete(name)
        self.points.point()

    def replace(self, name, octets):
        self.points.point()
        super().replace(name, octets)
        self.points.point()


class KillingDatabase(Database):
    """The same around each commit."""

    points: Points

    @contextmanager
    def writing(self, **how: bool) -> Iterator[Connection]:
        with super().writing(**how) as connection:
            yield connection
            self.points.point()
        self.points.point()


def _opened(directory: Path, kind: str, points: Points) -> Archive:
    store: PackStore
    if kind == "directory":
        store = LocalStore(directory, Killing(points))
    else:
        bucket = KillingBucket(Directory(directory), "file")
        bucket.points = points
        store = ObjectPacks(bucket)
    database = KillingDatabase(url_of(directory / "catalog.db"))
    database.points = points
    return Archive(store, database, AccountLocks(None, NoFsync()))


def _keep_up(archive: Archive) -> None:
    archive.keeping.keep_up(ALICE, AT_ONCE)


def _erase(archive: Archive) -> None:
    archive.keeping.erase(ALICE, [content_id(ERASED)], reason="order", by="tests")
    archive.keeping.purge_texts(is_final=True)


def _killed(directory: Path, kind: str, at: int, act: Callable[[Archive], None]) -> bool:
    """Run `act` in a process that ends itself at a point; False when there were fewer points."""
    child = os.fork()
    if child == 0:
        try:
            act(_opened(directory, kind, Points(at)))
        except BaseException:
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.fixture(scope="module")
def filled() -> Iterator[Path]:
    """Small packs, a message that is past its time, one that will be erased; indexed."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "filled"
        with archive_in(directory) as archive:
            runs(archive, 4)
            run(archive, {50: (OLD, days_ago(400)), 51: (ERASED, days_ago(5)), 52: (b"Subject: x\r\n\r\n", "")})
            while archive.drain_index():
                pass
            archive.set_policy(ALICE, YEAR, by="tests")
        yield directory


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["directory", "objects"])
@pytest.mark.parametrize("act", [_keep_up, _erase], ids=["upkeep", "erasure"])
def test_a_kill_at_any_point_loses_nothing_and_the_next_time_finishes(
    filled: Path, tmp_path: Path, kind: str, act: Callable[[Archive], None]
) -> None:
    """Every message that was to stay is read at once, as it was; then everything is as after a run without a kill."""
    clean = tmp_path / "clean"
    shutil.copytree(filled, clean)
    assert not _killed(clean, kind, 0, act)
    with archive_in(clean) as archive:
        act_again(archive, act)
        expected = placements(archive)
    points = 0
    for at in range(1, MOST_POINTS):
        directory = tmp_path / f"{at}"
        shutil.copytree(filled, directory)
        if not _killed(directory, kind, at, act):
            break
        points += 1
        with archive_in(directory) as archive:
            for number in range(1, 5):
                assert read(archive, octets_of(number)) == octets_of(number), at
            act_again(archive, act)
            assert placements(archive) == expected, at
            assert archive.prove_trail().is_sound, at
            if act is _erase:
                assert files_with(directory, MARKER) == [], at
            elif at % 4 == 0:
                require_sound(archive)
        shutil.rmtree(directory)
    assert points >= 12


def act_again(archive: Archive, act: Callable[[Archive], None]) -> None:
    """What a person or the operator does after a crash: the same, and upkeep."""
    act(archive)
    archive.keeping.keep_up(ALICE, AT_ONCE)
    archive.keeping.purge_texts(is_final=True)
    report = archive.verify(full=True)
    assert report.is_clean
    assert report.redundant == ()
