"""The whole engine against a scripted server: real session, real rules, real archive; only the server is ours."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from archivmail.archive.archive import Archive
from archivmail.archive.opening import open_archive
from archivmail.decide import status as statuses
from archivmail.decide.due import Trigger
from archivmail.decide.spreading import EXACT
from archivmail.imap.connector import Connector
from archivmail.imap.permits import Permits
from archivmail.model.account import AccountRef, AccountSpec, FolderRules, Rotation
from archivmail.model.message import ContentId, Stored
from archivmail.model.outcome import AccountOutcome, Progress, Result
from archivmail.model.reasons import Reason
from archivmail.model.status import AccountStatus, ConditionStatus, ConditionType
from archivmail.model.uidset import UidValidity
from archivmail.sync.account import Job, run
from archivmail.sync.ports import Connect
from tests.imap.sessions import QUICK

if TYPE_CHECKING:
    from archivmail.imap.limits import Limits
    from tests.servers.scripted import ScriptedServer

SPEC = AccountSpec(host="127.0.0.1", port=0, secret_name="alice", timeout=timedelta(hours=1))

Key = tuple[bytes, int, int]
"""Folder, UIDVALIDITY (0 for none), UID."""


@dataclass
class Watched:
    """A watcher that keeps what tests ask for."""

    failures: list[tuple[str, str]] = field(default_factory=list)

    def progressed(self, progress: Progress) -> None: ...

    def message_stored(self, size: int, stored: Stored) -> None: ...

    def folder_reset(self, folder: str, before: UidValidity, after: UidValidity) -> None: ...

    def imap_failed(self, stage: str, reason: str) -> None:
        self.failures.append((stage, reason))

    def archive_written(self, seconds: float, octets: int) -> None: ...

    def token_rotated(self, rotation: Rotation) -> None: ...


class Engine:
    """A server, an archive in a folder, and a clock that the test moves. Every run is checked against `truth`.

    What a run says is held against what the server really has and what the archive really holds, whatever the server
    did meanwhile: that is all the proof there is, so it stands here once and no quirk can leave it out.
    """

    def __init__(
        self, where: Path | Archive, server: ScriptedServer, *, limits: Limits = QUICK, account: str = "alice"
    ) -> None:
        """`where`: a folder in which an archive is made, or an archive that is shared with other accounts."""
        self.server = server
        self.ref = AccountRef("team-a", account)
        self.is_shared = isinstance(where, Archive)
        self.archive = where if isinstance(where, Archive) else open_archive(str(where / "archive"), create=True)
        self.now = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
        self.connector: Connect = Connector(Permits(100), limits=limits)
        self.watched = Watched()
        self.status = AccountStatus()
        self._contents: dict[ContentId, bytes] = {}
        """Read back once: `verify` looks at each octet again in the end."""
        self.history: dict[Key, set[bytes]] = {}
        """Every octet string that the server ever really had under a key: nothing else may be in the archive."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.is_shared:
            self.archive.close()

    def truth(self) -> dict[Key, bytes]:
        """What the server has now, hidden or not."""
        return {
            (name, folder.uid_validity or 0, uid): message.octets
            for name, folder in self.server.folders.items()
            for uid, message in folder.messages.items()
        }

    def held(self) -> dict[Key, bytes]:
        """What the archive has, read back from its packs."""
        found: dict[Key, bytes] = {}
        truth = self.truth()
        for row in self.archive.placements(namespace=self.ref.namespace, account=self.ref.name):
            octets = self._contents.get(row.content_id)
            if octets is None:
                octets = self._contents[row.content_id] = b"".join(self.archive.octets(row.content_id))
            key = (row.folder, int(row.uid_validity), int(row.uid))
            assert octets in self.history.get(key, set()), f"{key} is archived with octets that it never had"
            if found.get(key) != truth.get(key, octets):
                found[key] = octets  # of several epochs with one UIDVALIDITY the one that stands now
        return found

    def sync(self, *, forced: bool = False, rules: FolderRules | None = None, sees_all: bool = True) -> AccountOutcome:
        """One run, a minute after the one before; what it says must be true.

        `sees_all`: no folder of the server is left out, so success means that everything is archived.
        """
        self.now += timedelta(minutes=1)
        self.note()
        job = Job(
            ref=self.ref,
            spec=replace(SPEC, rules=rules or FolderRules()),
            endpoint=self.server.endpoint,
            credentials=self.server.credentials,
            forced=forced,
        )
        began = statuses.begin(self.status, generation=1, trigger=Trigger.REQUEST, now=self.now)
        outcome = run(
            job,
            connect=self.connector,
            open_account=self.archive.take,
            watcher=self.watched,
            clock=lambda: self.now,
            should_stop=lambda: False,
        )
        self.note()
        self.status = statuses.finish(
            began, outcome, spec=SPEC, generation=1, requested_at=None, now=self.now, spread=EXACT
        )
        self._check(outcome, sees_all=sees_all)
        return outcome

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    def note(self) -> None:
        """The server's content is about to be changed: what it had may be in the archive."""
        for key, octets in self.truth().items():
            self.history.setdefault(key, set()).add(octets)

    @property
    def is_complete(self) -> bool:
        """What the condition says."""
        condition = self.status.condition(ConditionType.COMPLETE)
        return condition is not None and condition.status is ConditionStatus.TRUE

    @property
    def reason(self) -> Reason | None:
        """Why it is not complete."""
        condition = self.status.condition(ConditionType.COMPLETE)
        return condition.reason if condition is not None else None

    # --- what must hold after every run ------------------------------------------------------------------------------

    def _check(self, outcome: AccountOutcome, *, sees_all: bool) -> None:
        held = self.held()
        for folder in outcome.folders:
            counts = folder.counts
            assert counts.server == counts.archived + counts.pending + counts.quarantined, folder
            assert counts.archived <= len([key for key in held if key[0] == folder.name]), folder
        if outcome.result is Result.SUCCEEDED:
            assert outcome.failure is None
            assert all(folder.complete for folder in outcome.folders)
            missing = self.truth().keys() - held.keys() if sees_all else set()
            assert not missing, f"the run succeeded without {sorted(missing)}"
        assert self.is_complete is (outcome.result is Result.SUCCEEDED), (outcome.result, self.status.conditions)
        assert outcome.added <= len(held)

    def require_all(self) -> None:
        """Everything the server has is archived, nothing stands twice in the packs, and every octet is sound."""
        held = self.held()
        truth = self.truth()
        assert {key: held.get(key) for key in truth} == truth
        if self.is_shared:
            return  # verified by whoever shares it
        report = self.archive.verify(full=True)
        assert report.is_clean, report
        assert report.messages == len(set(held.values()))
