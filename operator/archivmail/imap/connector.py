"""Connections for every account of the process: `session.connect` within the limits that its accounts share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from archivmail.imap.limits import Limits
from archivmail.imap.manners import Manners
from archivmail.imap.oauth import Rotated, Tokens, unheard
from archivmail.imap.permits import Permit, Permits
from archivmail.imap.session import Session, connect
from archivmail.model.account import Credentials, Endpoint, Origin


@dataclass(frozen=True, slots=True)
class Connector:
    """Satisfies `sync.ports.Connect`."""

    permits: Permits
    tokens: Tokens = field(default_factory=Tokens)
    manners: Manners = field(default_factory=Manners)
    limits: Limits = Limits()  # noqa: RUF009 - frozen

    def __call__(
        self,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        should_stop: Callable[[], bool],
        rotated: Rotated = unheard,
    ) -> Session:
        """Connect as soon as there is a permit; the wait ends when the run should. See `session.connect`."""
        permit = self.permits.take(_origin(endpoint, credentials), should_stop=should_stop)
        return self._connect(endpoint, credentials, permit, should_stop, rotated)

    def another(
        self,
        endpoint: Endpoint,
        credentials: Credentials,
        *,
        should_stop: Callable[[], bool],
        rotated: Rotated,
    ) -> Session | None:
        """A further connection of the same account, or None where it would cost others theirs. Never waits for one.

        It ends, like one that should stop, once another account waits for it.
        """
        permit = self.permits.try_take(_origin(endpoint, credentials))
        if permit is None:
            return None
        return self._connect(endpoint, credentials, permit, lambda: permit.is_wanted or should_stop(), rotated)

    def _connect(
        self,
        endpoint: Endpoint,
        credentials: Credentials,
        permit: Permit,
        should_stop: Callable[[], bool],
        rotated: Rotated,
    ) -> Session:
        # The authority of the mail server is believed at the token endpoint too: both are the account's own.
        tokens = self.tokens.source(credentials, ca_pem=endpoint.ca_pem, should_stop=should_stop, rotated=rotated)
        return connect(
            endpoint,
            credentials,
            should_stop=should_stop,
            limits=self.limits,
            tokens=tokens,
            permit=permit,
            manners=self.manners,
        )


def _origin(endpoint: Endpoint, credentials: Credentials) -> Origin:
    return Origin(endpoint.host, endpoint.port, credentials.username)
