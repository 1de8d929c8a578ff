"""What the scheduler of a process is put together from; the process itself only starts and stops it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from archivmail.kube.api import KubeApi
from archivmail.kube.attempt import Attempts
from archivmail.kube.context import OperatorContext
from archivmail.kube.driver import Driver
from archivmail.kube.events import EventSender
from archivmail.kube.indexing import IndexDrain
from archivmail.kube.refreshtokens import RefreshTokens
from archivmail.kube.results import ResultKeeper
from archivmail.kube.scheduler import Scheduler
from archivmail.kube.secretreader import SecretReader
from archivmail.kube.slots import Lane, Slots
from archivmail.kube.statuswriter import StatusWriter
from archivmail.kube.tenure import Tenure
from archivmail.kube.threads import in_thread
from archivmail.kube.turns import Turns
from archivmail.kube.upkeep import Upkeep
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchiveUnavailable
from archivmail.model.outcome import AccountOutcome
from archivmail.model.retention import Policy
from archivmail.sync.account import Job
from archivmail.sync.ports import Watcher

if TYPE_CHECKING:
    import asyncio

PACE_S = 1.0
OPENING_S = 120.0
"""At the start of a process runs yield to taking the accounts up: one begins each second, until every account of the
first listing has its driver, and for two minutes at most. A thousand first runs beside ten thousand objects that come
in would keep accounts from being scheduled at all, deletions and requests from being heard."""


def scheduler_of(
    context: OperatorContext, api: KubeApi, *, events: EventSender, index: IndexDrain, upkeep: Upkeep, held: Tenure
) -> Scheduler:
    """Everything that runs accounts, on what the process has: its API client, its queue of Events, its Lease."""

    def start_run(
        job: Job, watcher: Watcher, should_stop: Callable[[], bool], should_give_way: Callable[[], bool]
    ) -> "asyncio.Future[AccountOutcome]":
        def work() -> AccountOutcome:
            upkeep.give_way(job.ref)
            return context.run_account(job, watcher, held.stopping(should_stop), should_give_way)

        def ended(_: object) -> None:
            index.wake()
            upkeep.wake(job.ref)

        run = in_thread(work, name=f"run {job.ref}")
        run.add_done_callback(ended)
        return run

    async def save_status(ref: AccountRef, document: dict[str, object]) -> None:
        if not held.may_write():
            raise ArchiveUnavailable("The Lease of this shard is lost; whoever holds it keeps the status.")
        await in_thread(lambda: context.save_status(ref, document), name=f"status {ref}")

    async def keep_policy(ref: AccountRef, policy: Policy) -> None:
        await in_thread(lambda: context.keep_policy(ref, policy), name=f"policy {ref}")

    async def account_deleted(ref: AccountRef) -> None:
        upkeep.forget(ref)
        await in_thread(lambda: context.account_deleted(ref), name=f"deleted {ref}")

    context.metrics.slots(context.settings.slots)
    slots = _slots(context)
    slots.hold_back(pace_s=PACE_S, longest_s=OPENING_S)
    secrets = SecretReader(api)
    keeper = ResultKeeper(StatusWriter(api, held.may_write), save_status, keep_policy)
    attempts = Attempts(
        api=api,
        secrets=secrets,
        keeper=keeper,
        events=events,
        tokens=RefreshTokens(api, events),
        turns=Turns(slots, context.metrics.queue_waited),
        start_run=start_run,
        metrics=context.metrics,
        clock=context.clock,
    )
    driver = Driver(api=api, attempts=attempts, keeper=keeper, secrets=secrets, clock=context.clock)
    return Scheduler(driver=driver, events=events, account_deleted=account_deleted, all_attended=slots.open)


def _slots(context: OperatorContext) -> Slots:
    def room(lane: Lane) -> int | None:
        return context.host_room(*lane) if isinstance(lane, tuple) else None

    return Slots(context.settings.slots, context.metrics.slots_in_use, room)
