"""Prometheus metrics (design §3.3): counters of the process, and gauges of the accounts that are alive now.

Labels come from closed sets: namespace, name, reason, stage, result; never a folder, an address or a host. The series
of accounts are made anew at each scrape from what is alive: a deleted account leaves none, a restart loses none.
"""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder

from archivmail import __version__
from archivmail.model.account import Rotation
from archivmail.model.message import Stored
from archivmail.model.outcome import AccountOutcome, Progress, Result
from archivmail.model.reasons import Reason
from archivmail.model.uidset import UidValidity
from archivmail.observe import labels
from archivmail.observe.accounts import PREFIX, AccountCollector, Accounts

SYNC_BUCKETS_S = (0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400)
WAIT_BUCKETS_S = (0.01, 0.1, 1, 10, 60, 300, 900, 3600)
WRITE_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class Metrics:
    """All series of one process. Satisfies sync.ports.Watcher; every method may be called from any thread."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=False)
        self._accounts = AccountCollector()
        self.registry.register(self._accounts)
        self._make_counters()
        self._make_gauges()
        self._start_at_zero()

    # --- where the values come from ----------------------------------------------------------------------------------

    def show_accounts(self, accounts: Accounts) -> None:
        """From now on each scrape asks `accounts`, in a thread of its own."""
        self._accounts.accounts = accounts

    def run_ended(self, outcome: AccountOutcome) -> None:
        """Count one run."""
        self._syncs.labels(str(outcome.result), _reason_of(outcome)).inc()
        self._duration.observe(max(0.0, (outcome.ended_at - outcome.started_at).total_seconds()))

    def queue_waited(self, seconds: float) -> None:
        """One run got its slot after so long."""
        self._queue_wait.observe(seconds)

    def slots_in_use(self, count: int) -> None:
        self._in_progress.set(count)

    def slots(self, count: int) -> None:
        self._slots.set(count)

    def index_backlog(self, messages: int) -> None:
        self._backlog.set(messages)

    def lease_held(self, shard: int, *, is_held: bool) -> None:
        """Several replicas share the accounts, and this one does or does not hold the Lease of its shard."""
        self._lease_held.labels(str(shard)).set(is_held)

    def verified(self, at: datetime, damaged: int) -> None:
        """A verification ended."""
        self._accounts.verified = (at, damaged)

    def events_lost(self, count: int) -> None:
        """So many Kubernetes Events were given up."""
        self._events_lost.inc(count)

    def kube_request(self, verb: str, resource: str, code: str) -> None:
        """One request to the API server; code "error" when there was no answer."""
        self._kube.labels(*labels.kube_request(verb, resource, code)).inc()

    # --- sync.ports.Watcher ------------------------------------------------------------------------------------------

    def progressed(self, progress: Progress) -> None:
        """Progress is for people; its sums arrive by the other methods."""

    def message_stored(self, size: int, stored: Stored) -> None:
        self._fetched_bytes.inc(size)
        if stored.is_new_placement:
            self._archived.inc()
        if stored.is_new_placement and not stored.is_new_content:
            self._deduplicated.inc()

    def folder_reset(self, folder: str, before: UidValidity, after: UidValidity) -> None:  # noqa: ARG002
        self._resets.inc()

    def imap_failed(self, stage: str, reason: str) -> None:
        self._imap_errors.labels(*labels.imap_error(stage, reason)).inc()

    def archive_written(self, seconds: float, octets: int) -> None:
        self._archive_write.observe(seconds)
        self._stored_bytes.inc(octets)

    def token_rotated(self, rotation: Rotation) -> None:
        """Told by an Event; no number."""

    # --- exposition --------------------------------------------------------------------------------------------------

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The body and the content type of an answer to `/metrics`."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _make_counters(self) -> None:
        counter = self._counter
        self._syncs = counter("syncs_total", "Runs that ended, by result and reason.", "result", "reason")
        self._archived = counter("messages_archived_total", "Messages taken into the archive (placements).")
        self._deduplicated = counter(
            "messages_deduplicated_total", "Messages whose octets the archive held already; not stored again."
        )
        self._fetched_bytes = counter("fetched_bytes_total", "Octets of messages downloaded from IMAP servers.")
        self._stored_bytes = counter("stored_bytes_total", "Octets appended to packs, compressed.")
        self._resets = counter("uidvalidity_resets_total", "Folders whose UIDVALIDITY changed.")
        self._imap_errors = counter(
            "imap_errors_total", "Failures of sessions and folders, by stage and reason.", "stage", "reason"
        )
        self._events_lost = counter(
            "events_dropped_total", "Kubernetes Events that were not told: too many, or the API server was away."
        )
        self._kube = counter(
            "kube_requests_total",
            "Requests to the Kubernetes API server; code is error when there was no answer. Kopf's are not in it, "
            "which lists and watches imapaccounts and puts the finalizer on them.",
            "verb",
            "resource",
            "code",
        )
        self._duration = self._histogram("sync_duration_seconds", "How long runs took.", SYNC_BUCKETS_S)
        self._queue_wait = self._histogram(
            "sync_queue_wait_seconds", "How long runs waited for a slot.", WAIT_BUCKETS_S
        )
        self._archive_write = self._histogram(
            "archive_write_seconds", "How long it took to make a batch durable: pack, then catalog.", WRITE_BUCKETS_S
        )

    def _make_gauges(self) -> None:
        gauge = self._gauge
        gauge("build_info", "Always 1; the version is a label.", "version").labels(__version__).set(1)
        self._in_progress = gauge("syncs_in_progress", "Runs that go on now.")
        self._slots = gauge("sync_slots", "Runs that may go on at once.")
        self._lease_held = gauge(
            "lease_held", "1 while this replica holds the Lease of its shard; absent with one shard.", "shard"
        )
        self._backlog = gauge("index_backlog_messages", "Archived messages that the text index does not hold yet.")

    def _start_at_zero(self) -> None:
        for end in labels.sync_ends():
            self._syncs.labels(*end)
        for error in labels.imap_errors():
            self._imap_errors.labels(*error)
        for request in labels.kube_requests():
            self._kube.labels(*request)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=PREFIX, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace=PREFIX, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(name, text, namespace=PREFIX, registry=self.registry, buckets=buckets)


def _reason_of(outcome: AccountOutcome) -> str:
    if outcome.failure is not None:
        return str(outcome.failure.reason)
    match outcome.result:
        case Result.SUCCEEDED:
            return str(Reason.SUCCEEDED)
        case Result.INTERRUPTED:
            return str(Reason.INTERRUPTED)
        case _:
            return str(Reason.PARTIAL_FAILURE)
