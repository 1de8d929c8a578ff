"""Two writers of one account at once, by mistake, do no harm (design §1, invariant 8)."""

import fcntl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.dialects import url_of
from archivmail.archive.catalog.pending import commit
from archivmail.archive.locking import AccountLocks
from archivmail.archive.packs.local import LocalStore
from archivmail.model.notices import AuditEvent
from tests.archive.builders import ALICE, INBOX, NoFsync, archive_in, begin, entry, fetched, fill, placements, state


def _unlocked(directory: Path) -> Archive:
    """The archive as a process sees it whose locks do not reach the other's."""
    return Archive(
        LocalStore(directory, NoFsync()), Database(url_of(directory / "catalog.db")), AccountLocks(None, NoFsync())
    )


def test_writers_that_alternate_store_nothing_twice(tmp_path: Path) -> None:
    """What one has saved, the other finds, even if it began before."""
    archive_in(tmp_path).close()
    with _unlocked(tmp_path) as here, _unlocked(tmp_path) as there:
        one, other = here.take(ALICE), there.take(ALICE)
        epoch = begin(one)
        one.store(epoch, fetched(1, b"first"))
        one.checkpoint()
        assert not other.store(epoch, fetched(1, b"first")).is_new_placement
        assert not other.store(epoch, fetched(2, b"first")).is_new_content
        other.checkpoint()
        one.close()
        other.close()

        assert [(row.uid, row.size) for row in here.placements()] == [(1, 5), (2, 5)]
        assert here.verify(full=True).is_clean


def test_both_may_save_the_same_messages(tmp_path: Path) -> None:
    """Neither knew of the other's: the octets stand twice, the placements once, and nobody fails."""
    archive_in(tmp_path).close()
    with _unlocked(tmp_path) as here, _unlocked(tmp_path) as there:
        one, other = here.take(ALICE), there.take(ALICE)
        epoch = begin(one)
        for writer in (one, other):
            writer.store(epoch, fetched(1, b"same"))
            writer.store(epoch, fetched(2, b"same"))
            writer.put_ledger(epoch, entry(3))
            writer.put_folder_state(INBOX, state(epoch, archived=2))
        one.checkpoint()
        other.checkpoint()
        one.close()
        other.close()
        before = placements(here)

        assert [row.uid for row in here.placements()] == [1, 2]
        report = here.verify(full=True)
        assert (report.is_clean, report.messages, report.packs) == (True, 1, 2)
        there.close()
        here.rebuild()
        assert placements(here) == before


def test_writers_in_a_race_lose_nothing(tmp_path: Path) -> None:
    """trap 17: many batches side by side, overlapping, with the audit trail in one chain."""
    archive_in(tmp_path).close()
    start = Barrier(2, timeout=30)

    def run(first: int) -> None:
        with _unlocked(tmp_path) as archive:
            start.wait()
            writer = archive.take(ALICE)
            epoch = writer.latest_epoch(INBOX.name) or begin(writer)
            for uid in range(first, first + 60):
                writer.store(epoch, fetched(uid, b"message %d" % uid))
                if uid % 7 == 0:
                    writer.checkpoint()
                    writer.record(AuditEvent("saved", "team-a", "alice", {"uid": uid}))
            writer.checkpoint()
            writer.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, [1, 31]))

    with archive_in(tmp_path) as archive:
        assert {row.uid for row in archive.placements()} == set(range(1, 91))
        assert archive.verify(full=True).is_clean
        trail = list(archive.audit_entries())
        assert all(each.is_intact for each in trail)
        assert len(trail) == sum(uid % 7 == 0 for first in (1, 31) for uid in range(first, first + 60))


def test_a_writer_that_was_overtaken_goes_on(tmp_path: Path) -> None:
    """A second process enters the first one's pack before the first could commit it: the commit finds all there."""
    with archive_in(tmp_path) as archive:
        fill(archive, {1: b"first"})
    with _unlocked(tmp_path) as here, _unlocked(tmp_path) as there:
        one = here.take(ALICE)
        epoch = one.latest_epoch(INBOX.name)
        assert epoch is not None
        one.store(epoch, fetched(2, b"second"))
        pack = one._keep_pack()
        assert pack is not None
        other = there.take(ALICE)
        assert str(other.archived(epoch)) == "1:2"
        other.close()
        with here._database.writing() as connection:
            commit(connection, one._account, one._pending, pack)
        one._pack = None
        one.close()

        assert [row.uid for row in here.placements()] == [1, 2]
        assert here.verify(full=True).is_clean


def test_draft_that_another_writer_sweeps_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment between creating a temporary file and locking it: the sweep takes it for a dead one."""
    store = LocalStore(tmp_path, NoFsync())
    flock, swept = fcntl.flock, []

    def swept_first(fd: int, operation: int) -> None:
        if not swept:
            swept.append(fd)
            LocalStore(tmp_path, NoFsync()).sweep("packs/team-a/alice")
        flock(fd, operation)

    monkeypatch.setattr("archivmail.archive.packs.local.fcntl.flock", swept_first)
    draft = store.draft("packs/team-a/alice/one.tar.zst")
    draft.write(b"octets")
    draft.keep()

    assert b"octets" == (tmp_path / "packs/team-a/alice/one.tar.zst").read_bytes()
    assert swept
