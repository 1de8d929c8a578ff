"""The scripted server: threads, TLS, and the places where a test bends it.

with ScriptedServer({b"INBOX": sample(3)}) as server:
    server.script(b"UID SEARCH", b"* SEARCH 1\r\n* SEARCH 2 3\r\n")
    session = connect(server.endpoint, server.credentials, should_stop=...)
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from functools import partial
from typing import TYPE_CHECKING, Self

from archivmail.model.account import Credentials, Endpoint, Mechanism, Secret, TlsMode
from tests.servers.certificates import authority_of_this_run, server_context

from . import commands
from .conversation import Conversation, CutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .served import Folder, Message

BASIC = "IMAP4rev1"
HOST = "127.0.0.1"
Hook = "Callable[[ScriptedServer, Conversation, bytes], bytes | None]"


class ScriptedServer:
    """A context manager. `commands` holds every command seen, without its tag."""

    def __init__(
        self,
        folders: dict[bytes, Folder] | None = None,
        *,
        capabilities: str = BASIC,
        tls: TlsMode = TlsMode.DISABLED,
        certificate: tuple[str, str] | None = None,
        greeting: bytes = b"* OK ready\r\n",
        cut_after: int | None = None,
        stall_after: int | None = None,
        conversation: type[Conversation] = Conversation,
    ) -> None:
        """`cut_after` and `stall_after`: octets of each connection after which it is cut, or falls silent."""
        self.folders = folders or {}
        self.capabilities = capabilities
        self.tls = tls
        self.greeting = greeting
        self.cut_after = cut_after
        self.stall_after = stall_after
        self.username = "alice@example.org"
        self.password = "correct horse"
        self.commands: list[bytes] = []
        self.login_attempts = 0
        self.connections = 0
        self.tag = b""
        """Of the command that is being answered."""
        self._answers: dict[bytes, Hook] = dict(commands.CORRECT)
        self._context = server_context(certificate) if tls is not TlsMode.DISABLED or certificate else None
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self._conversation = conversation
        self.talks: list[Conversation] = []
        """Every connection so far."""
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]

    # --- for clients -------------------------------------------------------------------------------------------------

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(HOST, self.port, self.tls, ca_pem=authority_of_this_run().ca_pem)

    @property
    def credentials(self) -> Credentials:
        return Credentials(Mechanism.PASSWORD, self.username, Secret(self.password))

    # --- bending it --------------------------------------------------------------------------------------------------

    def on(self, command: bytes, hook: Hook) -> None:
        """Answer a command by `hook(server, conversation, arguments)`: it sends what is untagged and gives the rest of
        the tagged line, or None when there is none."""
        self._answers[command] = hook

    def script(self, command: bytes, untagged: bytes = b"", tagged: bytes | None = b"OK done") -> None:
        """Answer a command always with these octets; `%tag` stands for its tag."""

        def answer(server: ScriptedServer, talk: Conversation, _: bytes) -> bytes | None:
            talk.send(untagged.replace(b"%tag", server.tag))
            return tagged

        self.on(command, answer)

    def send_message(self, talk: Conversation, uid: int, message: Message, items: bytes) -> None:
        """One FETCH response."""
        number = sorted(commands.opened(self, talk).messages).index(uid) + 1
        talk.send(b"* %d FETCH %b\r\n" % (number, commands.message_items(uid, message, items)))

    def mend(self) -> None:
        """From now on every command is answered correctly."""
        self._answers = dict(commands.CORRECT)
        self.cut_after = self.stall_after = None

    def correct(self, command: bytes, talk: Conversation, arguments: bytes) -> bytes | None:
        """What a correct server answers: for hooks that bend only now and then."""
        return commands.CORRECT[command](self, talk, arguments)

    def capabilities_now(self, talk: Conversation) -> str:
        offers_tls = self.tls is TlsMode.START_TLS and not isinstance(talk.socket, ssl.SSLSocket)
        return self.capabilities + (" STARTTLS" if offers_tls and "STARTTLS" not in self.capabilities else "")

    # --- running -----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for talk in self.talks:
            talk.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            talk = self._conversation(sock, cut_after=self.cut_after, stall_after=self.stall_after, ending=self._ending)
            self.talks.append(talk)
            self._start(partial(self._serve, talk))

    def _serve(self, talk: Conversation) -> None:
        try:
            if self.tls is TlsMode.IMPLICIT:
                self.start_tls(talk)
            talk.send(self.greeting)
            while True:
                self._answer(talk, talk.line())
        except CutError:
            pass
        finally:
            talk.close()

    def start_tls(self, talk: Conversation) -> None:
        assert self._context is not None
        talk.start_tls(self._context)

    def _answer(self, talk: Conversation, line: bytes) -> None:
        tag, _, command = line.partition(b" ")  # of this connection: others may set theirs meanwhile
        self.tag = tag
        self.commands.append(command)
        verb, _, arguments = command.partition(b" ")
        if verb == b"UID":
            second, _, arguments = arguments.partition(b" ")
            verb = b"UID " + second
        if verb == b"STARTTLS" and verb not in self._answers:
            talk.send(tag + b" OK begin\r\n")
            self.start_tls(talk)
            return
        hook = self._answers.get(verb)
        tagged = hook(self, talk, arguments) if hook else b"BAD unknown command"
        if tagged is not None:
            talk.send(tag + b" " + tagged + b"\r\n")
        if verb == b"LOGOUT":
            talk.cut()
