"""A real mail server, a real archive, and a run between them into which the test's hand may reach."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from archivmail.app import connector
from archivmail.archive.opening import open_archive
from archivmail.archive.rows import PlacementRow
from archivmail.model.account import (
    AccountRef,
    AccountSpec,
    Credentials,
    Endpoint,
    FolderRules,
    Mechanism,
    Secret,
    TlsMode,
)
from archivmail.model.foldernames import display
from archivmail.model.message import Stored
from archivmail.model.outcome import AccountOutcome, FolderOutcome, Result
from archivmail.sync.account import Job, run
from archivmail.sync.ports import Connect, MailServer
from tests.servers.fixtures import Mailbox
from tests.sync.conftest import Quiet

REF = AccountRef("team-a", "alice")
Moment = Callable[..., None]
"""Told the step that is about to be taken with its arguments, and `message` after each message that was stored."""


class Watcher(Quiet):
    """Keeps the octets of each message that was taken in: 0 for those that needed no download."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: list[int] = []

    def message_stored(self, size: int, stored: Stored) -> None:
        self.stored.append(size)


class Reached:
    """A session that lets `moment` act before each step and after each message; else it is the session."""

    def __init__(self, session: MailServer, moment: Moment) -> None:
        self._session = session
        self._moment = moment

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._session, name)
        return partial(self._step, name, attribute) if callable(attribute) else attribute

    def _step(self, name: str, step: Callable[..., Any], *arguments: Any) -> Any:
        self._moment("fetch" if name.startswith("fetch") else name, *arguments)
        deliver = next((each for each in arguments if callable(each)), None)
        return step(*(self._told(each) if callable(each) and each is deliver else each for each in arguments))

    def _told(self, deliver: Callable[..., None]) -> Callable[..., None]:
        def delivered(*arguments: Any) -> None:
            deliver(*arguments)
            self._moment("message")

        return delivered


class ReachedConnect:
    """How the product connects, with sessions that are within reach."""

    def __init__(self, moment: Moment, connect: Connect | None = None) -> None:
        self._connector = connect or connector()
        self._moment = moment

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return Reached(self._connector(*arguments, **options), self._moment)


class World:
    """One account of one mailbox, with a clock that stands still until it is moved."""

    def __init__(self, mailbox: Mailbox, folder: Path) -> None:
        self.mailbox, self.server, self.user = mailbox, mailbox.server, mailbox.user
        self.password = mailbox.password
        server = mailbox.server
        self.endpoint = Endpoint(server.host, server.tls_port, TlsMode.IMPLICIT, ca_pem=server.ca_pem)
        self.folder = folder
        self.archive = open_archive(str(folder), create=True)
        self.now = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
        self.watcher = Watcher()
        self.moment: Callable[[str], None] = lambda _: None
        self.awaited: str | None = None
        self.connect: Connect | None = None
        """How to connect, if not as the product does."""
        self.opened: set[str] = set()
        """The folder that the run has open; before EXAMINE the one that it opens next, too."""

    def close(self) -> None:
        self.archive.close()

    # --- the run -----------------------------------------------------------------------------------------------------

    def sync(self, *, forced: bool = False, rules: FolderRules | None = None) -> AccountOutcome:
        self.watcher = Watcher()
        spec = AccountSpec(
            host=self.endpoint.host,
            port=self.endpoint.port,
            secret_name=self.user,
            timeout=timedelta(hours=1),
            rules=rules or FolderRules(),
        )
        job = Job(
            ref=REF,
            spec=spec,
            endpoint=self.endpoint,
            credentials=Credentials(Mechanism.PASSWORD, self.user, Secret(self.password)),
            forced=forced,
        )
        outcome = run(
            job,
            connect=ReachedConnect(self._at, self.connect),
            open_account=self.archive.take,
            watcher=self.watcher,
            clock=lambda: self.now,
            should_stop=lambda: False,
        )
        self.opened = set()
        assert self.awaited is None, f"the run took no step {self.awaited!r}, so nothing happened in it"
        return outcome

    def _at(self, step: str, *arguments: Any) -> None:
        before = self.opened
        if step == "examine":
            name = display(arguments[0].name)
            self.opened = before | {name}
        self.moment(step)
        if step == "examine":
            self.opened = {name}

    def once(self, step: str, act: Callable[[], object], *, at: int = 1) -> None:
        """Let `act` happen at the `at`-th `step` of the next run, and never again."""
        seen = Counter[str]()

        def moment(name: str) -> None:
            seen[name] += 1
            if name == step and seen[name] == at:
                self.awaited = None
                act()

        self.awaited = step
        self.moment = moment

    def quietly(self) -> None:
        """Runs are left alone from now on."""
        self.moment = lambda _: None

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)

    # --- what is held, and what is there -----------------------------------------------------------------------------

    def rows(self) -> list[PlacementRow]:
        return list(self.archive.placements())

    def held(self) -> dict[tuple[str, int, int], bytes]:
        """SHA-256 of the octets as they are read back, by (folder, UIDVALIDITY, UID)."""
        known: dict[bytes, bytes] = {}
        found = {}
        for row in self.rows():
            if row.content_id not in known:
                known[row.content_id] = hashlib.sha256(b"".join(self.archive.octets(row.content_id))).digest()
            found[display(row.folder), int(row.uid_validity), int(row.uid)] = known[row.content_id]
        return found

    def listed(self) -> dict[tuple[str, int, int], bytes]:
        """The same of what the server holds now, asked by the test's own client."""
        return {
            (folder, self.server.uid_validity(self.user, folder), uid): hashlib.sha256(octets).digest()
            for folder, messages in self.server.all_messages(self.user).items()
            for uid, octets in messages.items()
        }

    def assert_complete(self, outcome: AccountOutcome) -> None:
        """The run says that all is archived, and so it is, octet for octet; the counts are those of the server."""
        listed, held = self.listed(), self.held()

        assert (Result.SUCCEEDED, None) == (outcome.result, outcome.failure), outcome
        assert listed == {key: held.get(key) for key in listed}
        assert Counter(folder for folder, _, _ in listed) == {
            each.display: each.counts.server for each in outcome.folders if each.counts.server
        }
        assert all(each.complete and each.counts.archived == each.counts.server for each in outcome.folders)


def folder_of(outcome: AccountOutcome, name: str) -> FolderOutcome:
    return next(each for each in outcome.folders if each.display == name)
