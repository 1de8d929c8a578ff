"""What the Lease of a shard means for the process: runs while it is held, none while it is not.

Without shards there is no Lease, and nothing here ever says no.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from archivmail.decide.leases import Terms
from archivmail.kube.context import OperatorContext
from archivmail.kube.leases import LeaseApi, LeaseKeeper
from archivmail.model.errors import SpecInvalid

SERVICE_ACCOUNT_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

_log = logging.getLogger(__name__)


class Pausable(Protocol):
    """What a Lease decides on: the scheduler."""

    async def pause(self, timeout_s: float) -> bool: ...
    def resume(self) -> None: ...


class Tenure:
    """`may_run` and `may_write` may be asked by any thread."""

    def __init__(self, lease: LeaseKeeper | None) -> None:
        self._lease = lease

    @property
    def problem(self) -> str | None:
        """Why this process serves no account, in one sentence; None when it does."""
        lease = self._lease
        return None if lease is None or lease.may_run() else lease.problem

    def may_run(self) -> bool:
        """Whether runs may go on."""
        return self._lease is None or self._lease.may_run()

    def may_write(self) -> bool:
        """Whether what runs have found out may still be told."""
        return self._lease is None or self._lease.may_write()

    def stopping(self, should_stop: Callable[[], bool]) -> Callable[[], bool]:
        """Another reason to stop: a thread that wakes after a pause sees it before the event loop does."""
        return lambda: should_stop() or not self.may_run()

    async def begin(self, runs: Pausable) -> None:
        """No runs before the Lease is held."""
        if self._lease is not None:
            await runs.pause(0)

    async def hold(self, runs: Pausable) -> None:
        """Have runs while the Lease is held. Returns when the process had better end: its runs did not in time.

        A process that has lost its Lease and ended its runs is a standby: it knows the accounts, and goes on when it
        gets the Lease back. So an outage of the API server restarts no pod.
        """
        lease = self._lease
        if lease is None:
            await asyncio.get_running_loop().create_future()  # for ever
            return
        while True:
            await lease.take()
            runs.resume()
            why = await lease.keep()
            if not await runs.pause(max(0.0, lease.seconds_left())):
                _log.error("runs outlived the lease; the operator ends, to be started again", extra={"why": why})
                return

    async def end(self) -> None:
        """Give the Lease back. Only when no run goes on any more."""
        if self._lease is not None:
            await self._lease.release()


def tenure(context: OperatorContext, api: LeaseApi) -> Tenure:
    """The tenure of this process. Raises SpecInvalid when it cannot know the namespace of its Lease."""
    settings, metrics = context.settings, context.metrics
    if settings.shards == 1:
        return Tenure(None)
    metrics.lease_held(settings.shard, is_held=False)
    keeper = LeaseKeeper(
        api,
        namespace=settings.lease_namespace or _own_namespace(),
        name=f"{settings.lease_name}-shard-{settings.shard}",
        identity=f"{os.environ.get('HOSTNAME') or socket.gethostname()}_{secrets.token_hex(8)}",
        terms=Terms(float(settings.lease_seconds)),
        clock=context.clock,
        heard=lambda is_held: metrics.lease_held(settings.shard, is_held=is_held),
    )
    return Tenure(keeper)


def _own_namespace() -> str:
    try:
        return SERVICE_ACCOUNT_NAMESPACE.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise SpecInvalid(
            "ARCHIVMAIL_SHARDS is more than 1 and this is no pod; set ARCHIVMAIL_LEASE_NAMESPACE to the namespace of "
            "the Leases"
        ) from error
