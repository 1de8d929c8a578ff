"""TLS: what is trusted, what is refused, and that nothing is said before it (imap-traps §1.9)."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from archivmail.imap.session import connect
from archivmail.model.account import Endpoint, TlsMode
from archivmail.model.errors import ArchivmailError, ConnectionLost, ServerViolation, TlsRefused
from tests.imap.sessions import QUICK, fetch, opened, uid_set
from tests.servers.certificates import (
    CertificateAuthority,
    allow_only,
    authority_of_this_run,
    private_pem,
    server_context,
)
from tests.servers.scripted import Conversation, ScriptedServer, sample


def refused(server: ScriptedServer, endpoint: Endpoint | None = None) -> ArchivmailError:
    with pytest.raises(ArchivmailError) as caught:
        connect(endpoint or server.endpoint, server.credentials, should_stop=lambda: False, limits=QUICK)
    return caught.value


def said(server: ScriptedServer) -> set[bytes]:
    return {command.split()[0] for command in server.commands}


@pytest.mark.parametrize("mode", list(TlsMode))
def test_each_mode_works(mode: TlsMode) -> None:
    """Implicit, StartTLS and Disabled."""
    with ScriptedServer({b"INBOX": sample(3)}, tls=mode) as server, opened(server) as session:
        assert fetch(session, uid_set(1, 2, 3)).octets.keys() == {1, 2, 3}


@pytest.fixture(params=[TlsMode.IMPLICIT, TlsMode.START_TLS])
def mode(request: pytest.FixtureRequest) -> Iterator[TlsMode]:
    return request.param


def test_an_unknown_authority_is_refused(mode: TlsMode) -> None:
    """trap 98: verification is always on."""
    with ScriptedServer(tls=mode) as server:
        error = refused(server, replace(server.endpoint, ca_pem=None))
        assert isinstance(error, TlsRefused)
        assert "spec.tls.caSecretRef" in error.text
        assert b"LOGIN" not in said(server)


def test_a_certificate_for_another_host_is_refused(mode: TlsMode) -> None:
    """trap 98, and `serverName` is the name that is checked."""
    certificate = authority_of_this_run().issue("imap.example.org")
    with ScriptedServer({b"INBOX": sample(1)}, tls=mode, certificate=certificate) as server:
        error = refused(server)
        assert isinstance(error, TlsRefused)
        assert "spec.tls.serverName" in error.text
        named = replace(server.endpoint, server_name="imap.example.org")
        connect(named, server.credentials, should_stop=lambda: False, limits=QUICK).close()


def test_an_expired_certificate_is_refused(mode: TlsMode) -> None:
    """trap 100."""
    certificate = authority_of_this_run().issue("127.0.0.1", lifetime=timedelta(days=-1))
    with ScriptedServer(tls=mode, certificate=certificate) as server:
        error = refused(server)
        assert isinstance(error, TlsRefused)
        assert "expired" in error.text


def key_pem(key: rsa.RSAPrivateKey) -> str:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def self_signed(begin: timedelta, *, key: rsa.RSAPrivateKey | None = None) -> tuple[str, str]:
    """Certificate and key; an RSA key given is left out."""
    own = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    start = datetime.now(UTC) + begin
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key((key or own).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key or own, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private_pem(own)


def test_a_certificate_that_is_not_yet_valid_is_refused() -> None:
    """trap 100: a clock is wrong."""
    certificate = self_signed(timedelta(days=1))
    with ScriptedServer(tls=TlsMode.IMPLICIT, certificate=certificate) as server:
        error = refused(server, replace(server.endpoint, ca_pem=certificate[0], server_name="localhost"))
        assert isinstance(error, TlsRefused)
        assert "not yet valid" in error.text


def test_a_self_signed_certificate_is_trusted_when_named() -> None:
    """trap 99: also one without key usage, on any Python."""
    certificate = self_signed(-timedelta(days=1))
    with ScriptedServer({b"INBOX": sample(1)}, tls=TlsMode.IMPLICIT, certificate=certificate) as server:
        endpoint = replace(server.endpoint, ca_pem=certificate[0], server_name="localhost")
        connect(endpoint, server.credentials, should_stop=lambda: False, limits=QUICK).close()
        assert isinstance(refused(server, replace(endpoint, ca_pem=None)), TlsRefused)


def test_a_weak_key_is_refused() -> None:
    """trap 98: RSA of 1024 bits, by somebody who is trusted."""
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - breakable is the point
    pem, _ = self_signed(-timedelta(days=1), key=key)
    with ScriptedServer(tls=TlsMode.IMPLICIT) as server:
        server._context = server_context((pem, key_pem(key)), ciphers="DEFAULT@SECLEVEL=0")
        error = refused(server, replace(server.endpoint, ca_pem=pem, server_name="localhost"))
        assert isinstance(error, TlsRefused)
        assert "too weak" in error.text


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_a_server_with_old_tls_is_refused(version: ssl.TLSVersion, mode: TlsMode) -> None:
    """trap 98: TLS 1.2 at least (RFC 8996)."""
    context = server_context(ciphers="DEFAULT@SECLEVEL=0")
    allow_only(context, version)
    with ScriptedServer(tls=mode) as server:
        server._context = context
        error = refused(server)
        assert isinstance(error, TlsRefused)
        assert "TLS 1.2" in error.text
        assert b"LOGIN" not in said(server)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_asks_for_our_certificate_is_told(version: ssl.TLSVersion, mode: TlsMode) -> None:
    """TLS 1.3 tells only after the handshake: that is no broken connection, and waiting does not help."""
    context = server_context()
    allow_only(context, version)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority_of_this_run().ca_pem)
    with ScriptedServer(tls=mode) as server:
        server._context = context
        error = refused(server)
        assert isinstance(error, TlsRefused)
        assert "client certificate" in error.text


def test_the_server_hears_the_name_that_is_asked_for() -> None:
    """SNI (RFC 6066 §3): one address serves many names; an address itself is never sent."""
    heard: list[str | None] = []
    context = server_context(authority_of_this_run().issue("imap.example.org", "127.0.0.1"))
    context.sni_callback = lambda _socket, name, _context: heard.append(name)
    with ScriptedServer({b"INBOX": sample(1)}, tls=TlsMode.IMPLICIT) as server:
        server._context = context
        for endpoint in (replace(server.endpoint, server_name="imap.example.org"), server.endpoint):
            connect(endpoint, server.credentials, should_stop=lambda: False, limits=QUICK).close()
    assert ["imap.example.org", None] == heard


def test_another_authority_does_not_help() -> None:
    """What is named is added, not anything."""
    other = CertificateAuthority("another").ca_pem
    with ScriptedServer(tls=TlsMode.IMPLICIT) as server:
        assert isinstance(refused(server, replace(server.endpoint, ca_pem=other)), TlsRefused)


@pytest.mark.parametrize("pem", ["no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_an_unreadable_authority_is_told(pem: str) -> None:
    """The Secret is to be corrected."""
    with ScriptedServer(tls=TlsMode.IMPLICIT) as server:
        error = refused(server, replace(server.endpoint, ca_pem=pem))
        assert isinstance(error, TlsRefused)
        assert "caSecretRef" in error.text


def test_a_port_without_tls_is_told() -> None:
    """Implicit TLS to the port for STARTTLS."""
    with ScriptedServer() as server:
        error = refused(server, replace(server.endpoint, tls=TlsMode.IMPLICIT))
        assert isinstance(error, TlsRefused)
        assert "StartTLS" in error.text


def test_a_server_that_closes_during_the_handshake_is_an_outage() -> None:
    """A load balancer without a backend."""
    with ScriptedServer() as server:
        server.cut_after = 0
        error = refused(server, replace(server.endpoint, tls=TlsMode.IMPLICIT))
        assert isinstance(error, ConnectionLost)


# --- STARTTLS --------------------------------------------------------------------------------------------------------


def test_missing_starttls_is_refused() -> None:
    """trap 95: stripped by somebody, or never there; nothing is sent."""
    with ScriptedServer() as server:
        error = refused(server, replace(server.endpoint, tls=TlsMode.START_TLS))
        assert isinstance(error, TlsRefused)
        assert said(server) == {b"CAPABILITY"}


@pytest.mark.parametrize("answer", [b"NO not now", b"BAD what?", b"NO"])
def test_refused_starttls_is_refused(answer: bytes) -> None:
    """trap 95."""
    with ScriptedServer(tls=TlsMode.START_TLS) as server:
        server.script(b"STARTTLS", b"", answer)
        assert isinstance(refused(server), TlsRefused | ServerViolation)
        assert said(server) == {b"CAPABILITY", b"STARTTLS"}


def test_words_before_encryption_are_refused() -> None:
    """trap 96, finding 10: injected capabilities are never read as if they came encrypted."""

    def inject(server: ScriptedServer, talk: Conversation, _: bytes) -> None:
        talk.send(server.tag + b" OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")
        server.start_tls(talk)

    with ScriptedServer(tls=TlsMode.START_TLS) as server:
        server.on(b"STARTTLS", inject)
        error = refused(server)
        assert isinstance(error, TlsRefused)
        assert said(server) == {b"CAPABILITY", b"STARTTLS"}


def test_preauth_before_encryption_is_refused() -> None:
    """trap 97."""
    with ScriptedServer(tls=TlsMode.START_TLS, greeting=b"* PREAUTH come in\r\n") as server:
        assert isinstance(refused(server), TlsRefused)
        assert said(server) <= {b"CAPABILITY"}


def test_what_was_said_before_encryption_is_forgotten() -> None:
    """trap 78: AUTH=PLAIN told in the clear leads to no AUTHENTICATE."""

    def capability(server: ScriptedServer, talk: Conversation, _: bytes) -> bytes:
        is_clear = type(talk.socket) is socket.socket
        talk.send(b"* CAPABILITY IMAP4rev1 " + (b"STARTTLS AUTH=PLAIN" if is_clear else b"IDLE") + b"\r\n")
        return b"OK done"

    with ScriptedServer(tls=TlsMode.START_TLS) as server:
        server.on(b"CAPABILITY", capability)
        with opened(server, folder=None):
            assert b"AUTHENTICATE" not in said(server)
