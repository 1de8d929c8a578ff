"""A session that gets help: a second connection of the account fetches beside it while a large folder comes slowly.

The second one is never needed. Whatever happens to it, the first goes on alone and asks for what the other had under
way, and there is no other try in this session.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Lock, Thread

from archivmail.decide.pairing import is_worth_pairing
from archivmail.imap.connector import Connector
from archivmail.imap.fetching import Deliver
from archivmail.imap.oauth import Rotated, unheard
from archivmail.imap.pipeline import Answered
from archivmail.imap.session import MAX_ALERTS, Session
from archivmail.imap.sharing import Shared, Taker
from archivmail.model.account import Credentials, Endpoint, Origin, Rotation
from archivmail.model.errors import ArchivmailError, NeedsTime
from archivmail.model.folder import Folder, FolderName, Snapshot
from archivmail.model.message import Refused, Sighting
from archivmail.model.uidset import Uid, UidSet

_OPENING_S = 5.0  # nobody waits longer for a second connection that is still being opened
_JOIN_S = 5.0  # it looks up every quarter of a second
_SLICE_S = 0.25


@dataclass(frozen=True, slots=True)
class Pairing:
    """Satisfies `sync.ports.Connect`."""

    connector: Connector

    def __call__(
        self,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        should_stop: Callable[[], bool],
        rotated: Rotated = unheard,
    ) -> "Pair":
        failed, lock = Event(), Lock()

        def another(is_ending: Callable[[], bool]) -> Session | None:
            return self.connector.another(
                endpoint, credentials, should_stop=lambda: is_ending() or should_stop(), rotated=heard
            )

        def heard(rotation: Rotation) -> None:
            with lock:
                rotated(rotation)

        first = self.connector(
            endpoint, credentials, should_stop=lambda: failed.is_set() or should_stop(), rotated=rotated
        )
        return Pair(first, another, is_forced=self.connector.limits.pair_always, lock=lock, failed=failed)


class Pair:
    """Satisfies `sync.ports.MailServer`: `first`, and now and then one more. Not for two threads at once."""

    def __init__(
        self,
        first: Session,
        another: Callable[[Callable[[], bool]], Session | None],
        *,
        is_forced: bool,
        lock: Lock,
        failed: Event,
    ) -> None:
        """`another` opens a connection that ends when told so; `first` ends when `failed` is set."""
        self._first = first
        self._another = another
        self._is_forced = is_forced
        self._lock = lock
        self._failed = failed
        self._ending = Event()
        """There is no second connection any more, and no other try."""
        self._second: Session | None = None
        self._second_alerts: tuple[str, ...] = ()
        self._opened: tuple[Folder, Snapshot] | None = None
        self._helping: tuple[Thread, Taker] | None = None

    @property
    def origin(self) -> Origin:
        return self._first.origin

    @property
    def alerts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._first.alerts, *self._second_alerts)))[:MAX_ALERTS]

    @property
    def most_messages(self) -> int:
        return self._first.most_messages

    @property
    def view_limits(self) -> frozenset[int]:
        return self._first.view_limits

    def folders(self) -> list[Folder]:
        return self._first.folders()

    def status(self, folders: Iterable[Folder]) -> dict[FolderName, Snapshot]:
        return self._first.status(folders)

    def examine(self, folder: Folder) -> Snapshot:
        self._opened = None
        if self._second is not None and self._second.is_wanted:
            self._part()
        snapshot = self._first.examine(folder)
        self._opened = folder, snapshot
        return snapshot

    def uids(self) -> UidSet:
        return self._first.uids()

    def sightings(self, uids: UidSet) -> dict[Uid, Sighting]:
        return self._first.sightings(uids)

    def fetch(self, uids: UidSet, deliver: Deliver) -> Refused | None:
        return self._first.fetch(uids, deliver)

    def assemble(self, uid: Uid, ways: Sequence[str], deliver: Deliver) -> None:
        self._first.assemble(uid, ways, deliver)

    def fetch_batches(self, batches: Iterator[UidSet], deliver: Deliver, answered: Answered) -> None:
        if not self._may_help():
            self._first.fetch_batches(batches, deliver, answered)
            return
        shared = Shared(batches, deliver, answered, lock=self._lock, failed=self._failed)
        taker = Taker(shared, is_first=True, before=lambda: self._get_help(shared))
        try:
            self._fetch(shared, taker)
        except BaseException as error:
            self._end(shared)
            if shared.failure is not None and shared.failure is not error:
                raise shared.failure from None
            if isinstance(error, NeedsTime):
                error.broke_at = taker.lots[0].asked if taker.lots else UidSet()
            raise
        finally:
            self._helping = None

    def close(self) -> None:
        """Both. Never raises."""
        self._part()
        self._first.close()

    # --- help --------------------------------------------------------------------------------------------------------

    def _may_help(self) -> bool:
        if self._ending.is_set() or self._opened is None or self._first.is_one_by_one:
            return False
        # Without UIDVALIDITY nobody knows whether two sessions mean the same by a UID.
        return bool(self._opened[1].uid_validity) and (self._is_forced or not self._first.line.is_loopback)

    def _fetch(self, shared: Shared, taker: Taker) -> None:
        while True:
            self._first.fetch_batches(taker.batches(), taker.deliver, taker.answered)
            self._await_help()
            if shared.failure is not None:
                raise shared.failure
            if not shared.has_more:
                return

    def _get_help(self, shared: Shared) -> None:
        """Once in each fetch, as soon as it is worth it."""
        if self._helping is not None or self._ending.is_set() or not self._is_worth(shared.to_come):
            return
        taker = Taker(shared, is_first=False)
        thread = Thread(target=self._help, args=(shared, taker), name="imap-second-connection", daemon=True)
        self._helping = thread, taker
        thread.start()

    def _is_worth(self, batches: int) -> bool:
        if self._is_forced:
            return batches > 0
        first = self._first
        return is_worth_pairing(
            first.line, batches=batches, is_one_by_one=first.is_one_by_one, most_messages=first.most_messages
        )

    def _help(self, shared: Shared, taker: Taker) -> None:
        """In a thread of its own."""
        try:
            second = self._second = self._second or self._another(self._ending.is_set)
            if second is None:  # others need the connection; a later folder may be luckier
                return
            if self._is_same_folder(second):
                second.fetch_batches(taker.batches(), taker.deliver, taker.answered)
            else:
                self._ending.set()
            if taker.is_refused:
                self._ending.set()
        except ArchivmailError as error:
            if error is not shared.failure:
                self._ending.set()
        except BaseException as error:  # noqa: BLE001 - raised again where the run hears it
            shared.fail(error)
        finally:
            with suppress(Exception):  # of the caller: it is the failure of both by now
                taker.give_back()
            if self._ending.is_set():
                self._part()

    def _is_same_folder(self, second: Session) -> bool:
        """Do UIDs mean there what they mean in the first session? Not on another replica, perhaps (traps 11, 94)."""
        assert self._opened is not None
        folder, known = self._opened
        seen = second.examine(folder)
        return seen.uid_validity == known.uid_validity and (seen.uid_next or 0) >= (known.uid_next or 0)

    def _await_help(self) -> None:
        """Until the second session has answered what it has under way. Its own limits end that."""
        if self._helping is None:
            return
        thread, taker = self._helping
        deadline = time.monotonic() + _OPENING_S
        while thread.is_alive():
            thread.join(_SLICE_S)
            if not taker.lots and time.monotonic() >= deadline:
                self._ending.set()  # it is still being opened, and there is nothing left to do

    def _end(self, shared: Shared) -> None:
        """Nothing of the caller's is called any more when this returns."""
        self._ending.set()
        shared.end()
        thread = self._helping[0] if self._helping is not None else None
        if thread is not None:
            thread.join(_JOIN_S)
        if thread is None or not thread.is_alive():
            self._part()
        if shared.failure is not None:
            self.close()

    def _part(self) -> None:
        """From the second connection, for good."""
        self._ending.set()
        second, self._second = self._second, None
        if second is not None:
            self._second_alerts = second.alerts
            second.close()
