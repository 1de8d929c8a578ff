"""Who runs when: one driver for each account waits, without polling, until the account is due, woken or released.

Knows what was seen of each object and asks `decide.due` for the next step; how a run goes is the business of `attempt`.
S1 due by interval, S2 never two at once, S4 no request is lost, S6 no running flag that could stick: there is none.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Protocol

from archivmail.decide import status as statuses
from archivmail.decide.conditions import SECRET_REASONS
from archivmail.decide.due import Acknowledge, Observed, RunNow, Step, Trigger, WaitForChange, WaitUntil, next_step
from archivmail.kube.api import ApiForbidden, ApiUnavailable, Document, KubeApi
from archivmail.kube.attempt import Attempts
from archivmail.kube.events import EventSender
from archivmail.kube.live import LiveAccount, Seen, seconds, seen
from archivmail.kube.results import ResultKeeper
from archivmail.kube.secretreader import SecretReader
from archivmail.model.account import AccountRef, ObjectUid
from archivmail.model.errors import ArchivmailError
from archivmail.model.notices import Notice, Severity
from archivmail.model.reasons import Reason
from archivmail.model.status import AccountStatus
from archivmail.sync.ports import Clock

SECRET_POLL_S = 10.0
"""How often an account that waits for its Secret looks; a watch would need leave to read every Secret."""
LOOK_AGAIN_S = 3600.0
"""An object whose end the watch has missed is found out after that time."""
BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
SPREAD = 0.2
DELETED_S = 2.0  # for the catalog; `kubectl delete` returns in under 10 s

_log = logging.getLogger(__name__)


class Stopped(Protocol):
    """Kopf's `stopped` as an async handler gets it."""

    def wait(self) -> Awaitable[object]: ...


class Scheduler:
    """All accounts of this process. For one event loop; `accounts` may be iterated from any thread."""

    def __init__(
        self,
        *,
        api: KubeApi,
        attempts: Attempts,
        keeper: ResultKeeper,
        secrets: SecretReader,
        events: EventSender,
        clock: Clock,
        account_deleted: Callable[[AccountRef], Awaitable[None]] | None = None,
    ) -> None:
        """`account_deleted` hears of accounts whose resource is being deleted."""
        self._account_deleted = account_deleted
        self._api = api
        self._attempts = attempts
        self._keeper = keeper
        self._secrets = secrets
        self._events = events
        self._clock = clock
        self._accounts: dict[ObjectUid, LiveAccount] = {}
        self._uids: dict[AccountRef, ObjectUid] = {}
        self._is_stopping = False

    # --- what kopf tells ---------------------------------------------------------------------------------------------

    def observe(self, document: Document) -> None:
        """Take in an object as listed or watched, and wake its driver if that matters."""
        now, status = seen(document)
        account = self._accounts.get(now.uid)
        if account is None:
            self._welcome(now, status)
            return
        before = account.seen
        account.look_at(now)
        if account.seen.is_suspended != before.is_suspended:
            self._events.tell(account.ref, now.uid, _suspension(account.seen))
        if account.status.last_attempt_time is not None and status.last_attempt_time is None:
            account.must_look = True  # an old event, or somebody removed the status by hand
            account.changed.set()

    def forget(self, uid: ObjectUid) -> None:
        """The object is gone, with or without notice (DELETED without deletionTimestamp)."""
        account = self._accounts.pop(uid, None)
        if account is None:
            return
        account.leave(gone=True)
        if self._uids.get(account.ref) == uid:
            del self._uids[account.ref]

    async def release(self, uid: ObjectUid, timeout_s: float) -> None:
        """End the account's run, if there is one, and wait for that; for `timeout_s` at most."""
        account = self._accounts.get(uid)
        if account is None:
            return
        account.leave()
        try:
            async with asyncio.timeout(timeout_s):
                await account.idle.wait()
        except TimeoutError:
            _log.warning("run still goes on", extra=_names(account))
        await self._tell_deleted(account)

    async def _tell_deleted(self, account: LiveAccount) -> None:
        if self._account_deleted is None:
            return
        try:
            async with asyncio.timeout(DELETED_S):
                await self._account_deleted(account.ref)
        except (ArchivmailError, TimeoutError) as error:
            _log.warning("deletion not noted in the catalog", extra=_names(account) | {"why": str(error)})

    async def attend(self, uid: ObjectUid, stopped: Stopped) -> None:
        """Drive the account until it is gone, deleted or `stopped`."""
        account = self._accounts.get(uid)
        if account is None or self._is_stopping:
            return
        async with account.driver:  # kopf may start a second timer while the first one still ends
            account.is_released = False
            passing_on = asyncio.ensure_future(_pass_on(stopped, account))
            try:
                await self._drive(account)
            finally:
                passing_on.cancel()
                if account.is_gone:
                    self.forget(uid)

    async def shut_down(self, timeout_s: float) -> None:
        """End all runs and wait for their drivers; for `timeout_s` at most."""
        self._is_stopping = True
        for account in self._accounts.values():
            account.leave()
        try:
            async with asyncio.timeout(timeout_s):
                for account in list(self._accounts.values()):
                    async with account.driver:
                        pass
        except TimeoutError:
            _log.warning("not every run has ended in time")

    @property
    def accounts(self) -> Iterator[LiveAccount]:
        """Accounts that are not being deleted, as they are now."""
        return iter([each for each in list(self._accounts.values()) if not each.seen.is_deleted and not each.is_gone])

    def _welcome(self, now: Seen, status: AccountStatus) -> None:
        former = self._uids.get(now.ref)
        if former is not None:
            self.forget(former)  # deleted and created again while nobody looked
        account = LiveAccount(seen=now, status=status)
        account.know(status)
        self._accounts[now.uid] = account
        self._uids[now.ref] = now.uid

    # --- one account -------------------------------------------------------------------------------------------------

    async def _drive(self, account: LiveAccount) -> None:
        failures = 0
        while not account.is_leaving:
            try:
                await self._step(account)
                failures = 0
            except (ApiUnavailable, ApiForbidden) as error:
                pause_s = _spread(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
                _log.warning("account could not be read", extra=_names(account) | {"why": str(error)})
                await _pause(account, pause_s)

    async def _step(self, account: LiveAccount) -> None:
        account.changed.clear()
        if account.unsaved is not None and asyncio.get_running_loop().time() >= account.save_at:
            await self._keeper.save(account)
        if account.must_look:
            await self._look(account)
        if account.is_leaving:
            return
        match self.decide(account):
            case RunNow():
                await self._attempts.attempt(account, self.decide)
            case Acknowledge():
                await self._acknowledge(account)
            case WaitUntil(at):
                await self._wait(account, at)
            case WaitForChange():
                await self._wait(account, None)

    def decide(self, account: LiveAccount) -> Step:
        """The next step by what is known now."""
        now, status = account.seen, account.status
        is_requested = bool(now.requested_at) and now.requested_at != status.last_handled_reconcile_at
        if now.spec is None:
            is_new = status.observed_generation != now.generation or is_requested
            return RunNow(Trigger.GENERATION) if is_new else WaitForChange()
        observed = Observed(
            generation=now.generation,
            suspend=now.spec.suspend,
            interval=now.spec.interval,
            requested_at=now.requested_at,
            status=status,
            created_at=now.created_at,
        )
        step = next_step(observed, self._clock())
        if account.has_new_secret and not now.is_suspended and not isinstance(step, RunNow):
            return RunNow(Trigger.SECRET)
        return step

    async def _look(self, account: LiveAccount) -> None:
        document = await self._api.get_account(account.ref)
        account.must_look = False
        if document is None or document["metadata"]["uid"] != account.seen.uid:
            account.leave(gone=True)
            return
        now, status = seen(document)
        account.look_at(now)
        if account.unsaved is None:
            account.know(status)

    async def _acknowledge(self, account: LiveAccount) -> None:
        document = await self._api.get_account(account.ref)
        if document is None or document["metadata"]["uid"] != account.seen.uid:
            account.leave(gone=True)
            return
        now, status = seen(document)
        account.look_at(now)
        previous = account.unsaved or status
        after = statuses.acknowledge(previous, generation=account.seen.generation, now=self._clock())
        await self._keeper.keep(account, after, document)

    async def _wait(self, account: LiveAccount, until: datetime | None) -> None:
        loop = asyncio.get_running_loop()
        limits = [_spread(LOOK_AGAIN_S)]
        if until is not None:
            limits.append(seconds(until - self._clock()))
        if account.unsaved is not None:
            limits.append(account.save_at - loop.time())
        poll_s = _spread(SECRET_POLL_S) if waits_for_secret(account) else None
        if poll_s is not None:
            limits.append(poll_s)
        timeout_s = min(limits)
        await account.wait(timeout_s)
        if account.changed.is_set():
            return
        if timeout_s == limits[0]:
            account.must_look = True
        elif timeout_s == poll_s:
            await self._look_at_secret(account)

    async def _look_at_secret(self, account: LiveAccount) -> None:
        assert account.seen.spec is not None
        known = account.secret_version
        if known is None:
            known = account.status.observed_secret_version or ""
        version = await self._secrets.version(account.ref.namespace, account.seen.spec)
        account.has_new_secret = version != known


def waits_for_secret(account: LiveAccount) -> bool:
    """Another Secret, not time, is what this account needs."""
    spec = account.seen.spec
    if spec is None or spec.suspend:
        return False
    reasons = {each.reason for each in account.status.conditions}
    waits = not reasons.isdisjoint(SECRET_REASONS | {Reason.AUTHENTICATION_FAILED, Reason.EGRESS_DENIED})
    return waits or (spec.ca_secret_name is not None and Reason.TLS_FAILED in reasons)


async def _pass_on(stopped: Stopped, account: LiveAccount) -> None:
    await stopped.wait()
    account.leave()


async def _pause(account: LiveAccount, seconds_: float) -> None:
    """Wait out a back-off: a change does not shorten it, the account's leaving does."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds_
    while not account.is_leaving and loop.time() < end:
        account.changed.clear()
        await account.wait(end - loop.time())


def _suspension(now: Seen) -> Notice:
    if now.is_suspended:
        return Notice(Severity.NORMAL, Reason.SUSPENDED, "No runs while spec.suspend is true; the archive is kept.")
    return Notice(Severity.NORMAL, Reason.RESUMED, "Runs go on, because spec.suspend is false again.")


def _spread(span_s: float) -> float:
    return span_s * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - spreads load, keeps no secret


def _names(account: LiveAccount) -> dict[str, object]:
    return {"namespace": account.ref.namespace, "account": account.ref.name}
