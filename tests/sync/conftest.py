"""A run over a mail server in memory into a real archive on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archivmail.archive.archive import Archive
from archivmail.archive.opening import open_archive
from archivmail.model.account import (
    AccountRef,
    AccountSpec,
    Credentials,
    Endpoint,
    FolderRules,
    Mechanism,
    Rotation,
    Secret,
)
from archivmail.model.message import Stored
from archivmail.model.outcome import AccountOutcome, Progress
from archivmail.model.uidset import UidValidity
from archivmail.sync.account import Job, run
from tests.sync.mailserver import FakeServer

REF = AccountRef("team-a", "alice")
SPEC = AccountSpec(host="imap.example.org", port=993, secret_name="alice", timeout=timedelta(hours=1))


class Quiet:
    """A watcher that keeps what tests ask for."""

    def __init__(self) -> None:
        self.resets: list[tuple[str, int, int]] = []
        self.failures: list[tuple[str, str]] = []

    def progressed(self, progress: Progress) -> None: ...

    def message_stored(self, size: int, stored: Stored) -> None: ...

    def folder_reset(self, folder: str, before: UidValidity, after: UidValidity) -> None:
        self.resets.append((folder, before, after))

    def imap_failed(self, stage: str, reason: str) -> None:
        self.failures.append((stage, reason))

    def archive_written(self, seconds: float, octets: int) -> None: ...

    def token_rotated(self, rotation: Rotation) -> None: ...


class World:
    """A server, an archive and a clock that stands still until it is moved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.archive: Archive = open_archive(str(folder), create=True)
        self.server = FakeServer()
        self.now = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
        self.watcher = Quiet()
        self.should_stop: Callable[[], bool] = lambda: False
        self.should_give_way: Callable[[], bool] = lambda: False

    def sync(self, *, forced: bool = False, rules: FolderRules | None = None) -> AccountOutcome:
        job = Job(
            ref=REF,
            spec=replace(SPEC, rules=rules or FolderRules()),
            endpoint=Endpoint("imap.example.org", 993),
            credentials=Credentials(Mechanism.PASSWORD, "alice", Secret("pass")),
            forced=forced,
        )
        return run(
            job,
            connect=self.server,
            open_account=self.archive.take,
            watcher=self.watcher,
            clock=lambda: self.now,
            should_stop=self.is_told_to_stop,
            should_give_way=self.should_give_way,
        )

    def is_told_to_stop(self) -> bool:
        """Asks the test's function as it is now: a test may change it in mid-run."""
        return self.should_stop()

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    def placements(self) -> dict[tuple[bytes, int, int], bytes]:
        """Octets by (folder, UIDVALIDITY, UID)."""
        return {
            (row.folder, row.uid_validity, row.uid): b"".join(self.archive.octets(row.content_id))
            for row in self.archive.placements()
        }

    def of_inbox(self) -> dict[int, bytes]:
        """Octets by UID of the present UIDVALIDITY."""
        return {
            uid: octets
            for (folder, validity, uid), octets in self.placements().items()
            if folder == b"INBOX" and validity == (self.server.inbox.validity or 0)
        }

    def audit(self) -> list[str]:
        return [entry.kind for entry in self.archive.audit_entries()]

    def packs(self) -> int:
        return len(list((self.folder / "packs").rglob("*.tar.zst")))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "archive")
    yield made
    made.archive.close()
