"""The beginning of a connection: the greeting, and TLS where it begins after it (traps 95 to 97)."""

import imaplib
from collections.abc import Callable

from archivmail.imap import tls
from archivmail.imap.faults import Faults, broken, violation
from archivmail.imap.limits import Limits
from archivmail.imap.replies import Status
from archivmail.imap.wire import Client
from archivmail.model.account import Endpoint, TlsMode
from archivmail.model.errors import TlsRefused


def greeted(
    endpoint: Endpoint, limits: Limits, faults: Faults, should_stop: Callable[[], bool], heard: list[Status]
) -> Client:
    """Connected, and greeted by the server."""
    try:
        return Client(endpoint, limits, faults, should_stop, heard)
    except (imaplib.IMAP4.error, UnicodeError):
        raise violation("greets in a way that is not IMAP4") from None
    except OSError as error:
        raise broken(error) from error


def encrypt(client: Client, endpoint: Endpoint) -> None:
    """STARTTLS, or nothing where it is not asked for. No word of the login is sent before (traps 95, 97)."""
    if endpoint.tls is not TlsMode.START_TLS:
        return
    if client.wire.state == "AUTH":
        raise TlsRefused(
            "the server lets everybody in before encryption begins (PREAUTH), so nothing was sent; "
            "check the network between here and the server, or set spec.tls.mode to Implicit"
        )
    if "STARTTLS" not in client.wire.capabilities:
        raise TlsRefused(
            "the server offers no STARTTLS, so no password was sent; set spec.tls.mode to Implicit, "
            "or check the network between here and the server"
        )
    try:
        client.starttls(tls.context_for(endpoint))
    except imaplib.IMAP4.error:
        raise violation("answered STARTTLS in a way that cannot be read") from None
