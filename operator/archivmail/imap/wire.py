"""imaplib and imapclient on our own stream: used to greet, to start TLS and to log in, never for what comes after.

The hooks that imaplib documents (open, read, readline, send, shutdown) are replaced, so a broken connection or a BYE
raises our errors from within and can never pass for a refused login. What comes after the login is for `dialogue`.
"""

import imaplib
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import imapclient

from archivmail.imap import sanitised, tls
from archivmail.imap.dialing import dial
from archivmail.imap.faults import Faults, violation
from archivmail.imap.limits import Limits
from archivmail.imap.replies import STATUS_WORDS, Status, status, untagged
from archivmail.imap.stream import Stream
from archivmail.model.account import Endpoint, TlsMode
from archivmail.model.errors import TlsRefused

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Wire(imaplib.IMAP4):
    """imaplib's half of the connection. Raises our errors out of its constructor and methods."""

    stream: Stream

    def __init__(
        self, endpoint: Endpoint, limits: Limits, faults: Faults, should_stop: Callable[[], bool], heard: list[Status]
    ) -> None:
        self.endpoint = endpoint
        self.limits = limits
        self.faults = faults
        self.should_stop = should_stop
        self.heard = heard
        """Every status response so far."""
        self.tagged: Status | None = None
        """The answer to the last command, once it is there."""
        self.offered: bytes | None = None
        """What the server last said it can do, until somebody forgets it."""
        self._login_bytes = 0
        super().__init__(endpoint.host, endpoint.port)

    @property
    def debug(self) -> int:
        """Always 0: above it imaplib formats all that is read, and logs passwords (trap 93)."""
        return 0

    @debug.setter
    def debug(self, level: int) -> None:
        pass  # imapclient sets 5

    # --- imaplib's hooks ---------------------------------------------------------------------------------------------

    def open(self, *_: object) -> None:
        """Connect to the endpoint; with implicit TLS shake hands before a word is exchanged."""
        self.host, self.port = self.endpoint.host, self.endpoint.port
        sock = dial(self.host, self.port, limits=self.limits, should_stop=self.should_stop)
        self.stream = Stream(sock, self.limits, self.should_stop)
        if self.endpoint.tls is TlsMode.IMPLICIT:
            try:
                self._shake_hands(tls.context_for(self.endpoint))
            except BaseException:
                self.stream.close()
                raise
        self.sock = self.stream.socket

    def read(self, _: int) -> bytes:
        """Refuse: no response that imaplib reads holds a literal."""
        raise violation("sent a literal where none is due")

    def readline(self) -> bytes:
        """The next line that means something, in the form imaplib knows. Raises the error of a BYE."""
        while True:
            raw = self.stream.line(self.limits.line_bytes)
            self._login_bytes += len(raw)
            if self._login_bytes > self.limits.login_bytes:
                raise violation(f"sent more than {self.limits.login_bytes} octets before the login was done")
            clean = sanitised.line(raw)
            if clean is not None:
                self._hear(clean)
                return clean

    def send(self, data: "ReadableBuffer") -> None:
        self.tagged = None
        self.stream.begin()
        self.stream.send(bytes(data))

    def shutdown(self) -> None:
        """Drop the connection."""
        if hasattr(self, "stream"):
            self.stream.close()

    # --- what imaplib does in its own way ----------------------------------------------------------------------------

    def starttls(self, ssl_context: ssl.SSLContext | None = None) -> tuple[Any, Any]:
        """STARTTLS (RFC 9051 §6.2.1). Raises TlsRefused when the server refuses or says more than it should (trap 96).

        Python 3.14 keeps what came in the clear with the answer and reads it as if it were encrypted; we refuse it.
        """
        typ, data = self._simple_command("STARTTLS")
        if typ != "OK":
            said = self.faults.said(self.tagged or Status("NO"))
            raise TlsRefused(f"the server refused STARTTLS: {said}; set spec.tls.mode to Implicit")
        if self.stream.has_unread:
            raise TlsRefused(
                "somebody put words into the connection before encryption began, so nothing was sent; "
                "check the network between here and the server, or set spec.tls.mode to Implicit"
            )
        self._shake_hands(ssl_context or tls.context_for(self.endpoint))
        self.sock = self.stream.socket
        # RFC 9051 §6.2.1: what was said before is forgotten (trap 78).
        self.untagged_responses.clear()
        self.heard.clear()
        self.offered = None
        self._tls_established = True
        self._get_capabilities()
        return typ, data

    def login(self, user: str, password: str) -> tuple[Any, Any]:
        """LOGIN with both words quoted; imaplib would send the user's name as it is."""
        typ, data = self._simple_command("LOGIN", self._quote(user), self._quote(password))
        if typ == "OK":
            self.state = "AUTH"
        return typ, data

    def _log(self, line: object) -> None:
        """Nothing: imaplib keeps the last commands, the one with the password among them."""

    def ask_capabilities(self) -> None:
        """Whatever was told before."""
        self.offered = None
        self._get_capabilities()

    def _get_capabilities(self) -> None:
        """As the greeting told them, where that is enough to log in with (RFC 9051 §7.1); otherwise asked for."""
        told = tuple((self.offered or b"").decode("ascii", "replace").upper().split())
        if _is_enough(told, self.endpoint.tls):
            self.capabilities = told
        else:
            super()._get_capabilities()  # type: ignore[misc]
        if "IMAP4REV2" in self.capabilities:
            self.capabilities = (*self.capabilities, "IMAP4REV1")  # imaplib knows no newer

    def _hear(self, line: bytes) -> None:
        if line.startswith(b"*"):
            found = untagged(line)
            if found and found[0] is None and found[1] == b"CAPABILITY":
                self.offered = found[2]
            elif found and found[0] is None and found[1] in STATUS_WORDS:
                said = status(found[1], found[2])
                self._keep(said)
                if said.word == "BYE":
                    raise self.faults.ended(said)
            return
        _, _, rest = line.partition(b" ")
        word, _, rest = rest.partition(b" ")
        if word in STATUS_WORDS and not line.startswith(b"+"):
            self.tagged = status(word, rest)
            self._keep(self.tagged)

    def _keep(self, said: Status) -> None:
        self.heard.append(said)
        if said.code == "CAPABILITY":
            self.offered = said.argument

    def _shake_hands(self, context: ssl.SSLContext) -> None:
        endpoint = self.endpoint
        try:
            self.stream.start_tls(context, endpoint.server_name or endpoint.host)
        except ssl.SSLError as error:
            raise tls.refusal(error, endpoint) from error


def _is_enough(told: tuple[str, ...], mode: TlsMode) -> bool:
    """A greeting may tell less than CAPABILITY does, and iCloud's proxy edits it (trap 77)."""
    needed = {"AUTH=PLAIN", "STARTTLS"} if mode is TlsMode.START_TLS else {"AUTH=PLAIN"}
    is_known = not {"IMAP4REV1", "IMAP4REV2"}.isdisjoint(told)
    return is_known and needed <= set(told) and "XAPPLEPUSHSERVICE" not in told


class Client(imapclient.IMAPClient):  # type: ignore[misc]
    """imapclient's half of the connection, on a `Wire`."""

    _imap: Wire

    def __init__(
        self, endpoint: Endpoint, limits: Limits, faults: Faults, should_stop: Callable[[], bool], heard: list[Status]
    ) -> None:
        self._parts = (endpoint, limits, faults, should_stop, heard)
        # imapclient warns about TLS on port 143; how TLS is used is the endpoint's choice, so it is told nothing.
        super().__init__(endpoint.host, endpoint.port, ssl=False, timeout=limits.read_s)

    @property
    def wire(self) -> Wire:
        return self._imap

    def _create_IMAP4(self) -> Wire:  # noqa: N802 - imapclient's name
        return Wire(*self._parts)

    def _set_read_timeout(self) -> None:
        """Nothing: the stream has its own limits."""
