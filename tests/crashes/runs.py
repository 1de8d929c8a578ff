"""One run of an account in a process of its own, which may end itself at a point, and what must be true afterwards."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from archivmail.archive.archive import Archive
from archivmail.model.account import AccountRef, AccountSpec, Credentials, Endpoint, Mechanism, Secret
from archivmail.model.outcome import AccountOutcome, Result
from archivmail.model.reasons import Reason
from archivmail.sync.account import Job, run
from tests.archive.builders import placements
from tests.crashes.points import open_told
from tests.sync.conftest import Quiet
from tests.sync.mailserver import FakeFolder, FakeServer

STEP = timedelta(seconds=2)  # of the run's clock at each look: a checkpoint comes every few messages
LOCK_WAIT_S = 30.0  # the server notices soon, not at once, that a process was killed


@dataclass(slots=True)
class Mail:
    """What the mail server holds: UIDVALIDITY and texts by UID, by folder."""

    folders: dict[str, tuple[int, dict[int, str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, owner: str, *, messages: int = 12) -> Mail:
        """Three folders; every fourth message stands in two of them."""
        folders = {
            name: (7, {uid: f"{owner} {name} {uid}" for uid in range(1, messages // 3 + 1)})
            for name in ("INBOX", "Sent", "Archive/2026")
        }
        for uid in range(1, messages // 3 + 1, 4):
            folders["Sent"][1][uid] = f"{owner} INBOX {uid}"
        return cls(folders)

    def server(self) -> FakeServer:
        return FakeServer(
            **{
                name: FakeFolder(
                    validity=validity,
                    messages={int(uid): octets(text) for uid, text in texts.items()},
                    next_uid=max((int(uid) for uid in texts), default=0) + 1,
                )
                for name, (validity, texts) in self.folders.items()
            }
        )

    def expected(self) -> dict[tuple[bytes, int, int], bytes]:
        """Octets by folder, UIDVALIDITY and UID."""
        return {
            (name.encode(), validity, uid): octets(text)
            for name, (validity, texts) in self.folders.items()
            for uid, text in texts.items()
        }


def octets(text: str) -> bytes:
    """A message of some kilobytes that does not compress."""
    noise = b"".join(sha256(f"{text} {number}".encode()).digest() for number in range(100))
    return b"Subject: %s\r\n\r\n%s" % (text.encode(), noise)


@dataclass(frozen=True, slots=True)
class Task:
    """What a child process does."""

    archive: str
    catalog: str | None
    account: str
    mail: Mail
    dies_at: int | None = None
    """The point, counted from 1, at which it ends itself by SIGKILL."""
    is_locked: bool = True
    more: dict[str, Mail] = field(default_factory=dict)
    """Accounts to archive afterwards."""

    def to_wire(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_wire(cls, wire: dict[str, object]) -> Task:
        mail, more = wire.pop("mail"), wire.pop("more")
        assert isinstance(mail, dict)
        assert isinstance(more, dict)
        others = {account: Mail(each["folders"]) for account, each in more.items()}
        return cls(**wire, mail=Mail(mail["folders"]), more=others)  # type: ignore[arg-type]


def perform(task: Task) -> tuple[str, int]:
    """One run; its result and the number of points it passed."""
    passed: list[str] = []

    def tell(point: str) -> None:
        passed.append(point)
        if len(passed) == task.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with open_told(task.archive, task.catalog, tell, is_locked=task.is_locked) as archive:
        for account, mail in {task.account: task.mail, **task.more}.items():
            outcome = sync(archive, account, mail)
            if outcome.result is not Result.SUCCEEDED:
                break
    failure = "" if outcome.failure is None else f": {outcome.failure.text}"
    return f"{outcome.result.value}{failure}", len(passed)


def sync(archive: Archive, account: str, mail: Mail) -> AccountOutcome:
    """A run; waits while the server still holds the lock of a process that was killed."""
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        outcome = _run(archive, account, mail)
        is_held = outcome.failure is not None and outcome.failure.reason is Reason.RUN_IN_PROGRESS
        if not is_held or time.monotonic() > deadline:
            return outcome
        time.sleep(0.01)


def _run(archive: Archive, account: str, mail: Mail) -> AccountOutcome:
    now = [datetime(2026, 11, 20, 10, 0, tzinfo=UTC)]

    def clock() -> datetime:
        now[0] += STEP
        return now[0]

    job = Job(
        ref=AccountRef("team-a", account),
        spec=AccountSpec(host="imap.example.org", port=993, secret_name="alice", timeout=timedelta(hours=24)),
        endpoint=Endpoint("imap.example.org", 993),
        credentials=Credentials(Mechanism.PASSWORD, "alice", Secret("pass")),
        forced=True,
    )
    return run(
        job,
        connect=mail.server(),
        open_account=archive.take,
        watcher=Quiet(),
        clock=clock,
        should_stop=lambda: False,
    )


def require_whole(archive: Archive, account: str, mail: Mail, *, is_alone: bool = True) -> None:
    """The archive holds what the server has, each message under its place, and nothing twice.

    `is_alone` false: two writers may each have begun an epoch of a folder, and a message then stands in both.
    """
    rows = [row for row in archive.placements() if row.account == AccountRef("team-a", account)]
    found = {(row.folder, row.uid_validity, row.uid): b"".join(archive.octets(row.content_id)) for row in rows}
    expected = mail.expected()
    assert {key: found.get(key) for key in expected} == expected
    assert len(rows) == len({(row.folder, 0 if is_alone else row.epoch, row.uid_validity, row.uid) for row in rows})


def require_sound(archive: Archive, *, contents: int | None = None) -> None:
    """Packs and catalog agree in both directions, and the packs alone give the same catalog."""
    report = archive.verify(full=True)
    assert ((), (), (), ()) == (report.missing, report.corrupt, report.orphans, report.redundant)
    if contents is not None:
        assert contents == report.messages
    before = placements(archive)
    rebuilt = archive.rebuild()
    assert ((), ()) == (rebuilt.missing, rebuilt.corrupt)
    assert before == placements(archive)


def distinct(mails: Iterable[Mail]) -> int:
    """Contents of these accounts."""
    return sum(len(set(mail.expected().values())) for mail in mails)


SUCCEEDED = Result.SUCCEEDED.value
