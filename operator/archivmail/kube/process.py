"""The operator as a process: start everything, wait for the end, stop everything within 10 seconds.

Order of the end (S3): no new runs, all runs are told to stop, what they archived is kept, their statuses and Events are
written, then kopf ends.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Iterator
from http import HTTPStatus

import kopf

from archivmail.kube import eventloop, handlers
from archivmail.kube.api import ApiFault, ApiForbidden, ApiNotFound, KubeApi
from archivmail.kube.background import background
from archivmail.kube.client import KubeClient
from archivmail.kube.clusteraddresses import AGAIN_S, ClusterAddresses
from archivmail.kube.connection import load_configuration
from archivmail.kube.context import OperatorContext
from archivmail.kube.events import EventSender
from archivmail.kube.health import Health, HttpServer, Reply
from archivmail.kube.indexing import IndexDrain
from archivmail.kube.scheduler import Scheduler
from archivmail.kube.secretwatch import SecretWatch
from archivmail.kube.series import series
from archivmail.kube.tenure import Tenure, tenure
from archivmail.kube.upkeep import Upkeep
from archivmail.kube.wiring import scheduler_of
from archivmail.model.account import AccountRef

RUNS_END_S = 7.5
EVENTS_END_S = 0.7
KOPF_END_S = 0.8
BEAT_S = 1.0
FIRST_LIST_RETRY_S = 5.0

GC_THRESHOLDS = (10_000, 20, 20)  # Python's own are 700, 10, 10, for programs with some thousand objects

EXIT_FAILED = 3

_log = logging.getLogger(__name__)


def run_operator(context: OperatorContext) -> int:
    """Run until SIGTERM or SIGINT; the exit code: 0 after a signal, 3 when kopf gave up or a run outlived the Lease.

    Raises SpecInvalid when there is no access to an API server or a port is taken.
    """
    return eventloop.run(_Operator(context).run())


class _Operator:
    """Everything that lives as long as the process."""

    def __init__(self, context: OperatorContext) -> None:
        self._context = context
        self._stop = asyncio.Event()
        self._exit_code = 0
        self._health = Health(context.archive_ready)

    async def run(self) -> int:
        self._listen_to_signals()
        configuration = await load_configuration()
        client = KubeClient(configuration, self._context.metrics.kube_request)
        try:
            with self._http_servers():
                addresses = ClusterAddresses(client, configuration.host)
                self._context.know_cluster(await addresses.find())
                async with background(self._know_cluster(addresses)):
                    return await self._serve(client)
        finally:
            await client.close()

    async def _serve(self, api: KubeClient) -> int:
        context = self._context
        held = tenure(context, api)
        self._health.problem = lambda: held.problem
        pod = os.environ.get("HOSTNAME") or socket.gethostname()
        events = EventSender(api, context.clock, instance=pod, count_lost=context.metrics.events_lost)
        index = IndexDrain(context.drain_index, context.index_backlog, context.last_verification, context.metrics)
        upkeep = Upkeep(lambda ref, should_stop: context.keep_up(ref, held.stopping(should_stop)), context.purge_texts)
        scheduler = scheduler_of(context, api, events=events, index=index, upkeep=upkeep, held=held)
        await held.begin(scheduler)
        context.metrics.show_accounts(lambda: series(scheduler.accounts))
        stopping: asyncio.Task[bool] = asyncio.create_task(_until(self._stop))
        work = [self._beat(), events.run(), index.run(), upkeep.run(), scheduler.look_for_ghosts(), scheduler.remind()]
        work.append(self._hold(held, scheduler))
        # Begins with a listing, which is lost on accounts that are not known yet.
        watch = SecretWatch(api.watch_secrets, context.settings.watch_namespaces, scheduler.secret_seen)
        async with background(*work):
            try:
                await self._first_listing(api, scheduler, stopping)
                _spare_the_collector()
                if not stopping.done():
                    async with background(*([watch.run()] if context.settings.watch_secrets else [])):
                        await self._run_kopf(scheduler, events, stopping)
            finally:
                stopping.cancel()
                index.stop()
                upkeep.stop()
        await held.end()
        return self._exit_code

    async def _hold(self, held: Tenure, scheduler: Scheduler) -> None:
        try:
            await held.hold(scheduler)
        except Exception:  # noqa: BLE001 - logged with its traceback; who holds no Lease is of no use any more
            _log.exception("the Lease is not kept any more because of a bug; the operator ends, to be started again")
        self._exit_code = EXIT_FAILED
        self._stop.set()

    async def _first_listing(self, api: KubeApi, scheduler: Scheduler, stopping: "asyncio.Task[bool]") -> None:
        """Know every account before kopf starts: ready means listed, and the first scrape shows all accounts."""
        while not stopping.done():
            listing = asyncio.ensure_future(self._list(api, scheduler))
            await asyncio.wait({listing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not listing.done():
                listing.cancel()
                return
            problem = listing.result()
            if problem is None:
                return
            self._health.waiting_for = problem
            _log.warning("accounts could not be listed", extra={"why": problem})
            await asyncio.wait({stopping}, timeout=FIRST_LIST_RETRY_S)

    async def _list(self, api: KubeApi, scheduler: Scheduler) -> str | None:
        """One listing; None, or what stands in its way."""
        settings = self._context.settings
        shard = handlers.Shard(settings.shard, settings.shards)
        try:
            for namespace in settings.watch_namespaces or (None,):
                async for document in api.list_accounts(namespace):
                    if shard.owns(AccountRef(document["metadata"]["namespace"], document["metadata"]["name"])):
                        scheduler.observe(document)
        except ApiNotFound:
            return "the API server does not know imapaccounts.archivmail.io; install the CRD (archivmail crd)"
        except ApiForbidden as error:
            return f"the operator may not list imapaccounts; grant its ServiceAccount the chart's role ({error})"
        except ApiFault as error:
            return str(error)
        return None

    async def _run_kopf(self, scheduler: Scheduler, events: EventSender, stopping: "asyncio.Task[bool]") -> None:
        """Run kopf until it ends or a signal comes; then end the runs while kopf still serves."""
        settings = self._context.settings
        handlers.quieten()
        stop_kopf = asyncio.Event()
        # When kopf ends it cancels every task that it does not know; ours exist already and are spared.
        ours = asyncio.all_tasks()
        # kopf asks for the name of the user, which a UID without an entry in /etc/passwd has not.
        os.environ.setdefault("LOGNAME", "archivmail")
        tasks = await kopf.spawn_tasks(
            registry=handlers.registry(scheduler, handlers.Shard(settings.shard, settings.shards)),
            settings=handlers.settings(),
            standalone=True,
            clusterwide=not settings.watch_namespaces,
            namespaces=list(settings.watch_namespaces),
            stop_flag=stop_kopf,
        )
        self._listen_to_signals()  # kopf has just put its own handlers in place of ours
        self._health.waiting_for = None
        _log.info("operator is ready", extra={"accounts": len(list(scheduler.accounts)), "slots": settings.slots})
        running = asyncio.ensure_future(kopf.run_tasks(tasks, ignored=ours))
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            self._exit_code = EXIT_FAILED
            _log.error("kopf gave up; the operator ends, to be started again", exc_info=running.exception())
        self._health.waiting_for = "the operator is stopping"
        _log.info("operator is stopping")
        loop = asyncio.get_running_loop()
        until = loop.time() + RUNS_END_S + EVENTS_END_S
        await scheduler.shut_down(RUNS_END_S)
        await events.drain(until - loop.time())  # runs that end soon leave more time for what there is to tell
        stop_kopf.set()
        await _ended(running, KOPF_END_S)
        _log.info("operator has stopped")

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    async def _beat(self) -> None:
        while True:
            self._health.beat()
            await asyncio.sleep(BEAT_S)

    async def _know_cluster(self, addresses: ClusterAddresses) -> None:
        while True:
            await asyncio.sleep(AGAIN_S)
            self._context.know_cluster(await addresses.find())

    @contextlib.contextmanager
    def _http_servers(self) -> Iterator[None]:
        settings, metrics, host = self._context.settings, self._context.metrics, self._context.listen_host

        def scrape(accept: str) -> Reply:
            body, content_type = metrics.exposition(accept)
            return Reply(HTTPStatus.OK, body, content_type)

        with contextlib.ExitStack() as stack:
            probes = {"/healthz": self._health.live, "/readyz": self._health.ready}
            stack.callback(HttpServer(settings.health_port, probes, host=host).close)
            stack.callback(HttpServer(settings.metrics_port, {"/metrics": scrape}, host=host).close)
            yield


def _spare_the_collector() -> None:
    """What a fleet is made of lives as long as the process: the garbage collector need not go through it again and
    again. With ten thousand accounts one pass holds up the event loop for a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _until(event: asyncio.Event) -> bool:
    return await event.wait()


async def _ended(running: "asyncio.Future[None]", timeout_s: float) -> None:
    await asyncio.wait({running}, timeout=timeout_s)
    if not running.done():
        running.cancel()
        await asyncio.wait({running}, timeout=timeout_s)
    if running.done() and not running.cancelled():
        running.exception()  # has been logged by kopf
