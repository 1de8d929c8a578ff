"""The contract of a correct mail server on the scripted server, on Dovecot and on Cyrus."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from archivmail.imap.connector import Connector
from archivmail.imap.limits import Limits
from archivmail.imap.pair import Pair, Pairing
from archivmail.imap.permits import Permits
from archivmail.model.account import Credentials, Endpoint, Mechanism, Secret, TlsMode
from archivmail.model.foldernames import encode
from tests.contracts.mailserver_contract import MailServerContract, ServedMailbox
from tests.servers.fixtures import Mailbox
from tests.servers.scripted import Folder, Message, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.servers.dovecot import Dovecot


class TestScriptedServer(MailServerContract):
    """The scripted server is correct by default."""

    @pytest.fixture(params=["IMAP4rev1", "IMAP4rev1 AUTH=PLAIN ESEARCH NAMESPACE LIST-STATUS"])
    def mailbox(self, request: pytest.FixtureRequest) -> Iterator[ServedMailbox]:
        folders = {encode(name): Folder() for name in self.names}

        def append(name: str, messages: Sequence[bytes]) -> None:
            served = folders[encode(name)].messages
            first = max(served, default=0) + 1
            served.update({uid: Message(octets) for uid, octets in enumerate(messages, first)})

        def expunge(name: str, uids: Sequence[int]) -> None:
            for uid in uids:
                del folders[encode(name)].messages[uid]

        with ScriptedServer(folders, capabilities=request.param) as server:
            yield ServedMailbox(
                endpoint=server.endpoint,
                credentials=server.credentials,
                append=append,
                octets=lambda name: {uid: message.octets for uid, message in folders[encode(name)].messages.items()},
                expunge=expunge,
            )


class TestPaired(TestScriptedServer):
    """With a second connection wherever one can help."""

    def connect(self, mailbox: ServedMailbox) -> Pair:
        pairing = Pairing(Connector(Permits(), limits=Limits(pair_always=True)))
        return pairing(mailbox.endpoint, mailbox.credentials, should_stop=lambda: False)


class RealServer(MailServerContract):
    """A real one, in each way of TLS."""

    @pytest.fixture
    def real(self) -> Mailbox:
        raise NotImplementedError

    @pytest.fixture(params=list(TlsMode))
    def mailbox(self, request: pytest.FixtureRequest, real: Mailbox) -> ServedMailbox:
        server, user = real.server, real.user
        for name in self.names[1:]:
            server.create_folder(user, name)
        endpoint = Endpoint(server.host, server.port, request.param, ca_pem=server.ca_pem)
        if request.param is TlsMode.IMPLICIT:
            endpoint = replace(endpoint, port=server.tls_port)
        return ServedMailbox(
            endpoint=endpoint,
            credentials=Credentials(Mechanism.PASSWORD, user, Secret(real.password)),
            append=lambda name, messages: server.bulk_append(user, name, messages),
            octets=lambda name: server.messages(user, name),
            expunge=lambda name, uids: server.expunge(user, name, uids),
            state=lambda name: server.state(user, name),
        )


@pytest.mark.servers
class TestDovecot(RealServer):
    """Debian's Dovecot."""

    @pytest.fixture
    def real(self, dovecot: Dovecot) -> Mailbox:
        return Mailbox(dovecot, "alice", dovecot.add_user("alice"))


@pytest.mark.servers
class TestCyrus(RealServer):
    """Debian's Cyrus: EMAILID, no name with a quotation mark, FLAGS before the octets."""

    names = ("INBOX", "Sent", "旅行", "a&b [c")

    @pytest.fixture
    def real(self, cyrus_mailbox: Mailbox) -> Mailbox:
        return cyrus_mailbox
