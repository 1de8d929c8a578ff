"""The operator connects where it may, to exactly the address that was checked; a login's token endpoint included."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Any

import pytest

from archivmail.decide.egress import allowed
from archivmail.imap.connector import Connector
from archivmail.imap.dialing import dial
from archivmail.imap.egress import Egress
from archivmail.imap.limits import Limits
from archivmail.imap.oauth import Tokens
from archivmail.imap.permits import Permits
from archivmail.imap.tokenendpoint import EndpointLimits
from archivmail.model.errors import NeedsUser, SpecInvalid
from archivmail.model.reasons import Reason
from tests.imap.test_oauth import credentials
from tests.servers.certificates import authority_of_this_run
from tests.servers.scripted import ScriptedServer, sample
from tests.servers.tokens import Answer, TokenServer

SETTING = "spec.host and spec.port"


def egress(*entries: str) -> Egress:
    return Egress(allowed(entries))


def connector(rules: Egress) -> Connector:
    return Connector(Permits(), Tokens(limits=EndpointLimits(egress=rules)), limits=Limits(egress=rules))


def refused(rules: Egress, host: str, port: int) -> NeedsUser:
    with pytest.raises(NeedsUser) as caught:
        dial(host, port, limits=Limits(egress=rules), should_stop=lambda: False)
    assert Reason.EGRESS_DENIED is caught.value.reason
    return caught.value


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "localhost", "0", "::1", "::ffff:7f00:1"]
)
def test_no_spelling_of_loopback_is_connected_to(host: str) -> None:
    """As the system reads them, which is not as anybody would parse them."""
    with ScriptedServer({b"INBOX": sample(1)}) as server:
        told = refused(egress(), host, server.port)
        assert 0 == server.connections
    assert told.text.startswith(f"{host} is ")
    assert SETTING in told.text
    assert "ARCHIVMAIL_EGRESS_ALLOW" in told.text


def test_nothing_is_connected_to_for_the_api_server() -> None:
    """Its addresses are learned, and forgotten when others take their place."""
    rules = egress()
    rules.learn(["192.0.2.1", "2001:db8::1"])
    assert "API server" in refused(rules, "192.0.2.1", 443).text
    assert "API server" in refused(rules, "2001:db8::1", 443).text
    assert "API server" in refused(rules, "kubernetes.default.svc", 443).text


def test_what_is_allowed_is_connected_to() -> None:
    """By network or by name."""
    for rules, host in ((egress("127.0.0.0/8"), "127.0.0.1"), (egress("localhost"), "localhost")):
        with ScriptedServer({b"INBOX": sample(1)}) as server:
            endpoint = replace(server.endpoint, host=host, server_name="127.0.0.1")
            connector(rules)(endpoint, server.credentials, should_stop=lambda: False).close()


def test_a_name_cannot_change_its_address_after_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: one look-up, and the connection goes to what it gave."""
    answers = ["127.0.0.2", "127.0.0.1"]
    asked: list[str] = []

    def look_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answers[min(len(asked), 2) - 1], port))]

    with socket.create_server(("127.0.0.2", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        with dial("a.example", port, limits=Limits(egress=egress("127.0.0.2")), should_stop=lambda: False) as sock:
            assert ("127.0.0.2", port) == sock.getpeername()
    assert ["a.example"] == asked


def test_of_several_addresses_only_those_that_may_be_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with one good address does not get the others connected to."""
    with socket.create_server(("127.0.0.2", 0)) as good, socket.socket() as bad:
        port = good.getsockname()[1]
        bad.bind(("127.0.0.3", port))  # where no other test has a connection
        bad.listen()
        bad.setblocking(False)
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.3", "127.0.0.2")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        with dial("a.example", port, limits=Limits(egress=egress("127.0.0.2")), should_stop=lambda: False) as sock:
            assert ("127.0.0.2", port) == sock.getpeername()
        with pytest.raises(BlockingIOError):
            bad.accept()


def test_the_token_endpoint_is_under_the_same_rule() -> None:
    """Though the mail server itself is allowed."""
    rules = egress()
    source = Tokens(limits=EndpointLimits(egress=rules))
    with TokenServer() as endpoint:
        ca_pem = authority_of_this_run().ca_pem
        with pytest.raises(NeedsUser, match=r"spec\.auth\.oauth2\.tokenURL") as caught:
            source.source(credentials(endpoint), ca_pem=ca_pem).token()
        assert [] == endpoint.requests
    assert Reason.EGRESS_DENIED is caught.value.reason
    assert "refresh-0" not in caught.value.text


def test_a_token_endpoint_cannot_send_elsewhere() -> None:
    """A redirect is followed nowhere, so it needs no check."""
    with TokenServer() as elsewhere, TokenServer() as endpoint:
        endpoint.script(*(Answer(code, headers={"Location": elsewhere.url}) for code in (301, 302, 307, 308)))
        ca_pem = authority_of_this_run().ca_pem
        for _ in range(4):
            with pytest.raises(SpecInvalid):
                Tokens().source(credentials(endpoint), ca_pem=ca_pem).token()
        assert [] == elsewhere.requests
