"""Scheduler, attempts and writers as the process joins them, on a fake API server, with fake runs, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from archivmail.decide.spreading import EXACT, Spread
from archivmail.kube.api import Document
from archivmail.kube.attempt import Attempts
from archivmail.kube.driver import Driver
from archivmail.kube.events import EventSender
from archivmail.kube.refreshtokens import RefreshTokens
from archivmail.kube.results import ResultKeeper
from archivmail.kube.scheduler import Scheduler
from archivmail.kube.secretreader import SecretReader
from archivmail.kube.slots import Slots
from archivmail.kube.statuswriter import StatusWriter
from archivmail.kube.turns import Turns
from archivmail.model.account import AccountRef, ObjectUid
from archivmail.model.errors import ArchiveUnavailable
from archivmail.model.folder import FolderName
from archivmail.model.message import ContentId, Stored
from archivmail.model.outcome import AccountOutcome, Failure, FolderOutcome, MessageCounts, Result
from archivmail.model.reasons import Reason
from archivmail.observe.metrics import Metrics
from archivmail.sync.account import Job
from archivmail.sync.ports import Watcher
from tests.kube.runtime.fakeapi import FakeApi
from tests.kube.runtime.virtualtime import run

T0 = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
ALICE = AccountRef("team-a", "alice")
LOOK_S = 0.5  # how often a fake run looks at its flag


@dataclass
class Run:
    """One run as it went; times in seconds since T0."""

    ref: AccountRef
    began: float
    forced: bool
    secret_version: str
    password: str
    ended: float | None = None
    was_stopped: bool = False


@dataclass
class Fate:
    """What a run does: lasts so long, then ends like this."""

    lasts_s: float = 1.0
    is_deaf: bool = False
    failure: Failure | None = None
    error: BaseException | None = None
    during: Callable[[Watcher], None] = lambda _: None
    keeps_messages: bool = False
    """It archives a message at once, and one more with each look at its flags."""


@dataclass
class Stopped:
    """Kopf's `stopped`."""

    event: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> None:
        await self.event.wait()


class World:
    """Everything together. Use inside `in_world`."""

    def __init__(
        self,
        slots: int = 8,
        spread: Callable[[str], Spread] = lambda _: EXACT,
        host_room: int | None = None,
        api: FakeApi | None = None,
    ) -> None:
        """With `api`, everything that a process holds is new, and the cluster is as it was."""
        self.api = api or FakeApi()
        if api is None:
            self.api.put_secret("team-a", "alice", username="alice", password="correct horse")
        self.metrics = Metrics()
        self.may_write: Callable[[], bool] = lambda: True
        self.runs: list[Run] = []
        self.fates: dict[AccountRef, Fate] = {}
        self.saved: dict[AccountRef, dict[str, object]] = {}
        self.events = EventSender(self.api, self.clock, instance="pod", count_lost=self.metrics.events_lost)
        secrets = SecretReader(self.api)
        keeper = ResultKeeper(StatusWriter(self.api, self._may_write), self._save)
        attempts = Attempts(
            api=self.api,
            secrets=secrets,
            keeper=keeper,
            events=self.events,
            tokens=RefreshTokens(self.api, self.events),
            turns=Turns(Slots(slots, self.metrics.slots_in_use, lambda _: host_room), self.metrics.queue_waited),
            start_run=self._start,
            metrics=self.metrics,
            clock=self.clock,
            spread=spread,
        )
        driver = Driver(api=self.api, attempts=attempts, keeper=keeper, secrets=secrets, clock=self.clock)
        self.catalog_takes_s = 0.0
        self.catalog_is_away = False
        self.at_the_catalog: list[int] = [0]
        """How many statuses were being kept at once."""
        self.deleted: list[AccountRef] = []
        """Whose deletion the catalog has heard of."""
        self.all_attended: list[float] = []
        """When every account that was known had a driver."""
        self.scheduler = Scheduler(
            driver=driver,
            events=self.events,
            account_deleted=self._account_deleted,
            all_attended=lambda: self.all_attended.append(self.now),
        )
        self._stopped: dict[str, Stopped] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.api.watch(self._watched, alone=True)
        self._sending = asyncio.ensure_future(self.events.run())

    def lists(self) -> None:
        """A process that starts finds what is there."""
        for document in self.api.documents():
            self._watched("ADDED", document)

    def clock(self) -> datetime:
        return T0 + timedelta(seconds=self.now)

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def runs_of(self, ref: AccountRef = ALICE) -> list[Run]:
        return [each for each in self.runs if each.ref == ref]

    def starts(self, ref: AccountRef = ALICE) -> list[float]:
        """When runs began, in whole seconds."""
        return [round(each.began) for each in self.runs_of(ref)]

    def reasons(self) -> list[str]:
        return [each["reason"] for each in self.api.events]

    async def passes(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def drives(self, ref: AccountRef = ALICE) -> bool:
        """A driver of that account, or of one of its name, is still there."""
        return any(not task.done() for key, task in self._tasks.items() if key.startswith(f"{ref} "))

    async def kopf_stops(self, document: Document) -> None:
        """Kopf ends the timer: deletion, or the end of kopf."""
        uid = document["metadata"]["uid"]
        self._stopped[uid].event.set()
        await asyncio.wait({task for key, task in self._tasks.items() if key.endswith(f" {uid}")})

    async def close(self) -> None:
        await self.scheduler.shut_down(20)
        for task in (*self._tasks.values(), self._sending):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    # --- kopf --------------------------------------------------------------------------------------------------------

    def _watched(self, kind: str, document: Document) -> None:
        """What handlers.py does with an event, and kopf with a new object."""
        metadata = document["metadata"]
        uid = metadata["uid"]
        if kind == "DELETED":
            self.scheduler.forget(ObjectUid(uid))
            return
        self.scheduler.observe(document)
        if uid not in self._stopped:
            stopped = self._stopped[uid] = Stopped()
            key = f"{metadata['namespace']}/{metadata['name']} {uid}"
            self._tasks[key] = asyncio.ensure_future(self.scheduler.attend(ObjectUid(uid), stopped))

    # --- runs --------------------------------------------------------------------------------------------------------

    def _start(
        self, job: Job, watcher: Watcher, should_stop: Callable[[], bool], should_give_way: Callable[[], bool]
    ) -> asyncio.Future[AccountOutcome]:
        return asyncio.ensure_future(self._run(job, watcher, should_stop, should_give_way))

    async def _run(
        self, job: Job, watcher: Watcher, should_stop: Callable[[], bool], should_give_way: Callable[[], bool]
    ) -> AccountOutcome:
        password = job.credentials.password.reveal() if job.credentials.password else ""
        assert all(each.ended is not None for each in self.runs_of(job.ref)), "two runs of one account at once"
        this = Run(job.ref, self.now, job.forced, job.secret_version, password)
        self.runs.append(this)
        fate = self.fates.get(job.ref, Fate())
        began, end = self.clock(), self.now + fate.lasts_s
        fate.during(watcher)
        while self.now < end and (fate.is_deaf or not should_stop()):
            if fate.keeps_messages:
                watcher.message_stored(1000, STORED)
            if should_give_way():
                this.ended, fate.lasts_s = self.now, end - self.now
                return outcome(job, began, self.clock(), failure=TURN_OVER)
            await asyncio.sleep(end - self.now if fate.is_deaf else min(LOOK_S, end - self.now))
        this.ended, this.was_stopped = self.now, should_stop()
        if fate.error is not None:
            raise fate.error
        return outcome(job, began, self.clock(), was_stopped=this.was_stopped, failure=fate.failure)

    def _may_write(self) -> bool:
        return self.may_write()

    async def _save(self, ref: AccountRef, document: dict[str, object]) -> None:
        self.at_the_catalog.append(self.at_the_catalog[-1] + 1)
        try:
            await asyncio.sleep(self.catalog_takes_s)
        finally:
            self.at_the_catalog.append(self.at_the_catalog[-1] - 1)
        self.saved[ref] = document

    async def _account_deleted(self, ref: AccountRef) -> None:
        await asyncio.sleep(self.catalog_takes_s)
        if self.catalog_is_away:
            raise ArchiveUnavailable("The catalog does not answer; start it.")
        self.deleted.append(ref)


def outcome(
    job: Job, began: datetime, ended: datetime, *, was_stopped: bool = False, failure: Failure | None = None
) -> AccountOutcome:
    """What a run of one folder gives."""
    if was_stopped:
        return AccountOutcome(Result.INTERRUPTED, began, ended, secret_version=job.secret_version)
    if failure is TURN_OVER:
        counts = MessageCounts(server=3, archived=1, pending=2)
        inbox = FolderOutcome(FolderName(b"INBOX"), "INBOX", counts, passed_at=ended, added=1)
        return AccountOutcome(Result.INTERRUPTED, began, ended, folders=(inbox,), selected=1, failure=failure, added=1)
    if failure is not None:
        return AccountOutcome(Result.FAILED, began, ended, failure=failure, secret_version=job.secret_version)
    counts = MessageCounts(server=3, archived=3)
    inbox = FolderOutcome(FolderName(b"INBOX"), "INBOX", counts, passed_at=ended, added=3, complete=True)
    return AccountOutcome(
        Result.SUCCEEDED, began, ended, folders=(inbox,), selected=1, added=3, secret_version=job.secret_version
    )


REFUSED = Failure(Reason.AUTHENTICATION_FAILED, "the server refused the password", needs_user=True, stage="login")
TURN_OVER = Failure(Reason.GAVE_WAY, "others waited for this turn", stage="fetch")
STORED = Stored(ContentId(bytes(32)), is_new_content=True, is_new_placement=True)
LOST = Failure(Reason.CONNECTION_FAILED, "the connection broke", stage="connect")


def in_world(story: Callable[[World], Coroutine[Any, Any, None]], **settings: Any) -> None:
    """Tell a story in virtual time and end the world."""

    async def told() -> None:
        world = World(**settings)
        try:
            await story(world)
        finally:
            await world.close()

    run(told())
