"""The contract of a correct mail server on the scripted server and on Dovecot."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from archivmail.model.account import Credentials, Endpoint, Mechanism, Secret, TlsMode
from archivmail.model.foldernames import encode
from tests.contracts.mailserver_contract import MailServerContract, ServedMailbox
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


@pytest.mark.servers
class TestDovecot(MailServerContract):
    """A real one, in each way of TLS."""

    @pytest.fixture(params=list(TlsMode))
    def mailbox(self, request: pytest.FixtureRequest, dovecot: Dovecot) -> ServedMailbox:
        password = dovecot.add_user("alice")
        for name in self.names[1:]:
            dovecot.create_folder("alice", name)
        endpoint = Endpoint(dovecot.host, dovecot.port, request.param, ca_pem=dovecot.ca_pem)
        if request.param is TlsMode.IMPLICIT:
            endpoint = replace(endpoint, port=dovecot.tls_port)
        return ServedMailbox(
            endpoint=endpoint,
            credentials=Credentials(Mechanism.PASSWORD, "alice", Secret(password)),
            append=lambda name, messages: dovecot.bulk_append("alice", name, messages),
            octets=lambda name: dovecot.messages("alice", name),
            expunge=lambda name, uids: dovecot.expunge("alice", name, uids),
            state=lambda name: dovecot.state("alice", name),
        )
