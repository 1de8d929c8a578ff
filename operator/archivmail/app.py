"""The composition root: settings to adapters to runs. The only place that picks implementations."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from archivmail.archive.archive import Archive
from archivmail.archive.opening import open_archive, require_shared
from archivmail.archive.upkeep import Plan
from archivmail.decide import status as statuses
from archivmail.decide.connections import DEFAULT_PER_SERVER
from archivmail.decide.due import Trigger
from archivmail.decide.egress import allowed
from archivmail.decide.retrying import QUICK_RETRIES
from archivmail.decide.spreading import EXACT
from archivmail.imap.connector import Connector
from archivmail.imap.egress import Egress
from archivmail.imap.limits import Limits
from archivmail.imap.oauth import Tokens
from archivmail.imap.pair import Pairing
from archivmail.imap.permits import Permits
from archivmail.imap.tokenendpoint import EndpointLimits
from archivmail.kube.resource import ImapAccountResource
from archivmail.kube.secretdata import credentials, endpoint
from archivmail.model.account import AccountRef, Origin
from archivmail.model.outcome import AccountOutcome, Result
from archivmail.model.reasons import Reason
from archivmail.model.retention import Policy
from archivmail.model.status import AccountStatus
from archivmail.model.wireform import from_wire, to_wire
from archivmail.observe.logs import conceal
from archivmail.sync import account
from archivmail.sync.ports import AccountArchive, Connect, Watcher

if TYPE_CHECKING:  # the command line does without: pydantic-settings takes half a second to load
    from archivmail.settings import Settings

LOST_SESSION = frozenset({Reason.CONNECTION_FAILED, Reason.SERVER_VIOLATION})
WAIT_SLICE_S = 0.2  # how soon a wait hears that it should stop


def utc_now() -> datetime:
    """The clock of the process: an aware UTC datetime."""
    return datetime.now(UTC)


def connector(
    host_connections: int = DEFAULT_PER_SERVER, egress: Egress | None = None, *, permits: Permits | None = None
) -> Connect:
    """How the accounts of this process reach their servers: one for all of them, since they share its limits.

    It also holds their access tokens, in memory only. `egress` says where they may connect to; None is everywhere.
    """
    tokens = Tokens(learned=lambda secret: conceal(secret.reveal()), limits=EndpointLimits(egress=egress))
    return Pairing(Connector(permits or Permits(host_connections), tokens, limits=Limits(egress=egress)))


def egress_of_user(entries: Sequence[str]) -> Egress | None:
    """For the command line: its user acts for themselves, so nothing is refused unless they gave a list.

    Raises SpecInvalid.
    """
    return Egress(allowed(entries)) if entries else None


def run_account(
    archive: Archive,
    resource: ImapAccountResource,
    secret: Mapping[str, bytes],
    ca: Mapping[str, bytes] | None,
    *,
    connect: Connect,
    watcher: Watcher,
    should_stop: Callable[[], bool],
    wait: bool = False,
) -> AccountOutcome:
    """Run one account without a cluster and keep its status in the catalog.

    A lost session is tried once more after 1 s; with `wait` also after 60 s and 300 s. Raises SecretMissing and
    SpecInvalid before anything is connected, ArchiveUnavailable when the status cannot be kept.
    """
    job = account.Job(
        ref=resource.ref,
        spec=resource.spec,
        endpoint=endpoint(resource.spec, ca),
        credentials=credentials(resource.spec, secret),
        forced=True,
    )
    before = from_wire(archive.account_status(resource.ref) or {})
    begun = statuses.begin(before, generation=resource.generation, trigger=Trigger.REQUEST, now=utc_now())
    by = "archivmail sync"
    outcome = run_once(archive, job, connect=connect, watcher=watcher, should_stop=should_stop, by=by)
    for delay in QUICK_RETRIES if wait else QUICK_RETRIES[:1]:
        if not _is_worth_retrying(outcome, delay, wait=wait) or not _waited(_pause(outcome, delay), should_stop):
            break
        again = run_once(archive, job, connect=connect, watcher=watcher, should_stop=should_stop, by=by)
        outcome = _joined(outcome, again)
    _keep_status(archive, resource, begun, outcome)
    return outcome


def run_once(
    archive: Archive,
    job: account.Job,
    *,
    connect: Connect,
    watcher: Watcher,
    should_stop: Callable[[], bool],
    should_give_way: Callable[[], bool] = lambda: False,
    by: str,
) -> AccountOutcome:
    """One run with the real adapters. `by`: who acts, for the audit trail."""

    def take(ref: AccountRef) -> AccountArchive:
        archive.set_policy(ref, job.spec.policy, by=by)  # first: it says what counts as archived
        return archive.take(ref)

    return account.run(
        job,
        connect=connect,
        open_account=take,
        watcher=watcher,
        clock=utc_now,
        should_stop=should_stop,
        should_give_way=should_give_way,
    )


def operator(settings: "Settings") -> int:
    """Run the operator until it is told to stop; gives the exit code.

    Raises SpecInvalid and ArchiveUnavailable when it cannot start.
    """
    # Only here: the command line must not load kopf.
    from archivmail.kube.context import OperatorContext  # noqa: PLC0415
    from archivmail.kube.process import run_operator  # noqa: PLC0415
    from archivmail.observe.metrics import Metrics  # noqa: PLC0415

    if settings.shards > 1:
        require_shared(settings.archive, settings.catalog_url)
    with open_archive(settings.archive, settings.catalog_url, create=True) as archive:
        egress = Egress(allowed(settings.egress_allow))
        permits = Permits(settings.host_connections)
        connect = connector(egress=egress, permits=permits)
        context = OperatorContext(
            settings=settings,
            run_account=lambda job, watcher, should_stop, should_give_way: run_once(
                archive,
                job,
                connect=connect,
                watcher=watcher,
                should_stop=should_stop,
                should_give_way=should_give_way,
                by="operator",
            ),
            save_status=archive.save_account_status,
            archive_ready=lambda: _require_archive(archive),
            drain_index=lambda should_stop: archive.drain_index(should_stop=should_stop),
            index_backlog=archive.index_backlog,
            last_verification=lambda: _verified(archive),
            keep_up=lambda ref, should_stop: _keep_up(archive, ref, should_stop),
            purge_texts=archive.keeping.purge_texts,
            keep_policy=lambda ref, policy: archive.set_policy(ref, policy, by="operator"),
            account_deleted=lambda ref: _deleted(archive, ref),
            metrics=Metrics(),
            clock=utc_now,
            know_cluster=egress.learn,
            host_room=lambda host, port: permits.allowed(Origin(host, port, "")),
        )
        return run_operator(context)


def _keep_up(archive: Archive, ref: AccountRef, should_stop: Callable[[], bool]) -> None:
    archive.keeping.keep_up(ref, Plan(by="operator"), should_stop=should_stop)


def _deleted(archive: Archive, ref: AccountRef) -> None:
    """Deleting a resource never removes mail: the time to keep it ends with it, a hold stays."""
    archive.set_policy(ref, Policy(hold=archive.policy(ref).hold), by="operator (ImapAccount deleted)")


def _require_archive(archive: Archive) -> None:
    """Raises ArchiveUnavailable when the catalog does not answer."""
    archive.accounts()


def _verified(archive: Archive) -> tuple[datetime, int] | None:
    last = archive.last_verification()
    return (last.at, last.damaged) if last else None


def _keep_status(
    archive: Archive, resource: ImapAccountResource, begun: AccountStatus, outcome: AccountOutcome
) -> None:
    after = statuses.finish(
        begun,
        outcome,
        spec=resource.spec,
        generation=resource.generation,
        requested_at=resource.requested_at,
        now=utc_now(),
        spread=EXACT,
    )
    archive.save_account_status(resource.ref, to_wire(after))


def _is_worth_retrying(outcome: AccountOutcome, delay: timedelta, *, wait: bool) -> bool:
    failure = outcome.failure
    if failure is None or failure.needs_user or outcome.result is Result.INTERRUPTED:
        return False
    if failure.retry_after is not None and failure.retry_after > delay and not wait:
        return False  # the server's hint is honoured by not coming back
    return failure.reason in LOST_SESSION or wait


def _pause(outcome: AccountOutcome, delay: timedelta) -> timedelta:
    hint = outcome.failure.retry_after if outcome.failure else None
    return max(delay, hint or timedelta(0))


def _waited(span: timedelta, should_stop: Callable[[], bool]) -> bool:
    """Wait; False when told to stop meanwhile."""
    end = time.monotonic() + span.total_seconds()
    while (left := end - time.monotonic()) > 0:
        if should_stop():
            return False
        time.sleep(min(left, WAIT_SLICE_S))
    return True


def _joined(first: AccountOutcome, second: AccountOutcome) -> AccountOutcome:
    """Two attempts told as one run."""
    added = first.added + second.added
    result = Result.PARTIAL if second.result is Result.FAILED and added else second.result
    return replace(
        second,
        result=result,
        started_at=first.started_at,
        added=added,
        fetched_bytes=first.fetched_bytes + second.fetched_bytes,
        stored_bytes=first.stored_bytes + second.stored_bytes,
        deduplicated=first.deduplicated + second.deduplicated,
        alerts=tuple(dict.fromkeys((*first.alerts, *second.alerts))),
    )
