"""Put statuses where they belong: the catalog first, then the API server; keep what cannot be written until it can.

While the API server is away runs go on, and the last result of each account waits here (S7).
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from archivmail.decide.writing import WRITE_EVERY_S, is_awaited
from archivmail.kube.api import ApiForbidden, ApiRefused, ApiUnavailable, Document
from archivmail.kube.live import LiveAccount, named
from archivmail.kube.statuswriter import ObjectGone, StatusWriter
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchivmailError
from archivmail.model.retention import Policy
from archivmail.model.status import AccountStatus
from archivmail.model.wireform import to_wire

SAVE_RETRY_S = 5.0
CATALOG_TIMEOUT_S = 60.0  # a database that is locked for longer is no place to wait for
CATALOG_PATIENCE_S = 5.0  # of an account that leaves
CATALOG_AT_ONCE = 32
"""Each is a thread. One commit that suspends ten thousand accounts has ten thousand results at once."""

KeepPolicy = Callable[[AccountRef, Policy], Awaitable[None]]
SaveStatus = Callable[[AccountRef, dict[str, object]], Awaitable[None]]

_log = logging.getLogger(__name__)


class ResultKeeper:
    """The one way to `.status`."""

    def __init__(self, writer: StatusWriter, save_status: SaveStatus, keep_policy: KeepPolicy | None = None) -> None:
        """`keep_policy` hears what the resource says about removal, also of accounts that do not run."""
        self._keep_policy = keep_policy
        self._writer = writer
        self._save_status = save_status
        self._catalog = asyncio.Semaphore(CATALOG_AT_ONCE)

    async def show(self, account: LiveAccount, status: AccountStatus, known: Document | None) -> Document | None:
        """Write a passing status (a run goes on): when that fails, the next one is soon enough.

        Gives the object as it is then, None when that is not known.
        """
        if account.is_leaving:
            return known
        try:
            document = await self._writer.write(account.ref, account.seen.uid, status, known)
        except ObjectGone:
            account.leave(gone=True)
        except ApiRefused as error:
            _log.error("status refused", extra=_facts(account, error))
        except (ApiUnavailable, ApiForbidden) as error:
            _log.warning("status not written", extra=_facts(account, error))
        else:
            account.has_shown(status, asyncio.get_running_loop().time())
            return document
        return None

    async def keep(self, account: LiveAccount, status: AccountStatus, known: Document | None = None) -> None:
        """Write a result, at once or when it is due; it stays in memory until then, or until a newer one comes."""
        account.know(status)
        account.unsaved = status
        await self._note(account, status)
        due_at = account.written_at + WRITE_EVERY_S
        can_wait = not is_awaited(account.shown, status) and not account.is_unwanted
        if can_wait and due_at > asyncio.get_running_loop().time():
            account.save_at = due_at
        else:
            await self.save(account, known)

    async def _note(self, account: LiveAccount, status: AccountStatus) -> None:
        """Tell the catalog. An account that leaves waits for it only a little: its deletion would hang."""
        work = asyncio.ensure_future(self._tell_catalog(account, status))
        try:
            await account.stay_with(work, CATALOG_PATIENCE_S)
            async with asyncio.timeout(0):  # it has ended, or is given up
                await work
        except (ArchivmailError, TimeoutError) as error:
            _log.warning("status not kept in the catalog", extra=_facts(account, error))
        finally:
            work.cancel()

    async def _tell_catalog(self, account: LiveAccount, status: AccountStatus) -> None:
        async with self._catalog, asyncio.timeout(CATALOG_TIMEOUT_S):
            await self._save_status(account.ref, to_wire(status))
            if self._keep_policy is not None and account.seen.spec is not None:
                await self._keep_policy(account.ref, account.seen.spec.policy)

    async def save(self, account: LiveAccount, known: Document | None = None) -> None:
        """Try to write what is unsaved; sets the time of the next attempt when that fails."""
        status = account.unsaved
        if status is None or account.is_gone or account.seen.is_deleted:
            account.unsaved = None
            return
        try:
            await self._writer.write(account.ref, account.seen.uid, status, known)
        except ObjectGone:
            account.leave(gone=True)
        except ApiRefused as error:
            _log.error("status refused", extra=_facts(account, error))
        except (ApiUnavailable, ApiForbidden) as error:
            account.save_at = asyncio.get_running_loop().time() + SAVE_RETRY_S * random.uniform(0.8, 1.2)  # noqa: S311
            _log.warning("status not written", extra=_facts(account, error))
            return
        else:
            account.has_shown(status, asyncio.get_running_loop().time())
        account.unsaved = None


def _facts(account: LiveAccount, error: BaseException) -> dict[str, object]:
    return named(account.ref) | {"why": str(error) or type(error).__name__}
