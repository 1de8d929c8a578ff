"""One attempt at one account: its turn, the fresh object, the Secret, the run, the result. Knows no schedule.

The object is read when the turn has come: what a run is told is what the API server says at its start, not what a watch
said before a long wait in the queue.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from archivmail.decide import status as statuses
from archivmail.decide.due import RunNow, Step, Trigger
from archivmail.decide.givingway import gives_way
from archivmail.decide.notices import notices
from archivmail.decide.spreading import Spread, spread_of
from archivmail.decide.writing import START_SHOWN_AFTER_S, WRITE_EVERY_S, is_awaited
from archivmail.kube.api import Document, KubeApi
from archivmail.kube.events import EventSender
from archivmail.kube.live import LiveAccount, Seen, named
from archivmail.kube.looking import look
from archivmail.kube.progress import RunWatcher, during
from archivmail.kube.refreshtokens import RefreshTokens
from archivmail.kube.results import ResultKeeper
from archivmail.kube.secretreader import Access, SecretReader
from archivmail.kube.turns import Turn, Turns
from archivmail.model.account import AccountSpec, Rotation
from archivmail.model.errors import ArchivmailError
from archivmail.model.outcome import AccountOutcome, Failure, Result
from archivmail.model.reasons import Reason
from archivmail.model.status import AccountStatus
from archivmail.observe.metrics import Metrics
from archivmail.sync.account import Job
from archivmail.sync.ports import Clock, Watcher

ABANDON_AFTER_S = 6.0
"""How long the end of a run is waited for when the account leaves us. A run looks at its flag between messages and
while it waits for the server. One that still does not end is left alone: it keeps its turn, and writes are idempotent.
"""

StartRun = Callable[[Job, Watcher, Callable[[], bool], Callable[[], bool]], "asyncio.Future[AccountOutcome]"]
"""Job, watcher, "should it stop?", "should it give way at its next batch?"; the questions come from another thread."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Begun:
    """What an attempt started from."""

    seen: Seen
    spec: AccountSpec
    trigger: Trigger
    status: AccountStatus
    document: Document | None
    """The object as it is after our last write, if that is known."""


class Attempts:
    """Makes attempts. For one event loop."""

    def __init__(
        self,
        *,
        api: KubeApi,
        secrets: SecretReader,
        keeper: ResultKeeper,
        events: EventSender,
        tokens: RefreshTokens,
        turns: Turns,
        start_run: StartRun,
        metrics: Metrics,
        clock: Clock,
        spread: Callable[[str], Spread] = spread_of,
    ) -> None:
        self._api = api
        self._secrets = secrets
        self._keeper = keeper
        self._events = events
        self._tokens = tokens
        self._turns = turns
        self._start_run = start_run
        self._metrics = metrics
        self._clock = clock
        self._spread = spread

    async def attempt(self, account: LiveAccount, decide: Callable[[LiveAccount], Step]) -> None:
        """Run the account, if a fresh look says so. Raises ApiUnavailable and ApiForbidden when there is no look."""
        turn = await self._turns.take(account)
        if turn is None:
            return
        account.idle.clear()
        try:
            await self._in_turn(account, decide, turn)
        finally:
            account.idle.set()
            turn.end()

    async def _in_turn(self, account: LiveAccount, decide: Callable[[LiveAccount], Step], turn: Turn) -> None:
        found = await look(self._api, account)
        if found is None:
            return
        document, status = found
        previous = account.unsaved or status
        account.has_shown(status)
        account.know(previous)
        step = decide(account)
        if not isinstance(step, RunNow) or account.is_unwanted:
            return
        account.has_new_secret = False
        if account.seen.spec is None:
            assert account.seen.problem is not None
            await self._refuse(account, previous, account.seen.problem, document, stage="spec")
            return
        reading = await self._secrets.read(account.ref.namespace, account.seen.spec)
        account.secret_version = reading.version
        if not isinstance(reading.found, Access):
            await self._refuse(account, previous, reading.found, document, stage="secret")
            return
        begun = self._begin(account, account.seen.spec, step.trigger, previous, document)
        job = _job(begun, reading.found, reading.version)
        outcome = await self._run(account, begun, job, turn)
        await self._tokens.settle(account, begun.spec)
        if account.secret_version != reading.version:
            outcome = replace(outcome, secret_version=account.secret_version)
        await self._finish(account, begun, outcome)

    def _begin(
        self, account: LiveAccount, spec: AccountSpec, trigger: Trigger, previous: AccountStatus, document: Document
    ) -> Begun:
        at_start = account.seen
        status = statuses.begin(previous, generation=at_start.generation, trigger=trigger, now=self._clock())
        account.know(status)
        _log.info("run began", extra=named(account.ref) | {"trigger": str(trigger)})
        return Begun(at_start, spec, trigger, status, document)

    async def _run(self, account: LiveAccount, begun: Begun, job: Job, turn: Turn) -> AccountOutcome:
        """Start the thread and stay with it until it has ended or is given up. Never raises for what the run does."""
        started_at = self._clock()
        stop = threading.Event()
        account.run_started(stop, begun.seen.generation)
        watcher = RunWatcher(self._metrics, self._rotation_taker(account, begun.spec))

        def should_give_way() -> bool:
            ran_for = self._clock() - started_at
            return gives_way(ran_for=ran_for, is_wanted=turn.is_wanted(), kept=watcher.stored)

        run = turn.run = self._start_run(job, watcher, stop.is_set, should_give_way)
        telling = asyncio.ensure_future(self._tell_progress(account, begun, watcher))
        try:
            await account.stay_with(run, ABANDON_AFTER_S)
        finally:
            stop.set()
            account.run_ended()
            await _cancelled(telling)
        if not run.done():
            _log.warning("run did not end in time and is left alone", extra=named(account.ref))
            failure = Failure(Reason.INTERRUPTED, "the run did not end when it was told to stop")
            return AccountOutcome(Result.INTERRUPTED, started_at, self._clock(), failure=failure)
        error = run.exception()
        if error is None:
            return run.result()
        _log.error("run ended by a bug", extra=named(account.ref), exc_info=error)
        return _internal_error(error, started_at, self._clock())

    def _rotation_taker(self, account: LiveAccount, spec: AccountSpec) -> Callable[[Rotation], None]:
        """Carries a new refresh token from the thread of the run into the event loop."""
        loop = asyncio.get_running_loop()

        def take(rotation: Rotation) -> None:
            with suppress(RuntimeError):  # the loop has ended, and left this run alone
                loop.call_soon_threadsafe(self._tokens.take, account, spec, rotation)

        return take

    async def _tell_progress(self, account: LiveAccount, begun: Begun, watcher: RunWatcher) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        if is_awaited(account.shown, begun.status):
            await asyncio.sleep(START_SHOWN_AFTER_S)
            begun.document = await self._keeper.show(account, during(begun.status, watcher), begun.document)
        while True:
            await asyncio.sleep(max(account.written_at, began) + WRITE_EVERY_S - loop.time())
            began = loop.time()
            begun.document = await self._keeper.show(account, during(begun.status, watcher), begun.document)

    async def _finish(self, account: LiveAccount, begun: Begun, outcome: AccountOutcome) -> None:
        after = statuses.finish(
            begun.status,
            outcome,
            spec=begun.spec,
            generation=begun.seen.generation,
            requested_at=begun.seen.requested_at,
            now=self._clock(),
            spread=self._spread(account.seen.uid),
        )
        self._metrics.run_ended(outcome)
        facts = {"result": str(outcome.result), "added": outcome.added, "folders": outcome.selected}
        facts |= {"reason": str(outcome.failure.reason), "why": outcome.failure.text} if outcome.failure else {}
        _log.info("run ended", extra=named(account.ref) | facts)
        if outcome.failure is not None and outcome.failure.reason is Reason.RUN_IN_PROGRESS:
            account.know(after)  # who archives the account writes its status, and ours would be the older one
            return
        for notice in notices(begun.status, after, outcome):
            self._events.tell(account.ref, account.seen.uid, notice)
        await self._keeper.keep(account, after, begun.document)

    async def _refuse(
        self,
        account: LiveAccount,
        previous: AccountStatus,
        error: ArchivmailError,
        document: Document,
        *,
        stage: str,
    ) -> None:
        """No session is tried: the spec or the Secret cannot be used."""
        failure = Failure(error.reason, error.text, needs_user=True, stage=stage)
        after = statuses.refuse(
            previous,
            failure,
            generation=account.seen.generation,
            requested_at=account.seen.requested_at,
            spec=account.seen.spec,
            now=self._clock(),
            spread=self._spread(account.seen.uid),
        )
        self._metrics.imap_failed(stage, failure.reason)
        _log.info("run refused", extra=named(account.ref) | {"reason": str(error.reason), "why": error.text})
        for notice in notices(previous, after, None):
            self._events.tell(account.ref, account.seen.uid, notice)
        await self._keeper.keep(account, after, document)


async def _cancelled(task: "asyncio.Future[None]") -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("progress could not be told", exc_info=error)


def _job(begun: Begun, access: Access, version: str) -> Job:
    return Job(
        ref=begun.seen.ref,
        spec=begun.spec,
        endpoint=access.endpoint,
        credentials=access.credentials,
        secret_version=version,
        forced=begun.trigger is Trigger.REQUEST,
    )


def _internal_error(error: BaseException, started_at: datetime, ended_at: datetime) -> AccountOutcome:
    text = f"the run ended by an internal error ({type(error).__name__}); the operator's log has the details"
    failure = Failure(Reason.INTERNAL_ERROR, text)
    return AccountOutcome(Result.FAILED, started_at, ended_at, failure=failure)
