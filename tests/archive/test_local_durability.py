"""A pack in a local directory is durable before anyone counts on it, and a crash at any step loses nothing."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from archivmail.archive.archive import Archive
from archivmail.archive.durability import SystemDurability
from archivmail.archive.packs.local import PACK_MODE, LocalStore
from archivmail.model.errors import ArchiveUnavailable
from tests.archive.builders import (
    ALICE,
    INBOX,
    MAIL,
    archive_in,
    begin,
    fetched,
    fill,
    pack_files,
    placements,
    read,
    state,
    temporary_files,
)

NOBODY = 65534


class Recording(SystemDurability):
    """Notes every call in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def fsync(self, fd: int) -> None:
        self.calls.append(f"fsync {Path(f'/proc/self/fd/{fd}').readlink().name}")
        super().fsync(fd)

    def rename(self, temporary: Path, final: Path) -> None:
        self.calls.append(f"rename {temporary.name} {final.name}")
        super().rename(temporary, final)

    def fsync_dir(self, directory: Path) -> None:
        self.calls.append(f"fsync_dir {directory.name}")
        super().fsync_dir(directory)


class Failing(SystemDurability):
    """Fails at one kind of call, with the error of a disk."""

    def __init__(self, step: str, number: int) -> None:
        self.step, self.number = step, number
        self.is_armed = False

    def fsync(self, fd: int) -> None:
        self._fail("fsync")

    def rename(self, temporary: Path, final: Path) -> None:
        self._fail("before rename")
        super().rename(temporary, final)
        self._fail("after rename")

    def fsync_dir(self, directory: Path) -> None:
        self._fail("fsync_dir")

    def _fail(self, step: str) -> None:
        if self.is_armed and step == self.step:
            raise OSError(self.number, os.strerror(self.number))


def test_the_file_is_synced_then_named_then_its_directory_synced(tmp_path: Path) -> None:
    """Design §5: temporary name, fsync file, rename, fsync directory."""
    durability = Recording()
    archive = archive_in(tmp_path, durability=durability)
    writer = archive.take(ALICE)
    epoch = begin(writer)
    writer.store(epoch, fetched(1))
    durability.calls.clear()

    writer.checkpoint()

    (pack,) = pack_files(tmp_path)
    assert durability.calls == [
        f"fsync .{pack.name}.tmp",
        f"rename .{pack.name}.tmp {pack.name}",
        "fsync_dir alice",
    ]
    writer.close()
    archive.close()


def test_new_directories_are_synced_in_their_parents(tmp_path: Path) -> None:
    """A pack whose directory is lost is lost."""
    durability = Recording()
    archive = archive_in(tmp_path / "data", durability=durability)
    writer = archive.take(ALICE)
    durability.calls.clear()

    writer.store(begin(writer), fetched(1))

    assert durability.calls == ["fsync_dir data", "fsync_dir packs", "fsync_dir team-a"]
    writer.close()
    archive.close()


def test_a_pack_is_read_only_once_written(tmp_path: Path) -> None:
    """Written once, never changed."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: MAIL})

    (pack,) = pack_files(tmp_path)
    assert stat.S_IMODE(pack.stat().st_mode) == 0o440


STEPS = ["fsync", "before rename", "after rename", "fsync_dir"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES])
def test_a_failing_disk_is_one_sentence_and_the_run_can_go_on(tmp_path: Path, step: str, number: int) -> None:
    """trap 103: nothing of the failed checkpoint counts, no temporary file stays, doing it again stores all."""
    durability = Failing(step, number)
    archive = archive_in(tmp_path, durability=durability)
    writer = archive.take(ALICE)
    epoch = begin(writer)
    writer.store(epoch, fetched(1))
    durability.is_armed = True

    with pytest.raises(ArchiveUnavailable) as raised:
        writer.checkpoint()

    assert raised.value.text.startswith(f"The archive {tmp_path} cannot be written: ")
    assert raised.value.text.count(".") == str(tmp_path).count(".") + 1
    assert temporary_files(tmp_path) == []
    assert (writer.unsaved_messages, writer.unsaved_bytes, len(writer.archived(epoch))) == (0, 0, 0)
    durability.is_armed = False
    writer.store(epoch, fetched(1))
    writer.checkpoint()
    writer.close()
    assert len(placements(archive)) == 1
    assert read(archive, MAIL) == MAIL
    assert archive.verify(full=True).is_clean
    archive.close()


@pytest.mark.parametrize("step", STEPS)
def test_a_failed_catalog_commit_after_the_pack_loses_nothing(tmp_path: Path, step: str) -> None:
    """An orphan is entered by the next run of the account, so its messages are not stored again."""
    durability = Failing(step, errno.EIO)
    archive = archive_in(tmp_path, durability=durability)
    writer = archive.take(ALICE)
    epoch = begin(writer)
    writer.store(epoch, fetched(1))
    durability.is_armed = True
    with pytest.raises(ArchiveUnavailable):
        writer.checkpoint()
    durability.is_armed = False
    writer.close()

    has_pack = bool(pack_files(tmp_path))
    writer = archive.take(ALICE)

    assert has_pack == (step in {"after rename", "fsync_dir"})
    assert list(writer.archived(epoch)) == ([1] if has_pack else [])
    stored = writer.store(epoch, fetched(1))
    writer.checkpoint()
    writer.close()
    assert stored.is_new_content == (not has_pack)
    assert len(pack_files(tmp_path)) == 1
    assert archive.verify(full=True).is_clean
    archive.close()


KILLED = """
import os, sys
from pathlib import Path
from archivmail.archive.durability import SystemDurability
from tests.archive.builders import ALICE, archive_in, begin, fetched

step, directory = sys.argv[1], Path(sys.argv[2])

class Killed(SystemDurability):
    is_armed = False
    def fsync(self, fd):
        self.die("before fsync")
        super().fsync(fd)
        self.die("after fsync")
    def rename(self, temporary, final):
        os.link(temporary, final)
        self.die("after link")
        temporary.unlink()
        self.die("after rename")
    def fsync_dir(self, directory):
        super().fsync_dir(directory)
        self.die("after fsync_dir")
    def die(self, at):
        if self.is_armed and at == step:
            os._exit(9)

durability = Killed()
archive = archive_in(directory, durability=durability)
writer = archive.take(ALICE)
epoch = begin(writer)
for uid in range(1, 4):
    writer.store(epoch, fetched(uid, b"before %d" % uid))
writer.checkpoint()
for uid in range(4, 9):
    writer.store(epoch, fetched(uid, b"after %d" % uid))
writer.store(epoch, fetched(9, b"before 1"))
durability.is_armed = True
if step == "before checkpoint":
    os._exit(9)
writer.checkpoint()
os._exit(9)
"""

MOMENTS = [
    "before checkpoint", "before fsync", "after fsync", "after link", "after rename", "after fsync_dir",
    "after checkpoint",
]  # fmt: skip


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_process_killed_at_any_moment_loses_nothing_and_stores_nothing_twice(tmp_path: Path, moment: str) -> None:
    """trap 3, trap 102, invariants 1, 2 and 5: the process ends without a word, the next run does what is missing."""
    killed = subprocess.run([sys.executable, "-c", KILLED, moment, tmp_path], check=False, capture_output=True)
    assert (killed.returncode, killed.stderr) == (9, b"")
    expected = {uid: b"before %d" % uid for uid in range(1, 4)} | {uid: b"after %d" % uid for uid in range(4, 9)}
    expected[9] = b"before 1"

    with archive_in(tmp_path) as archive:
        _finish(archive, expected)
        _expect(archive, tmp_path, expected)
        before = placements(archive)
        archive.rebuild()
        assert placements(archive) == before
        _expect(archive, tmp_path, expected)


def _finish(archive: Archive, expected: dict[int, bytes]) -> None:
    writer = archive.take(ALICE)
    epoch = writer.latest_epoch(INBOX.name)
    assert epoch is not None
    held = writer.archived(epoch)
    for uid, octets in expected.items():
        if uid not in held:
            writer.store(epoch, fetched(uid, octets))
    writer.put_folder_state(INBOX, state(epoch, archived=9))
    writer.checkpoint()
    writer.close()


def _expect(archive: Archive, directory: Path, expected: dict[int, bytes]) -> None:
    assert temporary_files(directory) == []
    assert {row.uid: b"".join(archive.octets(row.content_id)) for row in archive.placements()} == expected
    report = archive.verify(full=True)
    assert (report.is_clean, report.redundant, report.messages) == (True, (), 8)
    assert report.packs == len(pack_files(directory))
    assert report.checked_messages == 8  # no octets stand in two packs


def test_a_living_writers_file_is_not_swept(tmp_path: Path) -> None:
    """Even if two processes take an account at once, neither removes what the other is writing."""
    archive = archive_in(tmp_path)
    writer = archive.take(ALICE)
    writer.store(begin(writer), fetched(1))
    (living,) = temporary_files(tmp_path)
    dead = living.with_name(".0192f0c0a000-00000000aaaa.tar.zst.tmp")
    dead.write_bytes(b"left behind")

    archive._store.sweep("packs/team-a/alice/")

    assert temporary_files(tmp_path) == [living]
    writer.checkpoint()
    writer.close()
    assert read(archive, MAIL) == MAIL
    archive.close()


class _NoLinks(SystemDurability):
    """A file system such as some network ones."""

    def rename(self, temporary: Path, final: Path) -> None:
        original = os.link
        os.link = _refused
        try:
            super().rename(temporary, final)
        finally:
            os.link = original


def _refused(*_: object, **__: object) -> None:
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


def test_a_read_only_file_of_a_dead_writer_is_swept_by_any_user(tmp_path: Path) -> None:
    """Killed between chmod and rename: who is not root could not open it for writing, and no run began any more."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: MAIL})
    (pack,) = pack_files(tmp_path)
    left = pack.with_name(".0.tar.zst.tmp")
    left.write_bytes(b"half a pack")
    left.chmod(PACK_MODE)
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        code = 1
        try:
            if os.geteuid() == 0:
                os.chown(pack.parent, NOBODY, NOBODY)
                os.chown(left, NOBODY, NOBODY)
                for parent in (tmp_path, *tmp_path.parents):
                    if parent.owner() == "root" and parent != Path("/"):
                        parent.chmod(parent.stat().st_mode | 0o011)
                for directory in (tmp_path / "packs", pack.parent.parent):
                    directory.chmod(0o755)
                os.setresuid(NOBODY, NOBODY, NOBODY)
            LocalStore(tmp_path).sweep(pack.parent.relative_to(tmp_path).as_posix() + "/")
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert temporary_files(tmp_path) == []


def test_a_file_system_without_hard_links_will_do(tmp_path: Path) -> None:
    """The name is given by renaming then, and still replaces nothing."""
    durability = _NoLinks()
    with archive_in(tmp_path, durability=durability) as archive:
        fill(archive, {1: MAIL})
        assert read(archive, MAIL) == MAIL
    (pack,) = pack_files(tmp_path)
    other = tmp_path / "other"
    other.write_bytes(b"")
    with pytest.raises(FileExistsError):
        durability.rename(other, pack)
