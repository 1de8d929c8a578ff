"""What kopf calls: one timer for each object, and a look at every event. The only module that is shaped by kopf 1.45.

Only handlers that write nothing: no change handlers, so no annotations; no `patch`, so that status has one writer (T10:
what a cut-off handler leaves in `patch` is lost). No filters by `when=` or labels that could flip (T7, T16: one that
does so during a run takes the finalizer off while the run goes on): suspension is looked at inside, and which shard an
object belongs to never changes while the process lives.
"""

import itertools
import logging
import random
from collections.abc import Iterator, Mapping
from typing import Any, cast

import kopf

from archivmail.decide.sharding import owner
from archivmail.kube.admission import Admissions
from archivmail.kube.api import GROUP, PLURAL, VERSION
from archivmail.kube.connection import KopfLogin
from archivmail.kube.scheduler import Scheduler
from archivmail.model.account import AccountRef, ObjectUid

FINALIZER = "archivmail.io/finalizer"
RELEASE_S = 8.0
"""How long a deletion waits for the end of the run; `kubectl delete` returns in under 10 s."""
HANDLER_RETRY_S = 15.0
REQUEST_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
WATCH_S = 600  # a watch is renewed after that; whole seconds, or the API server refuses
LIST_PAGE = 200
KEPT_METADATA = ("name", "namespace", "uid", "resourceVersion", "deletionTimestamp", "finalizers")


class Shard:
    """Which objects are ours when several operators share them. One of one owns all."""

    def __init__(self, index: int = 0, count: int = 1) -> None:
        self._index = index
        self.count = count

    def owns(self, ref: AccountRef) -> bool:
        return self.count == 1 or owner(ref, self.count) == self._index


def registry(scheduler: Scheduler, shard: Shard) -> kopf.OperatorRegistry:
    """The handlers, bound to this scheduler."""
    handlers = kopf.OperatorRegistry()
    admissions = Admissions()
    kopf.on.login(registry=handlers, id="login")(KopfLogin().log_in)

    # Called for every event, before the timer is started or stopped (kopf 1.45.2 process_resource_causes).
    @kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers, id="observe")
    async def observe(event: kopf.RawEvent, **_: Any) -> None:
        document = event["object"]
        metadata = document["metadata"]
        uid = ObjectUid(metadata["uid"])
        if not shard.owns(_ref(metadata)):
            _hide_finalizer(cast("dict[str, Any]", metadata))
            return
        if event["type"] == "DELETED":
            # Also without a deletionTimestamp, when the object went before its finalizer came: kopf does not stop the
            # timer then (T3, T13).
            admissions.leave(uid)
            await scheduler.gone(uid)
            return
        scheduler.observe(document)
        _lighten(cast("dict[str, Any]", document))
        if "deletionTimestamp" in metadata:
            # Kopf looks at the timer right after this; were the run still going on, the finalizer would stay until its
            # next poll. Only events of this object wait meanwhile.
            await scheduler.release(uid, RELEASE_S)
        elif FINALIZER in metadata.get("finalizers", ()):
            admissions.leave(uid)
        else:
            await admissions.enter(uid)

    # Without an interval kopf calls the handler once and ends the timer when it returns: the schedule is ours, nothing
    # is polled, and the timer of an object that went without notice ends like any other.
    @kopf.timer(
        GROUP,
        VERSION,
        PLURAL,
        registry=handlers,
        id="archive",
        backoff=HANDLER_RETRY_S,
        when=None if shard.count == 1 else lambda meta, **_: shard.owns(_ref(meta)),
    )
    async def archive(*, uid: str, **others: Any) -> None:
        # `stopped` is given to timers as to daemons, though kopf's types know it of daemons alone.
        await scheduler.attend(ObjectUid(uid), others["stopped"])

    return handlers


def _ref(metadata: Mapping[str, Any]) -> AccountRef:
    return AccountRef(metadata["namespace"], metadata["name"])


def _hide_finalizer(metadata: dict[str, Any]) -> None:
    """Of an object that another replica serves: kopf would take the finalizer off, for no handler here wants it (#664).

    Kopf reads the object after this handler, and from the same dict.
    """
    if "finalizers" in metadata:
        metadata["finalizers"] = [each for each in metadata["finalizers"] if each != FINALIZER]


def _lighten(document: dict[str, Any]) -> None:
    """Leave of an object what kopf needs of it.

    Kopf keeps the last body of every object (T11), and copies and compares all of it to find out that a finalizer was
    put on it. We have read the rest by now.
    """
    metadata = document["metadata"]
    ours = {name: text for name, text in (metadata.get("annotations") or {}).items() if name.startswith(GROUP)}
    kept = {key: metadata[key] for key in KEPT_METADATA if key in metadata} | ({"annotations": ours} if ours else {})
    for key in document.keys() - {"apiVersion", "kind"}:
        del document[key]
    document["metadata"] = kept


class NoEssence(kopf.DiffBaseStorage):
    """Kopf copies the spec of every object at every event to tell what changed. We have no handler that asks."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return cast("kopf.BodyEssence", {})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        """Nowhere."""


def settings() -> kopf.OperatorSettings:
    """Kopf's settings; each says what it is for."""
    chosen = kopf.OperatorSettings()
    chosen.persistence.finalizer = FINALIZER
    # Used by kopf to ask itself for another look while a timer ends; our timers end at once, so it stays unwritten.
    chosen.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP, v1=False)
    chosen.persistence.diffbase_storage = NoEssence()
    chosen.posting.enabled = False  # Events are ours (events.py)
    chosen.posting.loggers = False
    chosen.peering.standalone = True
    chosen.scanning.disabled = True  # no leave to watch CRDs and namespaces is asked for
    chosen.background.instant_exit_timeout = 1.0  # a stopped timer ends within milliseconds; poll only after that
    chosen.background.cancellation_polling = 2.0
    chosen.networking.request_timeout = REQUEST_TIMEOUT_S
    chosen.networking.connect_timeout = CONNECT_TIMEOUT_S
    chosen.networking.error_backoffs = Backoffs()
    chosen.networking.trust_env = True
    chosen.watching.server_timeout = WATCH_S
    chosen.watching.client_timeout = WATCH_S + 30
    chosen.watching.connect_timeout = CONNECT_TIMEOUT_S
    chosen.watching.chunk_size = LIST_PAGE
    chosen.watching.reconnect_backoff = 1.0
    chosen.queueing.exit_timeout = 0.5
    chosen.queueing.idle_timeout = 1.0  # a worker for each of ten thousand objects is a burden while it idles
    chosen.process.ultimate_exiting_timeout = None  # the kubelet does that
    return chosen


class Backoffs:
    """Pauses in seconds between attempts at one request, without end: an outage of the API server ends no operator."""

    def __iter__(self) -> Iterator[float]:
        growing = (min(0.5 * 2**step, 15.0) for step in itertools.count())
        return (pause * random.uniform(0.8, 1.2) for pause in growing)  # noqa: S311 - spreads load


def quieten() -> None:
    """Keep kopf's line for each event and each handler out of the log; its warnings stay."""
    for name in ("kopf.objects", "kopf.activities"):
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() > logging.DEBUG:
            logger.setLevel(logging.WARNING)
