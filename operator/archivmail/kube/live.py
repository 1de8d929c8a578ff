"""One ImapAccount as the operator knows it between events: what was last seen of it, and who must be woken.

Knows how to read a document; knows no API server, no rule.
"""

import asyncio
import contextlib
import math
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from archivmail.kube.api import Document
from archivmail.kube.resource import REQUESTED_AT, ImapAccountHead, parse, parse_head
from archivmail.model.account import AccountRef, AccountSpec, ObjectUid, Rotation
from archivmail.model.errors import SpecInvalid
from archivmail.model.status import AccountStatus

NEVER = datetime.fromtimestamp(0, UTC)  # the API server gives every object a time of creation


@dataclass(frozen=True, slots=True)
class Seen:
    """The parts of an object that decide about runs. `problem` stands where `spec` could not be read."""

    uid: ObjectUid
    ref: AccountRef
    generation: int
    requested_at: str | None
    created_at: datetime
    is_deleted: bool
    spec: AccountSpec | None
    problem: SpecInvalid | None = None

    @property
    def is_suspended(self) -> bool:
        return self.spec is not None and self.spec.suspend


Marks = tuple[object, ...]


def marks(document: Document) -> Marks:
    """What of an object can matter to us, without reading all of it: most events are our own writes come back."""
    metadata = document["metadata"]
    requested = (metadata.get("annotations") or {}).get(REQUESTED_AT)
    was_attempted = "lastAttemptTime" in (document.get("status") or {})
    return metadata.get("generation"), metadata.get("deletionTimestamp"), requested, was_attempted


def seen(document: Document) -> tuple[Seen, AccountStatus]:
    """Read an object of the API server, and its status. Never raises for what a user can write."""
    head: ImapAccountHead
    spec, problem = None, None
    try:
        head = parsed = parse(document)
        spec = parsed.spec
    except SpecInvalid as error:
        head, problem = parse_head(document), error
    now = Seen(
        uid=head.uid,
        ref=head.ref,
        generation=head.generation,
        requested_at=head.requested_at,
        created_at=head.created_at or NEVER,
        is_deleted=head.is_deleting,
        spec=spec,
        problem=problem,
    )
    return now, head.status


@dataclass(slots=True)
class LiveAccount:
    """Mutable, in the event loop alone, except for `stop`, which the thread of a run reads."""

    seen: Seen
    status: AccountStatus
    """The last known status without its folders: accounts are many, and a status can be long."""
    shown: AccountStatus = field(default_factory=AccountStatus)
    """The last status that was written or read, without its folders."""
    written_at: float = -math.inf
    """Loop time of the last write."""
    unsaved: AccountStatus | None = None
    """A whole status that could not be written yet."""
    marks: Marks = ()
    """Of the event that was read last."""
    save_at: float = 0.0
    """Loop time of the next attempt to write `unsaved`."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    must_look: bool = False
    """Something happened that only a fresh GET can tell."""
    must_look_at_secret: bool = False
    """The watch showed a version that we do not know."""
    has_new_secret: bool = False
    secret_due_at: float | None = None
    """Loop time of the next look at the Secret that the account waits for."""
    secret_version: str | None = None
    """Version of the Secret at the last attempt, "" when it was missing; None before the first attempt."""
    new_token: Rotation | None = None
    """A refresh token that is not kept yet."""
    told_of_token: str = ""
    """The last Event about refresh tokens."""
    token_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    stop: threading.Event | None = None
    """The abort flag of the run that goes on, and the generation that the run was started for."""
    run_generation: int = 0
    is_gone: bool = False
    """The object is not there any more, or another one has its name."""
    is_released: bool = False
    """Kopf, or the end of the process, takes the account out of our hands."""
    is_paused: bool = False
    """This process serves no account at present (it has lost its Lease)."""
    driver: asyncio.Lock = field(default_factory=asyncio.Lock)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while no run goes on."""

    def __post_init__(self) -> None:
        self.idle.set()

    @property
    def ref(self) -> AccountRef:
        return self.seen.ref

    @property
    def known_secret_version(self) -> str:
        """Of the last attempt, in this process or before."""
        return self.status.observed_secret_version or "" if self.secret_version is None else self.secret_version

    @property
    def is_leaving(self) -> bool:
        """It is given up, for good or until kopf hands it over again."""
        return self.is_gone or self.is_released or self.seen.is_deleted

    @property
    def is_unwanted(self) -> bool:
        """No run may start now, and the one that goes on must end."""
        return self.is_leaving or self.is_paused or self.seen.is_suspended

    def has_shown(self, status: AccountStatus, at: float | None = None) -> None:
        """The API server has this status, `at` (loop time) by our own hand."""
        self.shown = replace(status, folders=())
        self.written_at = self.written_at if at is None else at

    def know(self, status: AccountStatus) -> None:
        """Keep what a later decision needs of a status."""
        self.status = replace(status, folders=())

    def look_at(self, now: Seen) -> None:
        """Take in what was just seen. What is older than what is known counts for nothing."""
        before = self.seen
        if now.generation < before.generation or (before.is_deleted and not now.is_deleted):
            return
        self.seen = now
        if now != before:
            self.changed.set()
            self._stop_unwanted_run()

    def leave(self, *, gone: bool = False) -> None:
        """Give the account up, for good when it is gone."""
        self.is_gone = self.is_gone or gone
        self.is_released = True
        self.changed.set()
        self._stop_unwanted_run()

    def pause(self, *, is_paused: bool) -> None:
        """Begin or end a time without runs."""
        self.is_paused = is_paused
        if not is_paused:
            self.unsaved = None  # whoever served the account meanwhile has written newer results
        self.changed.set()
        self._stop_unwanted_run()

    def run_started(self, stop: threading.Event, generation: int) -> None:
        """`stop` will be set as soon as the run is not wanted any more."""
        self.stop, self.run_generation = stop, generation
        self._stop_unwanted_run()

    def secret_replaced(self, before: str, after: str) -> None:
        """We changed the account's Secret ourselves: that is no reason to run again."""
        version, plus, ca_version = (self.secret_version or "").partition("+")
        if version == before:
            self.secret_version = after + plus + ca_version

    def run_ended(self) -> None:
        self.stop = None

    def _stop_unwanted_run(self) -> None:
        # A run for an older spec may archive what is excluded now: it ends, and the next one begins at once.
        is_outdated = self.seen.generation != self.run_generation
        if self.stop is not None and (self.is_unwanted or is_outdated):
            self.stop.set()

    async def wait(self, timeout_s: float | None, *others: "asyncio.Future[Any]") -> None:
        """Return when something changed, when one of the others is done, or after the time."""
        if timeout_s is not None and timeout_s <= 0:
            return
        if not others:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self.changed.wait()
            return
        change = asyncio.ensure_future(self.changed.wait())
        try:
            await asyncio.wait({change, *others}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            change.cancel()

    async def stay_with(self, work: "asyncio.Future[Any]", patience_s: float) -> None:
        """Return when `work` has ended, or that long after the account was given up or paused."""
        loop = asyncio.get_running_loop()
        give_up_at: float | None = None
        while not work.done():
            self.changed.clear()
            if (self.is_leaving or self.is_paused) and give_up_at is None:
                give_up_at = loop.time() + patience_s
            if give_up_at is not None and loop.time() >= give_up_at:
                return
            await self.wait(None if give_up_at is None else give_up_at - loop.time(), work)


def seconds(span: timedelta) -> float:
    """Not below zero."""
    return max(0.0, span.total_seconds())


def named(ref: AccountRef) -> dict[str, object]:
    """What a log line says about which account it is."""
    return {"namespace": ref.namespace, "account": ref.name}
