"""Access tokens: fetched right before a login, kept in memory only, renewed once when a server refuses one (trap 90).

What is asked and answered is the business of `grants.py`, the request itself that of `tokenendpoint.py`.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from archivmail.imap.dialing import STOPPED
from archivmail.imap.grants import Granted, asked, can_fetch, granted
from archivmail.imap.login import HeldToken, TokenSource
from archivmail.imap.tokenendpoint import EndpointLimits, post
from archivmail.model.account import Credentials, Rotation, Secret
from archivmail.model.errors import Aborted

Rotated = Callable[[Rotation], None]
"""Hears of a new refresh token, in the thread that fetched it; must be quick."""

MAX_ACCOUNTS = 10_000
"""Some 60 MB of tokens at the worst; of more accounts the oldest fetch again."""
EARLY_S = 120.0
"""A token is not used in its last two minutes: a login may take one."""
UNKNOWN_LIFETIME_S = 600.0
"""Of a token that comes without `expires_in`; should it live shorter, the server's refusal renews it."""
LONGEST_LIFETIME_S = 86_400.0
MAX_NAMES = 4
_SLICE_S = 0.25


@dataclass(slots=True)
class _Entry:
    """What is known for one set of credentials. Changed only by whoever holds the lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    token: Secret | None = None
    expires_at: float = 0.0
    refresh_token: Secret | None = None
    """The newest one, where the provider gave another than the Secret holds."""
    names: list[bytes] = field(default_factory=list)
    """Under which it is found, the newest last: a Secret into which a new refresh token was written has another."""


class Tokens:
    """The access tokens of a process. For any thread."""

    def __init__(
        self,
        *,
        limits: EndpointLimits = EndpointLimits(),  # noqa: B008 - frozen
        clock: Callable[[], float] = time.monotonic,
        learned: Callable[[Secret], None] = lambda _: None,
        max_accounts: int = MAX_ACCOUNTS,
    ) -> None:
        """`learned` hears every secret that an endpoint gives, before anything else does."""
        self.limits = limits
        self.clock = clock
        self.learned = learned
        self._max_accounts = max_accounts
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def source(
        self,
        credentials: Credentials,
        *,
        ca_pem: str | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        rotated: Rotated | None = None,
    ) -> TokenSource:
        """Tokens for one login."""
        if not can_fetch(credentials):
            return HeldToken(credentials)
        return FetchedTokens(self, credentials, ca_pem, should_stop, rotated or unheard)

    def entry(self, credentials: Credentials) -> _Entry:
        """The one entry for these credentials; a long unused one makes room."""
        name = _identity(credentials)
        with self._lock:
            found = self._entries.get(name)
            if found is None:
                found = _Entry()
                self._put(name, found)
            else:
                self._entries.move_to_end(name)
        return found

    def also_known_as(self, credentials: Credentials, successor: Secret, entry: _Entry) -> None:
        """The Secret will hold this refresh token from now on, or may. Former names are forgotten but for a few, so
        that providers which give a new token every hour do not fill the memory.
        """
        used, new = _identity(credentials), _identity(replace(credentials, refresh_token=successor))
        with self._lock:
            kept = [*(each for each in entry.names if each not in {used, new}), used, new][-MAX_NAMES:]
            for name in entry.names:
                if name not in kept:
                    self._entries.pop(name, None)
            entry.names.clear()
            for name in kept:
                self._put(name, entry)

    def _put(self, name: bytes, entry: _Entry) -> None:
        """Room is made by forgetting the oldest; one with a refresh token that nobody else has goes last."""
        entry.names.append(name)
        if name not in self._entries and len(self._entries) >= self._max_accounts:
            expendable = (key for key, each in self._entries.items() if each.refresh_token is None)
            del self._entries[next(expendable, next(iter(self._entries)))]
        self._entries[name] = entry


class FetchedTokens:
    """Satisfies login.TokenSource. For one login in one thread."""

    def __init__(
        self,
        tokens: Tokens,
        credentials: Credentials,
        ca_pem: str | None,
        should_stop: Callable[[], bool],
        rotated: Rotated,
    ) -> None:
        self._tokens = tokens
        self._credentials = credentials
        self._ca_pem = ca_pem
        self._should_stop = should_stop
        self._rotated = rotated
        self._given: Secret | None = None
        self._is_new = False

    def token(self) -> Secret:
        with self._held() as entry:
            if entry.token is None or self._tokens.clock() >= entry.expires_at:
                return self._fetch(entry)
            self._given, self._is_new = entry.token, False
            return entry.token

    def renewed(self) -> Secret | None:
        with self._held() as entry:
            if entry.token == self._given:
                entry.token = None
            if self._is_new:
                return None
            if entry.token is None:
                return self._fetch(entry)
            self._given = entry.token  # another session of this account was quicker
            return entry.token

    def discard(self) -> None:
        with self._held() as entry:
            if entry.token == self._given:
                entry.token = None

    @contextmanager
    def _held(self) -> Iterator[_Entry]:
        """One request at a time for one account: of two refresh tokens used at once a provider may revoke both."""
        entry = self._tokens.entry(self._credentials)
        while not entry.lock.acquire(timeout=_SLICE_S):
            if self._should_stop():
                raise Aborted(STOPPED)
        try:
            yield entry
        finally:
            entry.lock.release()

    def _fetch(self, entry: _Entry) -> Secret:
        now_held = replace(self._credentials, refresh_token=entry.refresh_token or self._credentials.refresh_token)
        reply = post(
            self._credentials.token_url or "",
            asked(now_held),
            ca_pem=self._ca_pem,
            should_stop=self._should_stop,
            limits=self._tokens.limits,
        )
        found = granted(reply, now_held)
        self._tokens.learned(found.token)
        lifetime_s = min(found.lifetime_s or UNKNOWN_LIFETIME_S, LONGEST_LIFETIME_S)
        entry.token = found.token
        entry.expires_at = self._tokens.clock() + lifetime_s - min(EARLY_S, lifetime_s / 4)
        self._given, self._is_new = found.token, True
        self._keep_successor(entry, now_held.refresh_token, found)
        return found.token

    def _keep_successor(self, entry: _Entry, used: Secret | None, found: Granted) -> None:
        given = found.refresh_token
        held = self._credentials.refresh_token
        if held is None or used is None or given is None or given == used:
            return
        self._tokens.learned(given)
        entry.refresh_token = given
        self._tokens.also_known_as(self._credentials, given, entry)
        self._rotated(Rotation(held, used, given))


def unheard(rotation: Rotation) -> None:
    """A `Rotated` that nobody listens to."""


def _identity(credentials: Credentials) -> bytes:
    """Names the credentials without keeping them."""
    parts = (
        credentials.token_url or "",
        credentials.client_id or "",
        credentials.client_secret.reveal() if credentials.client_secret else "",
        credentials.refresh_token.reveal() if credentials.refresh_token else "",
        " ".join(credentials.scopes),
        credentials.username,
    )
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).digest()
