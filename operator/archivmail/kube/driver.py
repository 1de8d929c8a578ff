"""The driver of one account: waits, without polling, until a run is due or something changed, then has it attempted.

Asks `decide.due` for the next step; how a run goes is the business of `attempt`, which accounts there are that of
`scheduler`. S1 due by interval, S4 no request is lost, S6 no running flag that could stick: there is none.
"""

import asyncio
import logging
import random
from datetime import datetime

from archivmail.decide import status as statuses
from archivmail.decide.conditions import SECRET_REASONS
from archivmail.decide.due import Acknowledge, Observed, RunNow, Step, Trigger, WaitForChange, WaitUntil, next_step
from archivmail.kube.api import ApiForbidden, ApiUnavailable, KubeApi
from archivmail.kube.attempt import Attempts
from archivmail.kube.live import LiveAccount, named, seconds
from archivmail.kube.looking import look
from archivmail.kube.results import ResultKeeper
from archivmail.kube.secretreader import SecretReader
from archivmail.model.reasons import Reason
from archivmail.sync.ports import Clock

SECRET_POLL_S = 10.0
"""How often an account that waits for its Secret looks; a watch would need leave to read every Secret."""
LOOKS_PER_S = 20
"""All accounts together: where thousands wait for their Secrets, each looks more rarely."""
LOOK_AGAIN_S = 3600.0
"""An object whose end the watch has missed is found out after that time."""
BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
SPREAD = 0.2

_log = logging.getLogger(__name__)


class Driver:
    """One is enough for all accounts. For one event loop."""

    def __init__(
        self, *, api: KubeApi, attempts: Attempts, keeper: ResultKeeper, secrets: SecretReader, clock: Clock
    ) -> None:
        self._api = api
        self._attempts = attempts
        self._keeper = keeper
        self._secrets = secrets
        self._clock = clock
        self._last_look_at = 0.0
        """When the last of the looks at Secrets will be that are foreseen."""

    async def drive(self, account: LiveAccount) -> None:
        """Return when the account leaves."""
        failures = 0
        while not account.is_leaving:
            try:
                await self._step(account)
                failures = 0
            except (ApiUnavailable, ApiForbidden) as error:
                pause_s = _spread(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
                _log.warning("account could not be read", extra=named(account.ref) | {"why": str(error)})
                await _pause(account, pause_s)
        if account.unsaved is not None and not account.is_gone:
            await self._keeper.save(account)

    async def _step(self, account: LiveAccount) -> None:
        account.changed.clear()
        if account.unsaved is not None and asyncio.get_running_loop().time() >= account.save_at:
            await self._keeper.save(account)
        if account.must_look:
            await self.look(account)
        if account.must_look_at_secret and account.seen.spec is not None:
            account.must_look_at_secret = False
            await self._look_at_secret(account)
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
        if account.is_paused:
            return WaitForChange()
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

    async def look(self, account: LiveAccount) -> None:
        """What the API server says now; the account leaves when it is gone. Raises ApiUnavailable and ApiForbidden."""
        found = await look(self._api, account)
        account.must_look = False
        if found is not None and account.unsaved is None:
            _, status = found
            account.know(status)
            account.has_shown(status)

    async def _acknowledge(self, account: LiveAccount) -> None:
        found = await look(self._api, account)
        if found is None:
            return
        document, status = found
        previous = account.unsaved or status
        account.has_shown(status)
        after = statuses.acknowledge(
            previous, generation=account.seen.generation, is_suspended=account.seen.is_suspended, now=self._clock()
        )
        await self._keeper.keep(account, after, document)

    async def _wait(self, account: LiveAccount, until: datetime | None) -> None:
        loop = asyncio.get_running_loop()
        limits = [_spread(LOOK_AGAIN_S)]
        if until is not None:
            limits.append(seconds(until - self._clock()))
        if account.unsaved is not None:
            limits.append(account.save_at - loop.time())
        secret_due_at = self._secret_due_at(account, loop.time())
        if secret_due_at is not None:
            limits.append(secret_due_at - loop.time())
        timeout_s = min(limits)
        await account.wait(timeout_s)
        if account.changed.is_set():
            return
        if timeout_s == limits[0]:
            account.must_look = True
        elif secret_due_at is not None and loop.time() >= secret_due_at:
            account.secret_due_at = None
            await self._look_at_secret(account)

    def _secret_due_at(self, account: LiveAccount, now: float) -> float | None:
        """When to look at the Secret next. What happens meanwhile does not put it off."""
        if not waits_for_secret(account):
            account.secret_due_at = None
        elif account.secret_due_at is None:
            self._last_look_at = max(now + _spread(SECRET_POLL_S), self._last_look_at + 1 / LOOKS_PER_S)
            account.secret_due_at = self._last_look_at
        return account.secret_due_at

    async def _look_at_secret(self, account: LiveAccount) -> None:
        assert account.seen.spec is not None
        version = await self._secrets.version(account.ref.namespace, account.seen.spec)
        account.has_new_secret = version != account.known_secret_version


def waits_for_secret(account: LiveAccount) -> bool:
    """Another Secret, not time, is what this account needs."""
    spec = account.seen.spec
    if spec is None or spec.suspend:
        return False
    reasons = {each.reason for each in account.status.conditions}
    waits = not reasons.isdisjoint(SECRET_REASONS | {Reason.AUTHENTICATION_FAILED, Reason.EGRESS_DENIED})
    return waits or (spec.ca_secret_name is not None and Reason.TLS_FAILED in reasons)


async def _pause(account: LiveAccount, seconds_: float) -> None:
    """Wait out a back-off: a change does not shorten it, the account's leaving does."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds_
    while not account.is_leaving and loop.time() < end:
        account.changed.clear()
        await account.wait(end - loop.time())


def _spread(span_s: float) -> float:
    return span_s * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - spreads load, keeps no secret
