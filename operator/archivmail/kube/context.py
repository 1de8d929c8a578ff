"""What the operator is given by the composition root."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from archivmail.kube.upkeep import KeepUp
from archivmail.model.account import AccountRef
from archivmail.model.outcome import AccountOutcome
from archivmail.model.retention import Policy
from archivmail.observe.metrics import Metrics
from archivmail.sync.account import Job
from archivmail.sync.ports import Clock, Watcher


class OperatorSettings(Protocol):
    """What the operator needs of the process settings."""

    @property
    def slots(self) -> int: ...
    @property
    def metrics_port(self) -> int: ...
    @property
    def health_port(self) -> int: ...
    @property
    def watch_namespaces(self) -> Sequence[str]: ...
    @property
    def shard(self) -> int: ...
    @property
    def shards(self) -> int: ...
    @property
    def watch_secrets(self) -> bool: ...
    @property
    def lease_name(self) -> str: ...
    @property
    def lease_namespace(self) -> str: ...
    @property
    def lease_seconds(self) -> int: ...


@dataclass(frozen=True, slots=True)
class OperatorContext:
    """What app.py puts in. The callables block and are called in threads of their own, several at once."""

    settings: OperatorSettings
    run_account: Callable[[Job, Watcher, Callable[[], bool], Callable[[], bool]], AccountOutcome]
    """One run: the job, who hears of it, whether it should stop, whether it should give way at its next batch."""
    save_status: Callable[[AccountRef, dict[str, object]], None]
    """Keep the JSON of a status in the catalog. Raises ArchiveUnavailable."""
    archive_ready: Callable[[], None]
    """Raises ArchiveUnavailable. Quick: each readiness probe asks."""
    drain_index: Callable[[Callable[[], bool]], int]
    """Index some messages, unless told to stop; how many. 0: nothing is left. Never called twice at once."""
    index_backlog: Callable[[], int]
    last_verification: Callable[[], tuple[datetime, int] | None]
    """Its end and the number of damaged messages; None before the first. Verification runs in a process of its own."""
    keep_up: KeepUp
    """Upkeep of one account, unless told to stop. Raises RunInProgress, ArchiveUnavailable."""
    purge_texts: Callable[[], int]
    keep_policy: Callable[[AccountRef, Policy], None]
    """Keep what a resource says about removal."""
    account_deleted: Callable[[AccountRef], None]
    """Its resource is gone, so nothing says any more that its mail may be removed."""
    metrics: Metrics
    clock: Clock
    know_cluster: Callable[[Iterable[str]], None] = lambda _: None
    """Hears the addresses that no account may be connected to, before the first run and every few minutes."""
    host_room: Callable[[str, int], int | None] = lambda *_: None
    """How many connections to that host and port may be open at once; None for any number. Quick."""
    listen_host: str = ""
    """Address of the HTTP servers; empty means all."""
