"""Whose turn it is: one run under one name at a time, and no more at once than there are slots and the server allows.

A turn lasts until the thread of its run has really ended, also when nobody waits for that any more. So there are never
two runs of one account, not even when it was deleted and created again meanwhile (S2).
"""

import asyncio
from collections.abc import Callable
from typing import Any

from archivmail.kube.live import LiveAccount
from archivmail.kube.slots import Slots, Ticket
from archivmail.model.account import AccountRef

Server = tuple[str, int]
"""Host and port: the lane of an account's runs."""


class Turn:
    """Name and slot of one account; to be given back exactly once."""

    def __init__(self, give_back: Callable[[], None], is_wanted: Callable[[], bool]) -> None:
        self._give_back = give_back
        self.is_wanted = is_wanted
        """Does somebody wait for what this turn holds? May be asked from any thread."""
        self.run: asyncio.Future[Any] | None = None
        """The run that goes on in this turn, if there is one."""

    def end(self) -> None:
        """Give name and slot back, as soon as the run has ended."""
        if self.run is None or self.run.done():
            self._give_back()
        else:
            self.run.add_done_callback(lambda _: self._give_back())


class Turns:
    """For one event loop."""

    def __init__(self, slots: Slots, waited: Callable[[float], None]) -> None:
        """`waited` hears how many seconds each turn waited for its slot."""
        self._slots = slots
        self._waited = waited
        self._busy: dict[AccountRef, asyncio.Future[None]] = {}

    async def take(self, account: LiveAccount) -> Turn | None:
        """Wait for name and slot; None when the account leaves or is suspended before."""
        if not await self._take_name(account):
            return None
        try:
            ticket = await self._take_slot(account)
        except BaseException:
            self._give_name_back(account.ref)
            raise
        if ticket is None:
            self._give_name_back(account.ref)
            return None
        ref = account.ref

        def give_back() -> None:
            self._slots.release(ticket)
            self._give_name_back(ref)

        return Turn(give_back, lambda: self._slots.is_wanted(ticket))

    async def _take_name(self, account: LiveAccount) -> bool:
        while not account.is_unwanted:
            busy = self._busy.get(account.ref)
            if busy is None:
                self._busy[account.ref] = asyncio.get_running_loop().create_future()
                return True
            account.changed.clear()
            await account.wait(None, busy)
        return False

    def _give_name_back(self, ref: AccountRef) -> None:
        self._busy.pop(ref).set_result(None)

    async def _take_slot(self, account: LiveAccount) -> Ticket | None:
        loop = asyncio.get_running_loop()
        queued_at = loop.time()
        ticket = self._slots.ticket(_lane(account))
        try:
            while not ticket.granted.done() and not account.is_unwanted:
                account.changed.clear()
                await account.wait(None, ticket.granted)
                if not ticket.granted.done() and _lane(account) != ticket.lane:
                    self._slots.withdraw(ticket)
                    ticket = self._slots.ticket(_lane(account))
        except BaseException:
            self._slots.withdraw(ticket)
            raise
        if not ticket.granted.done():
            self._slots.withdraw(ticket)
            return None
        self._waited(loop.time() - queued_at)
        return ticket


def _lane(account: LiveAccount) -> Server | None:
    """The mail server; None where the spec cannot be read, so that none will be asked."""
    spec = account.seen.spec
    return None if spec is None else (spec.host.lower().rstrip("."), spec.port)
