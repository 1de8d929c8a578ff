"""An OAuth token endpoint (RFC 6749) over HTTPS, and the introspection that a mail server asks (RFC 7662).

Correct by default: refresh and client-credentials grants, a token for each request. `script` puts answers in a queue
that are given instead, raw or with faults, one for each request.
"""

from __future__ import annotations

import json
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from .certificates import allow_only, server_context

HOST = "127.0.0.1"


@dataclass
class Answer:
    """One scripted answer. `raw` is sent as it is, head and all; `stall` says nothing until the server ends."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    stall: bool = False
    drip_s: float = 0.0
    """Pause after each octet of the body."""

    @classmethod
    def of(cls, document: Any, status: int = 200, **headers: str) -> Answer:
        return cls(status, json.dumps(document).encode(), dict(headers))


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Nothing: a client that hangs up, or that trusts nobody, is what many tests are about."""


class TokenServer:
    """A context manager. `requests` holds the form of every token request."""

    def __init__(
        self,
        *,
        certificate: tuple[str, str] | None = None,
        is_encrypted: bool = True,
        tls_version: ssl.TLSVersion | None = None,
    ) -> None:
        self.client_id = "archivmail"
        self.client_secret = "client-hush"
        self.refresh_token = "refresh-0"
        self.lifetime_s: float | None = 3600
        self.rotates = False
        """Each refresh token is good for one use."""
        self.requests: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.issued: list[str] = []
        self.users: dict[str, str] = {}
        """Whom each valid token belongs to, for the mail server that asks."""
        self.username = "alice"
        self._script: list[Answer] = []
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._rotations = 0
        self._server = _Listener((HOST, 0), self._handler())
        self._scheme = "https" if is_encrypted else "http"
        if is_encrypted:
            context = server_context(certificate, ciphers="DEFAULT@SECLEVEL=0" if tls_version else None)
            if tls_version is not None:
                allow_only(context, tls_version)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"{self._scheme}://{HOST}:{self.port}/token"

    @property
    def introspection_url(self) -> str:
        return f"{self._scheme}://{HOST}:{self.port}/introspect?token="

    def script(self, *answers: Answer) -> None:
        """Give these answers to the next requests, one each."""
        with self._lock:
            self._script += answers

    def revoke(self, token: str) -> None:
        """The mail server takes it no more."""
        self.users.pop(token, None)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self) -> None:
                form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                server._give(self, server._token(form, dict(self.headers)))

            def do_GET(self) -> None:
                query = dict(parse_qsl(urlsplit(self.path).query))
                server._give(self, server._introspection(query.get("token", "")))

            def log_message(self, *_: object) -> None:
                """Silent."""

        return Handler

    def _token(self, form: dict[str, str], headers: dict[str, str]) -> Answer:
        with self._lock:
            self.requests.append(form)
            self.headers.append(headers)
            if self._script:
                return self._script.pop(0)
            return self._correct(form)

    def _correct(self, form: dict[str, str]) -> Answer:
        if form.get("client_id") != self.client_id:
            return Answer.of({"error": "invalid_client"}, 401)
        given: dict[str, Any] = {"token_type": "Bearer"}
        match form.get("grant_type"):
            case "refresh_token":
                if form.get("refresh_token") != self.refresh_token:
                    return Answer.of({"error": "invalid_grant", "error_description": "revoked " + str(form)}, 400)
                if self.rotates:
                    self._rotations += 1
                    given["refresh_token"] = self.refresh_token = f"refresh-{self._rotations}"
            case "client_credentials":
                if form.get("client_secret") != self.client_secret:
                    return Answer.of({"error": "invalid_client"}, 401)
            case _:
                return Answer.of({"error": "unsupported_grant_type"}, 400)
        given["access_token"] = f"access-{len(self.issued)}"
        if self.lifetime_s is not None:
            given["expires_in"] = self.lifetime_s
        self.issued.append(given["access_token"])
        self.users[given["access_token"]] = self.username
        return Answer.of(given)

    def _introspection(self, token: str) -> Answer:
        user = self.users.get(token)
        return Answer.of({"active": True, "username": user} if user else {"active": False})

    def _give(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        handler.close_connection = True
        if answer.stall:
            self._ending.wait(30)
            return
        try:
            if answer.raw is not None:
                handler.wfile.write(answer.raw)
                return
            handler.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                handler.send_header(name, value)
            if "Transfer-Encoding" not in answer.headers:
                handler.send_header("Content-Length", str(len(answer.body)))
            handler.end_headers()
            if not answer.drip_s:
                handler.wfile.write(answer.body)
            for octet in answer.body if answer.drip_s else b"":
                handler.wfile.write(bytes([octet]))
                if self._ending.wait(answer.drip_s):
                    return
        except OSError:
            pass  # the client has had enough
