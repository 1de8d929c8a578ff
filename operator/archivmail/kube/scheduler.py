"""All accounts of this process: what kopf tells of them, and who has to hear it.

One driver for each account (`driver`) decides when it runs. S2: never two drivers of one account at once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import islice, zip_longest
from typing import Protocol

from archivmail.kube.api import ApiFault, Document
from archivmail.kube.driver import Driver
from archivmail.kube.events import EventSender
from archivmail.kube.live import LiveAccount, Seen, marks, named, seen
from archivmail.kube.secretwatch import SecretSeen
from archivmail.model.account import AccountRef, AccountSpec, ObjectUid
from archivmail.model.errors import ArchivmailError
from archivmail.model.notices import Notice, Severity
from archivmail.model.reasons import Reason
from archivmail.model.status import AccountStatus

GHOSTS_S = 300.0
MAX_GHOSTS = 100  # looks at a time: where kopf may not watch, it hands over nobody
DELETED_S = 2.0  # for the catalog; `kubectl delete` returns in under 10 s
DELETED_AT_ONCE = 32  # each is a thread, and a namespace that goes takes all of its accounts with it
REMIND_S = 60.0

_log = logging.getLogger(__name__)


class Stopped(Protocol):
    """Kopf's `stopped` as an async handler gets it."""

    def wait(self) -> Awaitable[object]: ...


class Scheduler:
    """All accounts of this process. For one event loop; `accounts` may be iterated from any thread."""

    def __init__(
        self,
        *,
        driver: Driver,
        events: EventSender,
        account_deleted: Callable[[AccountRef], Awaitable[None]] | None = None,
        all_attended: Callable[[], None] = lambda: None,
    ) -> None:
        """`account_deleted` hears of accounts whose resource is being deleted, `all_attended` whenever every account
        that is known has been given to a driver.
        """
        self._account_deleted = account_deleted
        self._telling = asyncio.Semaphore(DELETED_AT_ONCE)
        self._unnoted: dict[AccountRef, None] = {}
        """Deleted, and the catalog could not note it; in the order of the last attempt."""
        self._driver = driver
        self._events = events
        self._accounts: dict[ObjectUid, LiveAccount] = {}
        self._uids: dict[AccountRef, ObjectUid] = {}
        self._users: dict[tuple[str, str], set[ObjectUid]] = {}
        """Who names which Secret: a Secret is looked up, thousands of accounts are not gone through."""
        self._uses: dict[ObjectUid, set[tuple[str, str]]] = {}
        self._unattended: set[ObjectUid] = set()
        """Known, and not yet handed over by kopf."""
        self._all_attended = all_attended
        self._is_stopping = False
        self._is_paused = False

    # --- what kopf tells ---------------------------------------------------------------------------------------------

    def observe(self, document: Document) -> None:
        """Take in an object as listed or watched, and wake its driver if that matters."""
        account = self._accounts.get(ObjectUid(document["metadata"]["uid"]))
        told = marks(document)
        if account is not None and account.marks == told:
            return
        now, status = seen(document)
        if account is None:
            self._welcome(now, status).marks = told
            self._note_secrets(now.uid, now.ref, now.spec)
            return
        self._note_secrets(now.uid, now.ref, now.spec)
        account.marks = told
        before = account.seen
        account.look_at(now)
        if account.seen.is_suspended != before.is_suspended:
            self._events.tell(account.ref, now.uid, _suspension(account.seen))
        if account.shown.last_attempt_time is not None and status.last_attempt_time is None:
            account.must_look = True  # an old event, or somebody removed the status by hand
            account.changed.set()

    def secret_seen(self, each: SecretSeen) -> None:
        """A Secret was listed or changed: accounts that use another version of it look at it now."""
        for uid in self._users.get((each.namespace, each.name), ()):
            account = self._accounts[uid]
            spec = account.seen.spec
            if spec is None:
                continue
            known = account.known_secret_version.split("+")
            if any(
                name == each.name and version != each.version
                for name, version in zip_longest(_secrets_of(spec), known, fillvalue="")
            ):
                account.must_look_at_secret = True
                account.changed.set()

    async def gone(self, uid: ObjectUid) -> None:
        """The object is gone, with or without notice (DELETED without deletionTimestamp): forget it. Who did not hear
        of its deletion before (`release`) hears of it now.
        """
        account = self._accounts.get(uid)
        self.forget(uid)
        if account is not None and not account.seen.is_deleted and account.ref not in self._uids:
            await self._tell_deleted(account.ref)

    def forget(self, uid: ObjectUid) -> None:
        """The object is not there any more, or another one has its name."""
        account = self._accounts.pop(uid, None)
        if account is None:
            return
        account.leave(gone=True)
        if self._uids.get(account.ref) == uid:
            del self._uids[account.ref]
        self._note_secrets(uid, account.ref, None)
        self._attended(uid)

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
            _log.warning("run still goes on", extra=named(account.ref))
        await self._tell_deleted(account.ref)

    async def remind(self) -> None:
        """Until cancelled: tell the catalog of deletions that it could not note. Mail of an account that is gone would
        go on to be past its time, and the next upkeep by hand remove it.
        """
        while True:
            await asyncio.sleep(REMIND_S)
            for ref in list(self._unnoted):
                if self._is_wanted(ref):
                    self._unnoted.pop(ref, None)  # created again: what its resource says counts
                elif not await self._tell_deleted(ref):
                    break  # neither would it note the others

    def _is_wanted(self, ref: AccountRef) -> bool:
        uid = self._uids.get(ref)
        return uid is not None and not self._accounts[uid].seen.is_deleted

    async def _tell_deleted(self, ref: AccountRef) -> bool:
        """Whether the catalog has noted it."""
        self._unnoted.pop(ref, None)
        if self._account_deleted is None:
            return True
        try:
            async with asyncio.timeout(DELETED_S), self._telling:
                await self._account_deleted(ref)
        except (ArchivmailError, TimeoutError) as error:
            self._unnoted[ref] = None
            why = str(error) or "it does not answer"
            _log.warning("deletion not noted in the catalog; it is told again", extra=named(ref) | {"why": why})
            return False
        return True

    async def attend(self, uid: ObjectUid, stopped: Stopped) -> None:
        """Drive the account until it is gone, deleted or `stopped`."""
        account = self._accounts.get(uid)
        if account is None or self._is_stopping:
            return
        self._attended(uid)
        async with account.driver:  # kopf may start a second timer while the first one still ends
            account.is_released = False
            passing_on = asyncio.ensure_future(_pass_on(stopped, account))
            try:
                await self._driver.drive(account)
            finally:
                passing_on.cancel()
                if account.is_gone:
                    await self.gone(uid)

    async def look_for_ghosts(self) -> None:
        """Until cancelled: look at accounts that kopf does not hand over. One that went after our first listing and
        before kopf's has no driver that would find that out.
        """
        known: set[ObjectUid] = set()
        while True:
            await asyncio.sleep(GHOSTS_S)
            ghosts = [self._accounts[uid] for uid in islice(known & self._unattended, MAX_GHOSTS)]
            known = set(self._unattended)
            with suppress(ApiFault):
                for account in ghosts:
                    await self._driver.look(account)
                    if account.is_gone:
                        await self.gone(account.seen.uid)

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

    # --- what a Lease tells ------------------------------------------------------------------------------------------

    async def pause(self, timeout_s: float) -> bool:
        """Start no runs any more and end those that go on; whether all have ended within `timeout_s`.

        Accounts stay known, and so do new ones: `resume` goes on where this began.
        """
        self._pause(is_paused=True)
        try:
            async with asyncio.timeout(timeout_s):
                for account in list(self._accounts.values()):
                    await account.idle.wait()
        except TimeoutError:
            _log.warning("not every run has ended in time")
            return False
        return True

    def resume(self) -> None:
        """Serve the accounts again. Each run begins with a fresh look, so what others did meanwhile counts."""
        self._pause(is_paused=False)

    def _pause(self, *, is_paused: bool) -> None:
        self._is_paused = is_paused
        for account in self._accounts.values():
            account.pause(is_paused=is_paused)

    # --- what others read --------------------------------------------------------------------------------------------

    @property
    def accounts(self) -> Iterator[LiveAccount]:
        """Accounts that are not being deleted, as they are now."""
        return iter([each for each in list(self._accounts.values()) if not each.seen.is_deleted and not each.is_gone])

    def _welcome(self, now: Seen, status: AccountStatus) -> LiveAccount:
        former = self._uids.get(now.ref)
        if former is not None:
            self.forget(former)  # deleted and created again while nobody looked
        account = LiveAccount(seen=now, status=status, is_paused=self._is_paused)
        account.know(status)
        account.has_shown(status)
        self._accounts[now.uid] = account
        self._uids[now.ref] = now.uid
        self._unattended.add(now.uid)
        return account

    def _note_secrets(self, uid: ObjectUid, ref: AccountRef, spec: AccountSpec | None) -> None:
        now = {(ref.namespace, name) for name in (_secrets_of(spec) if spec is not None else ())}
        before = self._uses.pop(uid, set())
        for key in before - now:
            self._users[key].remove(uid)
            if not self._users[key]:
                del self._users[key]
        for key in now - before:
            self._users.setdefault(key, set()).add(uid)
        if now:
            self._uses[uid] = now

    def _attended(self, uid: ObjectUid) -> None:
        if uid in self._unattended:
            self._unattended.remove(uid)
            if not self._unattended:
                self._all_attended()


def _secrets_of(spec: AccountSpec) -> list[str]:
    """In the order of the parts of a Secret's version."""
    return [spec.secret_name, *([spec.ca_secret_name] if spec.ca_secret_name else [])]


async def _pass_on(stopped: Stopped, account: LiveAccount) -> None:
    await stopped.wait()
    account.leave()


def _suspension(now: Seen) -> Notice:
    if now.is_suspended:
        return Notice(Severity.NORMAL, Reason.SUSPENDED, "No runs while spec.suspend is true; the archive is kept.")
    return Notice(Severity.NORMAL, Reason.RESUMED, "Runs go on, because spec.suspend is false again.")
