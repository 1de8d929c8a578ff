"""A small HTTP server in a thread of its own: liveness, readiness and metrics, answered even while the loop hangs.

`/healthz` says whether the event loop lives; `/readyz` whether the operator does its work. Neither depends on a mail
server, or one that is down would have the pod restarted.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from archivmail import __version__
from archivmail.model.errors import ArchivmailError, SpecInvalid

REQUEST_TIMEOUT_S = 5.0
LOOP_SILENCE_S = 30.0
"""How long the event loop may be silent before it counts as dead; beats come each second."""


@dataclass(frozen=True, slots=True)
class Reply:
    code: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


Route = Callable[[str], Reply]
"""Answers a GET, given the Accept header."""


class HttpServer:
    """Serves GET on exact paths until closed."""

    def __init__(self, port: int, routes: Mapping[str, Route], *, host: str = "") -> None:
        """Raises SpecInvalid when the port cannot be listened on. Port 0 takes a free one."""
        try:
            self._server = _Server((host, port), _handler(routes))
        except OSError as error:
            raise SpecInvalid(f"port {port} cannot be listened on ({error.strerror}); choose another one") from error
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name=f"http-{self.port}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening. Takes at most half a second."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


def _handler(routes: Mapping[str, Route]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_TIMEOUT_S
        server_version = f"archivmail/{__version__}"
        sys_version = ""

        def do_GET(self) -> None:
            route = routes.get(self.path.partition("?")[0])
            if route is None:
                reply = Reply(HTTPStatus.NOT_FOUND, b"there is nothing here\n")
            else:
                reply = route(self.headers.get("Accept", ""))
            self.send_response(reply.code)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
            """Probes are no news."""

    return Handler


@dataclass(slots=True)
class Health:
    """What the probes look at. The event loop writes, the threads of the server read."""

    archive_ready: Callable[[], None]
    """Raises ArchiveUnavailable."""
    clock: Callable[[], float] = time.monotonic
    waiting_for: str | None = "the operator is starting"
    """One sentence while the operator cannot do its work; None when it does."""
    problem: Callable[[], str | None] = lambda: None
    """As `waiting_for`, but asked for by each probe."""
    last_beat: float = field(default=0.0)

    def __post_init__(self) -> None:
        self.last_beat = self.clock()

    def beat(self) -> None:
        """The event loop lives."""
        self.last_beat = self.clock()

    def live(self, _: str = "") -> Reply:
        """`/healthz`."""
        silence_s = self.clock() - self.last_beat
        if silence_s > LOOP_SILENCE_S:
            return _no(f"the event loop has been silent for {silence_s:.0f} s")
        return _yes()

    def ready(self, _: str = "") -> Reply:
        """`/readyz`."""
        waiting_for = self.waiting_for or self.problem()
        if waiting_for is not None:
            return _no(waiting_for)
        try:
            self.archive_ready()
        except ArchivmailError as error:
            return _no(error.text)
        return _yes()


def _yes() -> Reply:
    return Reply(HTTPStatus.OK, b"ok\n")


def _no(sentence: str) -> Reply:
    return Reply(HTTPStatus.SERVICE_UNAVAILABLE, f"{sentence}\n".encode())
