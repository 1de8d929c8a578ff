"""Logging in: once, in the strongest way, and an outage is never taken for a wrong password (imap-traps §1.7)."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from archivmail.imap.oauth import Tokens
from archivmail.imap.session import Session, connect
from archivmail.imap.wire import Wire
from archivmail.model.account import Credentials, Mechanism, Secret
from archivmail.model.errors import (
    ArchivmailError,
    ConnectionLost,
    CredentialsRefused,
    SecretMissing,
    ServerBusy,
    ServerUnsuitable,
    ServerViolation,
    SessionExpired,
)
from tests.imap.sessions import QUICK, fetch, opened, uid_set
from tests.servers.certificates import authority_of_this_run
from tests.servers.scripted import Conversation, ScriptedServer, sample
from tests.servers.tokens import Answer, TokenServer


def refused(server: ScriptedServer, credentials: Credentials | None = None) -> ArchivmailError:
    """The error that connecting raises."""
    with pytest.raises(ArchivmailError) as caught:
        connect(server.endpoint, credentials or server.credentials, should_stop=lambda: False, limits=QUICK)
    return caught.value


def logins(server: ScriptedServer) -> list[bytes]:
    return [command.split()[0] for command in server.commands if command.split()[0] in {b"LOGIN", b"AUTHENTICATE"}]


# --- which way -------------------------------------------------------------------------------------------------------


def test_plain_is_used_when_it_is_offered() -> None:
    """The strongest way there is for a password."""
    with ScriptedServer(capabilities="IMAP4rev1 AUTH=PLAIN") as server, opened(server, folder=None):
        assert logins(server) == [b"AUTHENTICATE"]


def test_login_is_used_without_plain_and_quotes_both_words() -> None:
    """A quote or a blank in the user's name ends no word."""
    with ScriptedServer() as server:
        server.username, server.password = 'a "b" \\c', 'p "w" \\'
        with opened(server, folder=None):
            assert logins(server) == [b"LOGIN"]


def test_a_password_beyond_ascii_logs_in() -> None:
    """trap 92."""
    with ScriptedServer(capabilities="IMAP4rev1 AUTH=PLAIN") as server:
        server.password = "pässwörd 密码"
        with opened(server, folder=None):
            assert server.login_attempts == 1


def test_a_password_beyond_ascii_needs_plain() -> None:
    """trap 92: it is not sent in a form that the server may read otherwise."""
    with ScriptedServer() as server:
        for server.password in ("pässwörd", "tab\there"):
            assert isinstance(refused(server), ServerUnsuitable)
        assert logins(server) == []


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\0"])
def test_a_line_break_in_the_secret_is_told(ending: str) -> None:
    """The most common mistake in a Secret: `echo` instead of `echo -n`. Nothing is sent, least of all a command."""
    with ScriptedServer() as server:
        error = refused(server, replace(server.credentials, password=Secret("correct horse" + ending)))
        assert isinstance(error, SecretMissing)
        assert logins(server) == []


@pytest.mark.parametrize("answer", [b"NO [CANNOT] not for you", b"BAD Unsupported authentication mechanism"])
def test_a_refused_mechanism_leads_to_the_second_way(answer: bytes) -> None:
    """Fine print of the design: only the mechanism was refused, and no password was tried."""
    with ScriptedServer(capabilities="IMAP4rev1 AUTH=PLAIN") as server:
        server.script(b"AUTHENTICATE", b"", answer)
        with opened(server, folder=None):
            assert logins(server) == [b"AUTHENTICATE", b"LOGIN"]


def test_refused_credentials_are_tried_once_only() -> None:
    """trap 87: lock-out."""
    with ScriptedServer(capabilities="IMAP4rev1 AUTH=PLAIN") as server:
        error = refused(server, replace(server.credentials, password=Secret("wrong")))
        assert isinstance(error, CredentialsRefused)
        assert server.login_attempts == 1
        assert logins(server) == [b"AUTHENTICATE"]


def test_a_server_that_refuses_its_only_mechanism_is_unsuitable() -> None:
    """Not the password is to blame."""
    with ScriptedServer(capabilities="IMAP4rev1 AUTH=PLAIN LOGINDISABLED") as server:
        server.script(b"AUTHENTICATE", b"", b"BAD mechanism not supported")
        assert isinstance(refused(server), ServerUnsuitable)


def test_no_password_is_sent_where_login_is_disabled() -> None:
    """trap 95: LOGINDISABLED on a connection in the clear."""
    with ScriptedServer(capabilities="IMAP4rev1 LOGINDISABLED") as server:
        error = refused(server)
        assert isinstance(error, ServerUnsuitable)
        assert "spec.tls.mode" in error.text
        assert logins(server) == []


# --- what a refusal means --------------------------------------------------------------------------------------------

REFUSALS = [
    pytest.param(b"NO [AUTHENTICATIONFAILED] Authentication failed.", CredentialsRefused, id="authentication-failed"),
    pytest.param(b"NO [EXPIRED] change your password", CredentialsRefused, id="expired"),
    pytest.param(b"NO LOGIN failed.", CredentialsRefused, id="plain-no"),
    pytest.param(b"NO", CredentialsRefused, id="no-without-text"),
    pytest.param(b"NO [ALERT] Application-specific password required", CredentialsRefused, id="gmail"),
    pytest.param(b"NO [UNAVAILABLE] Temporary authentication failure.", ServerBusy, id="trap-89-unavailable"),
    pytest.param(b"NO [INUSE] try later", ServerBusy, id="in-use"),
    pytest.param(b"NO Temporary System Error", ServerBusy, id="temporary-without-code"),
    pytest.param(b"NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded", ServerBusy, id="trap-89"),
    pytest.param(b"NO [ALERT] Too many simultaneous connections. (Failure)", ServerBusy, id="trap-89-gmail"),
    pytest.param(b"BAD Request is throttled. Suggested Backoff Time: 5000 milliseconds", ServerBusy, id="trap-88"),
    pytest.param(b"NO [CONTACTADMIN] locked", ServerUnsuitable, id="contact-admin"),
    pytest.param(b"NO [PRIVACYREQUIRED] use TLS", ServerUnsuitable, id="privacy-required"),
    pytest.param(b"NO IMAP access is disabled for your domain.", ServerUnsuitable, id="imap-disabled"),
]


@pytest.mark.parametrize("capabilities", ["IMAP4rev1", "IMAP4rev1 AUTH=PLAIN"])
@pytest.mark.parametrize(("answer", "kind"), REFUSALS)
def test_a_refusal_is_told_from_an_outage(answer: bytes, kind: type[ArchivmailError], capabilities: str) -> None:
    """trap 87 to 89, imap-traps §1.8."""

    def authenticate(_server: ScriptedServer, talk: Conversation, _: bytes) -> bytes:
        talk.send(b"+ \r\n")
        talk.line()
        return answer

    with ScriptedServer(capabilities=capabilities) as server:
        server.script(b"LOGIN", b"", answer)
        server.on(b"AUTHENTICATE", authenticate)
        assert type(refused(server)) is kind


ENDINGS = [
    pytest.param(b"", ConnectionLost, id="connection-closed"),
    pytest.param(b"* BYE [UNAVAILABLE] shutting down\r\n", ConnectionLost, id="bye-unavailable"),
    pytest.param(b"* BYE\r\n", ConnectionLost, id="bye-without-text"),
    pytest.param(b"* BYE Too many connections\r\n", ServerBusy, id="bye-too-many"),
    pytest.param(b"what?\r\n", ServerViolation, id="garbage"),
    pytest.param(b"* OK " + b"x" * 3_000_000, ServerViolation, id="endless-line"),
]


@pytest.mark.parametrize("capabilities", ["IMAP4rev1", "IMAP4rev1 AUTH=PLAIN"])
@pytest.mark.parametrize(("octets", "kind"), ENDINGS)
def test_a_session_that_breaks_during_the_login_is_no_refusal(
    octets: bytes, kind: type[ArchivmailError], capabilities: str
) -> None:
    """Finding 5: imapclient raises LoginError for all of these."""

    def breaks(_server: ScriptedServer, talk: Conversation, _: bytes) -> None:
        talk.send(octets)
        talk.cut()

    with ScriptedServer(capabilities=capabilities) as server:
        server.on(b"LOGIN", breaks)
        server.on(b"AUTHENTICATE", breaks)
        assert type(refused(server)) is kind


GREETINGS = [
    pytest.param(b"* BYE [UNAVAILABLE] come back later\r\n", ConnectionLost, id="bye"),
    pytest.param(b"* BYE Maximum number of connections exceeded\r\n", ServerBusy, id="too-many"),
    pytest.param(b"220 smtp.example.org ESMTP\r\n", ServerViolation, id="smtp"),
    pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", ServerViolation, id="http"),
    pytest.param(b"* OK\r\n* OK more\r\n" * 200_000, ServerViolation, id="never-ending"),
    pytest.param(b"\x00\xff\xfe\r\n", ServerViolation, id="binary"),
]


@pytest.mark.parametrize(("greeting", "kind"), GREETINGS)
def test_a_greeting_that_is_none_is_told(greeting: bytes, kind: type[ArchivmailError]) -> None:
    """Wrong port, full server."""
    with ScriptedServer(greeting=greeting) as server:
        assert type(refused(server)) is kind


def test_preauth_needs_no_login() -> None:
    """RFC 9051 §7.1.4, where no encryption is asked for."""
    with ScriptedServer({b"INBOX": sample(1)}, greeting=b"* PREAUTH welcome\r\n") as server, opened(server) as session:
        assert fetch(session, uid_set(1)).octets.keys() == {1}
        assert logins(server) == []


def test_the_wrong_password_may_be_told_at_the_first_command() -> None:
    """trap 91: Exchange."""
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server, folder=None) as session:
        server.script(b"LIST", b"", b"BAD User is authenticated but not connected.")
        with pytest.raises(CredentialsRefused):
            session.folders()


@pytest.mark.parametrize("quirk", ["trap-71", "trap-73", "trap-74", "trap-74-lf", "trap-75", "8-bit"])
def test_a_login_in_odd_forms_succeeds(quirk: str) -> None:
    """trap 71 (no text), 73 (blank lines), 74 (lower case, bare LF), 75 (text like a literal): imaplib gives up."""
    forms = {
        "trap-71": (b"", b"OK"),
        "trap-73": (b"\r\n\r\n", b"OK done\r\n"),
        "trap-74": (b"* ok hello\r\n* capability imap4rev1\r\n", b"ok done"),
        "trap-74-lf": (b"* OK hello\n", b"OK done\n"),
        "trap-75": (b"* OK you have {12}\r\n", b"OK welcome {12}"),
        "8-bit": (b"* OK Gr\xfc\xdfe\r\n", b"OK fertig f\xfcr Sie"),
    }
    untagged, tagged = forms[quirk]
    with ScriptedServer({b"INBOX": sample(1)}) as server:
        server.script(b"LOGIN", untagged, tagged)
        server.script(b"CAPABILITY", b"* CAPABILITY IMAP4rev1\r\n" + untagged, tagged)
        with opened(server) as session:
            assert fetch(session, uid_set(1)).octets.keys() == {1}


def test_capabilities_are_those_after_the_login() -> None:
    """trap 77, trap 78."""

    def capability(_server: ScriptedServer, talk: Conversation, _: bytes) -> bytes:
        talk.send(b"* CAPABILITY IMAP4rev1 " + (b"ESEARCH" if talk.is_authenticated else b"AUTH=PLAIN") + b"\r\n")
        return b"OK done"

    with ScriptedServer() as server:
        server.on(b"CAPABILITY", capability)
        with opened(server, folder=None) as session:
            assert session.capabilities == {"IMAP4REV1", "ESEARCH"}


def test_an_imap4rev2_only_server_is_good_enough() -> None:
    """imaplib knows no newer protocol than IMAP4rev1."""
    with ScriptedServer({b"INBOX": sample(1)}, capabilities="IMAP4rev2") as server, opened(server) as session:
        assert session.uids() == uid_set(1)


# --- tokens ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mechanism", "name"), [(Mechanism.XOAUTH2, "XOAUTH2"), (Mechanism.OAUTH_BEARER, "OAUTHBEARER")]
)
def test_a_token_logs_in(mechanism: Mechanism, name: str) -> None:
    """RFC 7628, and what came before it."""
    with ScriptedServer(capabilities=f"IMAP4rev1 AUTH={name}") as server:
        credentials = Credentials(mechanism, server.username, access_token=Secret(server.password))
        with opened(server, credentials=credentials, folder=None):
            assert logins(server) == [b"AUTHENTICATE"]
        assert isinstance(refused(server, replace(credentials, access_token=Secret("stale"))), CredentialsRefused)


def test_a_challenge_that_is_nested_too_deep_is_a_refusal() -> None:
    """trap 79, trap 90: the error that a server tells in JSON may be anything."""
    with ScriptedServer(capabilities="IMAP4rev1 AUTH=XOAUTH2") as server:

        def authenticate(_server: ScriptedServer, talk: Conversation, _: bytes) -> bytes:
            talk.send(b"+ \r\n")
            talk.line()
            talk.send(b"+ " + base64.b64encode(b"[" * 4096) + b"\r\n")
            talk.line()
            return b"NO no"

        server.on(b"AUTHENTICATE", authenticate)
        credentials = Credentials(Mechanism.XOAUTH2, server.username, access_token=Secret("t"))
        assert isinstance(refused(server, credentials), CredentialsRefused)


def test_a_token_needs_its_mechanism() -> None:
    """Nothing is sent to a server that does not offer it."""
    with ScriptedServer() as server:
        credentials = Credentials(Mechanism.XOAUTH2, server.username, access_token=Secret("t"))
        assert isinstance(refused(server, credentials), ServerUnsuitable)
        assert logins(server) == []


def oauth(mechanism: Mechanism, endpoint: TokenServer, server: ScriptedServer) -> tuple[Credentials, Tokens]:
    """Credentials that a token can be fetched with, at a server that takes the endpoint's second token."""
    server.password = "access-1"
    return Credentials(
        mechanism,
        server.username,
        client_id=endpoint.client_id,
        refresh_token=Secret(endpoint.refresh_token),
        token_url=endpoint.url,
    ), Tokens()


def enter(server: ScriptedServer, credentials: Credentials, tokens: Tokens) -> Session:
    source = tokens.source(credentials, ca_pem=authority_of_this_run().ca_pem)
    return connect(server.endpoint, credentials, should_stop=lambda: False, limits=QUICK, tokens=source)


BOTH = pytest.mark.parametrize(
    ("mechanism", "name"), [(Mechanism.XOAUTH2, "XOAUTH2"), (Mechanism.OAUTH_BEARER, "OAUTHBEARER")]
)


@BOTH
def test_a_refused_token_is_renewed_once_on_the_same_connection(mechanism: Mechanism, name: str) -> None:
    """trap 90: the challenge with the error is answered, never with the token again."""
    with TokenServer() as endpoint, ScriptedServer(capabilities=f"IMAP4rev1 AUTH={name}") as server:
        credentials, tokens = oauth(mechanism, endpoint, server)
        tokens.source(credentials, ca_pem=authority_of_this_run().ca_pem).token()  # as an earlier run did

        enter(server, credentials, tokens).close()

        assert logins(server) == [b"AUTHENTICATE", b"AUTHENTICATE"]
        assert server.connections == 1
        assert endpoint.issued == ["access-0", "access-1"]


@BOTH
def test_a_new_token_that_is_refused_is_not_tried_again(mechanism: Mechanism, name: str) -> None:
    """trap 87: the mailbox, not the token, is what the server refuses."""
    with TokenServer() as endpoint, ScriptedServer(capabilities=f"IMAP4rev1 AUTH={name}") as server:
        credentials, tokens = oauth(mechanism, endpoint, server)
        server.password = "never"
        with pytest.raises(CredentialsRefused) as caught:
            enter(server, credentials, tokens)
        assert "access token" in caught.value.text
        assert logins(server) == [b"AUTHENTICATE"]
        assert endpoint.issued == ["access-0"]


def test_no_token_is_fetched_before_the_server_wants_it() -> None:
    """trap 90: lazily, right before the login; an outage of the mail server costs no token."""
    with TokenServer() as endpoint, ScriptedServer(greeting=b"* BYE later\r\n") as server:
        credentials, tokens = oauth(Mechanism.XOAUTH2, endpoint, server)
        with pytest.raises(ConnectionLost):
            enter(server, credentials, tokens)
        assert endpoint.requests == []


def test_an_outage_of_the_endpoint_is_no_refused_login() -> None:
    """Finding 5, for the other server that a login needs."""
    with TokenServer() as endpoint, ScriptedServer(capabilities="IMAP4rev1 AUTH=XOAUTH2") as server:
        credentials, tokens = oauth(Mechanism.XOAUTH2, endpoint, server)
        endpoint.script(Answer(503))
        with pytest.raises(ServerBusy):
            enter(server, credentials, tokens)
        assert logins(server) == []


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param(b"* BYE Session invalidated - AccessTokenExpired\r\n", id="exchange"),
        pytest.param(b"* BYE Session expired, please login again.\r\n", id="gmail"),
    ],
)
def test_a_token_that_runs_out_in_mid_session_is_told_and_not_used_again(ending: bytes) -> None:
    """trap 90: whatever its lifetime was said to be."""

    def expires(_server: ScriptedServer, talk: Conversation, _: bytes) -> None:
        talk.send(ending)
        talk.cut()

    with TokenServer() as endpoint, ScriptedServer(capabilities="IMAP4rev1 AUTH=XOAUTH2") as server:
        credentials, tokens = oauth(Mechanism.XOAUTH2, endpoint, server)
        server.password = "access-0"
        session = enter(server, credentials, tokens)
        server.on(b"LIST", expires)
        with pytest.raises(SessionExpired):
            session.folders()
        server.password = "access-1"
        enter(server, credentials, tokens).close()
        assert endpoint.issued == ["access-0", "access-1"]
        assert logins(server) == [b"AUTHENTICATE", b"AUTHENTICATE"]


def test_a_session_with_a_password_does_not_expire() -> None:
    """Gmail says these words to a password too, when its daily quota is used up."""
    with ScriptedServer() as server, opened(server, folder=None) as session:
        server.script(b"LIST", b"* BYE Session expired, please login again.\r\n")
        with pytest.raises(ServerBusy):
            session.folders()


def test_an_error_repeats_no_token_that_was_fetched() -> None:
    """Design §1 invariant 10: the credentials do not hold it, but the session knows it."""
    with TokenServer() as endpoint, ScriptedServer(capabilities="IMAP4rev1 AUTH=XOAUTH2") as server:
        credentials, tokens = oauth(Mechanism.XOAUTH2, endpoint, server)

        def authenticate(_server: ScriptedServer, talk: Conversation, _: bytes) -> bytes:
            talk.send(b"+ \r\n")
            talk.line()
            return b"NO token ACCESS-0 is bad"

        server.on(b"AUTHENTICATE", authenticate)
        with pytest.raises(CredentialsRefused) as caught:
            enter(server, credentials, tokens)
        assert "access-0" not in caught.value.text.lower()


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("capabilities", ["IMAP4rev1", "IMAP4rev1 AUTH=PLAIN"])
def test_no_error_repeats_a_secret_or_a_name(capabilities: str) -> None:
    """Design §1 invariant 10: not even when the server does, and not in the causes of the error either."""
    with ScriptedServer(capabilities=capabilities) as server:
        answer = b"NO user alice@example.org (alice) gave 'Wrong Horse', said \x1b[31mbob@example.net"
        server.script(b"LOGIN", b"", answer)

        def authenticate(_server: ScriptedServer, talk: Conversation, _: bytes) -> bytes:
            talk.send(b"+ \r\n")
            talk.line()
            return answer

        server.on(b"AUTHENTICATE", authenticate)
        error: BaseException | None = refused(server, replace(server.credentials, password=Secret("wrong horse")))
    while error is not None:
        text = f"{error} {error!r} {error.args}".lower()
        assert "wrong horse" not in text
        assert "alice" not in text
        assert base64.b64encode(b"\0alice@example.org\0wrong horse").decode().lower() not in text
        assert error.__suppress_context__ or error.__context__ is error.__cause__
        error = error.__cause__


def test_no_error_repeats_a_secret_as_it_was_sent() -> None:
    """Design §1 invariant 10: what is not understood is repeated, quoting, encoding and all."""
    password = 'wrong"horse\\battery'

    def repeats(_server: ScriptedServer, _talk: Conversation, arguments: bytes) -> bytes:
        return b"BAD cannot parse LOGIN " + arguments

    def repeats_response(_server: ScriptedServer, talk: Conversation, _: bytes) -> bytes:
        talk.send(b"+ \r\n")
        return b"BAD cannot parse " + talk.line()

    for capabilities, said in (("IMAP4rev1", repeats), ("IMAP4rev1 AUTH=PLAIN", repeats_response)):
        with ScriptedServer(capabilities=capabilities) as server:
            server.on(b"LOGIN", said)
            server.on(b"AUTHENTICATE", said)
            text = refused(server, replace(server.credentials, password=Secret(password))).text
        assert "withheld" in text
        assert "horse" not in text

    for mechanism in (Mechanism.XOAUTH2, Mechanism.OAUTH_BEARER):
        with ScriptedServer(capabilities=f"IMAP4rev1 AUTH={mechanism.upper()}") as server:
            server.on(b"AUTHENTICATE", repeats_response)
            held = Credentials(mechanism, server.username, access_token=Secret("ya29.abcdefghijkl"))
            assert "withheld" in refused(server, held).text


def test_no_secret_is_kept_in_the_objects_of_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """imaplib remembers the last commands for its debugging output (trap 93)."""
    wires: list[Wire] = []
    make = Wire.__init__

    def made(wire: Wire, *arguments: Any) -> None:
        wires.append(wire)
        make(wire, *arguments)

    monkeypatch.setattr(Wire, "__init__", made)
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server):
        assert wires
        assert all(server.password not in repr(wire.__dict__) for wire in wires)


def test_addresses_and_control_characters_are_taken_out() -> None:
    """Texts of a server are shown bounded and clean."""
    with ScriptedServer() as server:
        server.script(b"LOGIN", b"", b"NO mail \x1b[31mbob@example.net about " + b"x" * 5000)
        text = refused(server).text

    assert "bob" not in text
    assert text.isprintable()
    assert len(text) < 400


def test_alerts_are_kept_clean_and_bounded() -> None:
    """imap-traps §1.8: [ALERT] must be shown."""
    alerts = b"".join(b"* NO [ALERT] disk %d of alice@example.org is full\r\n" % number for number in range(50))
    with ScriptedServer({b"INBOX": sample(1)}, greeting=b"* OK [ALERT] moved soon\r\n") as server:
        server.script(b"NAMESPACE")
        server.script(b"LIST", alerts + b'* LIST () "/" INBOX\r\n')
        with opened(server, folder=None) as session:
            session.folders()
            assert session.alerts[:2] == ("moved soon", "disk 0 of … is full")
            assert len(session.alerts) == 10
