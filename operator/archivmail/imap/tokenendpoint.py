"""One POST to an OAuth token endpoint: verified TLS, every wait and every size bounded, no redirect followed.

Knows HTTP; knows nothing of tokens. It uses the dialling and the TLS of the mail sessions, so that there is one policy
for both. Proxies of the environment are not used: IMAP could not go through them either.
"""

import http.client
import io
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from archivmail import __version__
from archivmail.imap import tls
from archivmail.imap.dialing import dial
from archivmail.imap.egress import Egress
from archivmail.imap.limits import Limits
from archivmail.imap.stream import Stream
from archivmail.model.account import Endpoint, TlsMode
from archivmail.model.errors import ConnectionLost, ServerViolation, SpecInvalid

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SETTING = "spec.auth.oauth2.tokenURL"


@dataclass(frozen=True, slots=True)
class EndpointLimits:
    """Bounds of one request."""

    total_s: float = 30.0
    connect_s: float = 10.0
    """For the name look-up and all addresses together; and again for the TLS handshake."""
    read_s: float = 15.0
    """Longest silence."""
    slice_s: float = 0.25
    answer_bytes: int = 256 * 1024
    """Head and body; the tokens of Microsoft have some 3 KiB."""
    egress: Egress | None = None
    """Where requests may go; None is everywhere."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    retry_after: str | None
    body: bytes
    """May hold tokens."""

    def __repr__(self) -> str:
        return f"Reply({self.status})"


def post(url: str, form: str, *, ca_pem: str | None, should_stop: Callable[[], bool], limits: EndpointLimits) -> Reply:
    """Send a form. Raises SpecInvalid, TlsRefused, ConnectionLost, ServerViolation, Aborted and, by `limits.egress`,
    NeedsUser. A redirect is an answer like any other: nothing is sent where it points.
    """
    address = parsed(url)
    host = address.hostname or ""
    is_encrypted = address.scheme == "https"
    endpoint = Endpoint(
        host,
        address.port or (443 if is_encrypted else 80),
        TlsMode.IMPLICIT if is_encrypted else TlsMode.DISABLED,
        ca_pem=ca_pem,
    )
    deadline = time.monotonic() + limits.total_s

    def is_over() -> bool:
        if time.monotonic() >= deadline:
            raise ConnectionLost(f"it took more than {limits.total_s:g} s; it is tried again by itself")
        return should_stop()

    try:
        return _exchange(endpoint, _target(address), form, is_over, limits)
    except ConnectionLost as error:
        raise ConnectionLost(f"no access token from {host}: {error.text}") from error
    except (http.client.IncompleteRead, http.client.RemoteDisconnected):
        raise ConnectionLost(
            f"no access token from {host}: it broke off its answer; it is tried again by itself"
        ) from None
    except (http.client.HTTPException, ValueError):
        # Not kept as the cause: its text may be what was received.
        raise unreadable(host, "does not answer in HTTP") from None


def parsed(url: str) -> SplitResult:
    """The parts of the URL. Raises SpecInvalid unless it is https, or http to this machine."""
    try:
        address = urlsplit(url)
        is_usable = bool(address.hostname) and address.port != 0
    except ValueError:
        raise SpecInvalid(f"{SETTING} is not a URL; correct it") from None
    has_odd_characters = not url.isascii() or not url.isprintable() or " " in url or "@" in address.netloc
    if not is_usable or has_odd_characters or address.scheme not in {"http", "https"}:
        raise SpecInvalid(f"{SETTING} is not the URL of a token endpoint; correct it")
    if address.scheme == "http" and not _is_loopback(address.hostname or ""):
        raise SpecInvalid(f"{SETTING} begins with http://, so secrets would go in the clear; use https://")
    return address


def unreadable(host: str, what: str) -> ServerViolation:
    """`what` completes "what answers at HOST …"."""
    return ServerViolation(
        f"what answers at {host} {what}, so there is no access token and it is tried again by itself; if that goes on,"
        f" check {SETTING} and the network"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _target(address: SplitResult) -> str:
    return (address.path or "/") + (f"?{address.query}" if address.query else "")


def _exchange(endpoint: Endpoint, target: str, form: str, is_over: Callable[[], bool], limits: EndpointLimits) -> Reply:
    within = Limits(
        connect_s=limits.connect_s, read_s=limits.read_s, slice_s=limits.slice_s, receive_bytes=1, egress=limits.egress
    )
    sock = dial(endpoint.host, endpoint.port, limits=within, should_stop=is_over, setting=SETTING)
    stream = Stream(sock, within, is_over)
    try:
        if endpoint.tls is TlsMode.IMPLICIT:
            _shake_hands(stream, endpoint)
        connection = http.client.HTTPConnection(endpoint.host, endpoint.port)
        # What the Host header leaves out (RFC 9110 §7.2).
        connection.default_port = 443 if endpoint.tls is TlsMode.IMPLICIT else 80
        connection.sock = _Socket(stream, endpoint.host, limits.answer_bytes)
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Connection": "close",
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": f"archivmail/{__version__}",
        }
        connection.request("POST", target, form.encode(), headers)
        with connection.getresponse() as response:
            return Reply(response.status, response.getheader("Retry-After"), response.read())
    finally:
        stream.close()


def _shake_hands(stream: Stream, endpoint: Endpoint) -> None:
    try:
        stream.start_tls(tls.context_for(endpoint), endpoint.host)
    except ssl.SSLError as error:
        raise tls.refusal(error, endpoint, tls.TOKEN_ENDPOINT) from error


class _Socket:
    """What http.client asks of a socket, on our stream, which whoever opened it closes."""

    def __init__(self, stream: Stream, host: str, answer_bytes: int) -> None:
        self._stream = stream
        self._octets = _Octets(stream, host, answer_bytes)

    def sendall(self, octets: bytes) -> None:
        self._stream.send(octets)

    def makefile(self, *_: object) -> io.BufferedReader:
        return _Reader(self._octets)

    def close(self) -> None:
        pass


class _Reader(io.BufferedReader):
    """Room is made for what is asked for, and http.client asks for what the endpoint announces."""

    raw: "_Octets"

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None:
            self.raw.require_room(size)
        return super().read(size)


class _Octets(io.RawIOBase):
    """What the endpoint sends: bounded, and never waited for longer than is allowed."""

    def __init__(self, stream: Stream, host: str, answer_bytes: int) -> None:
        self._stream = stream
        self._host = host
        self._most = answer_bytes
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        count = self._stream.some(memoryview(buffer))
        self._count += count
        self.require_room(self._count)
        return count

    def require_room(self, count: int) -> None:
        """Raises ServerViolation for more than an answer may have."""
        if count > self._most:
            raise unreadable(self._host, f"sends more than {self._most} octets")
