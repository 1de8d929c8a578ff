"""Dovecot as a fixture: octets, users, folders, faults, and nothing left behind."""

from __future__ import annotations

import imaplib
import os
import ssl
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.certificates import CertificateAuthority, authority_of_this_run
from tests.servers.dovecot import Dovecot, MailFormat
from tests.servers.imap_session import ImapRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.fixtures import Mailbox

pytestmark = pytest.mark.servers

HEAD = b"Subject: a\r\n\r\n"
JAPANESE = "日本語 & Co"

EXACT = [
    pytest.param(HEAD + b"no final newline", id="no-final-newline"),
    pytest.param(HEAD + bytes(range(128, 256)) + b"\r\n", id="8-bit"),
    pytest.param(HEAD + bytes(set(range(1, 128)) - {10, 13}) + b"\r\n", id="control-characters"),
    pytest.param(HEAD + b"lone \r return\r\n", id="lone-cr"),
    pytest.param(b"From x\r\n" + HEAD + b"From me\r\n.\r\n", id="from-and-dot-lines"),
    pytest.param(b"x", id="one-octet"),
]
CHANGED = [
    pytest.param(b"Subject: a\n\nbare\n", b"Subject: a\r\n\r\nbare\r\n", id="bare-lf-becomes-crlf"),
    pytest.param(HEAD + b"x\x00y\r\n", HEAD + b"x\x80y\r\n", id="nul-is-shown-as-0x80"),
]


@pytest.mark.parametrize("octets", EXACT)
def test_octets_come_back_as_they_were_appended(mailbox: Mailbox, octets: bytes) -> None:
    """What Dovecot keeps exactly."""
    uid = mailbox.server.append("alice", "INBOX", octets)

    assert mailbox.server.raw("alice", "INBOX", uid) == octets


@pytest.mark.parametrize(("octets", "shown"), CHANGED)
def test_octets_that_dovecot_shows_otherwise(mailbox: Mailbox, octets: bytes, shown: bytes) -> None:
    """The facts that the module's docstring states."""
    uid = mailbox.server.append("alice", "INBOX", octets)

    assert mailbox.server.raw("alice", "INBOX", uid) == shown


@pytest.mark.parametrize("mail_format", ["sdbox", "mdbox", "maildir"])
def test_every_mail_format_serves_the_same(mail_format: MailFormat) -> None:
    """The store is a matter of choice."""
    with Dovecot(mail_format=mail_format) as server:
        server.add_user("alice")
        server.create_folder("alice", "a.b/c")
        server.append("alice", "a.b/c", HEAD)

        assert server.all_messages("alice") == {"INBOX": {}, "a.b/c": {1: HEAD}}


def test_many_messages_arrive_each_where_its_uid_says(mailbox: Mailbox) -> None:
    """Bulk appends are pipelined; the answers are told apart."""
    messages = [b"Message-ID: <%d@example.org>\r\n\r\n%s\r\n" % (n, b"y" * 2000) for n in range(5000)]
    uids = mailbox.server.bulk_append("alice", "INBOX", iter(messages))

    assert mailbox.server.messages("alice", "INBOX") == dict(zip(uids, messages, strict=True))


def test_flags_and_dates_are_kept(mailbox: Mailbox) -> None:
    """An append carries flags and INTERNALDATE; looking changes nothing, \\Recent included."""
    server = mailbox.server
    moment = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    uid = server.append("alice", "INBOX", HEAD, [r"\Seen", "$Label1"], moment)
    before = server.state("alice", "INBOX")
    server.all_messages("alice")

    assert before.flags == {uid: frozenset({r"\Seen", "$Label1"})}
    assert before.internal_dates == {uid: "02-Jan-2020 03:04:05 +0000"}
    assert before.recent == 1
    assert server.states("alice") == {"INBOX": before}


def test_state_tells_every_change(mailbox: Mailbox) -> None:
    """A changed flag is a changed state, in more than one field."""
    server = mailbox.server
    uid = server.append("alice", "INBOX", HEAD)
    before = server.state("alice", "INBOX")
    server.set_flags("alice", "INBOX", [uid], [r"\Seen"])
    after = server.state("alice", "INBOX")

    assert after.flags[uid] == {r"\Seen"}
    assert after.highest_modseq > before.highest_modseq


def test_expunged_messages_are_gone(mailbox: Mailbox) -> None:
    """Only the named UIDs go, however many they are."""
    mailbox.server.bulk_append("alice", "INBOX", [HEAD] * 4000)
    mailbox.server.expunge("alice", "INBOX", range(1, 4001, 2))

    assert mailbox.server.uids("alice", "INBOX") == list(range(2, 4001, 2))


def test_folders_of_any_name_come_and_go(mailbox: Mailbox) -> None:
    """Create, rename, subscribe and delete, with names outside ASCII."""
    server = mailbox.server
    server.create_folder("alice", JAPANESE)
    server.create_folder("alice", "outer/inner")
    server.create_folder("alice", "old")
    server.rename_folder("alice", "old", "new")
    server.subscribe("alice", "new")
    server.delete_folder("alice", "new")

    assert server.folders("alice") == ["INBOX", "outer/inner", JAPANESE]
    assert server.folders("alice", selectable=False) == ["INBOX", "outer", "outer/inner", JAPANESE]
    with pytest.raises(ImapRefusedError, match="already exists"):
        server.create_folder("alice", JAPANESE)


def test_uidvalidity_reset_keeps_the_messages(mailbox: Mailbox) -> None:
    """The value changes, the UIDs stay."""
    server = mailbox.server
    server.create_folder("alice", JAPANESE)
    server.append("alice", JAPANESE, HEAD)
    before = server.uid_validity("alice", JAPANESE)

    assert server.reset_uidvalidity("alice", JAPANESE) == before + 1
    assert server.reset_uidvalidity("alice", JAPANESE, 2**32 - 1) == 2**32 - 1
    assert server.messages("alice", JAPANESE) == {1: HEAD}


@pytest.mark.parametrize("folder", ["INBOX", "work"])
def test_uidvalidity_reset_can_number_anew(mailbox: Mailbox, folder: str) -> None:
    """As after a restore: another value, and UIDs from 1."""
    server = mailbox.server
    if folder != "INBOX":
        server.create_folder("alice", folder)
    server.bulk_append("alice", folder, [HEAD + b"%d" % n for n in range(4)])
    server.expunge("alice", folder, [1, 2])
    before = server.uid_validity("alice", folder)
    after = server.reset_uidvalidity("alice", folder, renumber=True)

    assert after != before
    assert server.messages("alice", folder) == {1: HEAD + b"2", 2: HEAD + b"3"}
    assert server.folders("alice") == sorted({"INBOX", folder})


@pytest.mark.parametrize("way", ["implicit", "starttls", "plain"])
def test_every_way_in_is_open(mailbox: Mailbox, way: str) -> None:
    """Implicit TLS, STARTTLS and plain text; the certificate is trusted for both names of the machine."""
    trust = ssl.create_default_context(cadata=mailbox.server.ca_pem)
    for host in ("localhost", "127.0.0.1"):
        with client(mailbox.server, way, trust, host) as session:
            assert session.login(mailbox.user, mailbox.password)[0] == "OK"


def test_certificate_can_be_a_strangers() -> None:
    """Certificates that a client must refuse: unknown authority, expired, another name."""
    ours = authority_of_this_run()
    bad = {
        "unable to get local issuer": CertificateAuthority("stranger").issue("localhost"),
        "expired": ours.issue("localhost", lifetime=-timedelta(hours=1)),
        "Hostname mismatch": ours.issue("imap.example.org"),
    }
    for sentence, certificate in bad.items():
        with Dovecot(certificate=certificate) as server:
            trust = ssl.create_default_context(cadata=server.ca_pem)
            with pytest.raises(ssl.SSLCertVerificationError, match=sentence):
                imaplib.IMAP4_SSL("localhost", server.tls_port, ssl_context=trust)


def test_logins_are_counted_by_user(mailbox: Mailbox) -> None:
    """Attempts count with success and without; the test's own hand is no log-in."""
    server = mailbox.server
    server.add_user("bob", "secret")
    server.append("alice", "INBOX", HEAD)
    with client(server, "plain") as session:
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            session.login("alice", "wrong")
        session.login("alice", mailbox.password)

    assert server.login_attempts("alice") == 2
    assert server.sessions_opened("alice") == 1
    assert server.login_attempts("bob") == 0


def test_new_password_counts_at_once(mailbox: Mailbox) -> None:
    """Each change is in force when the call returns, also twice in a second."""
    for password in ("first", "other", "third"):
        mailbox.server.set_password("alice", password)
        with client(mailbox.server, "plain") as session:
            assert session.login("alice", password)[0] == "OK"
    with client(mailbox.server, "plain") as session, pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        session.login("alice", mailbox.password)


def test_sessions_beyond_the_limit_are_refused(mailbox: Mailbox) -> None:
    """The second session of a user is one too many; the mail is the same after the restart."""
    mailbox.server.append("alice", "INBOX", HEAD)
    mailbox.server.set_max_connections(1)

    with client(mailbox.server, "plain") as first, client(mailbox.server, "plain") as second:
        first.login("alice", mailbox.password)
        with pytest.raises(imaplib.IMAP4.error, match="LIMIT"):
            second.login("alice", mailbox.password)
    assert mailbox.server.messages("alice", "INBOX") == {1: HEAD}


def test_kicked_session_ends(mailbox: Mailbox) -> None:
    """The server drops a user's sessions on demand."""
    with client(mailbox.server, "plain") as session:
        session.login("alice", mailbox.password)
        mailbox.server.kick("alice")
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            session.noop()


def test_server_can_fail_and_come_back(mailbox: Mailbox) -> None:
    """After an outage the ports, the users and the mail are the same; a hand on the mail needs no server."""
    server = mailbox.server
    server.append("alice", "INBOX", HEAD)
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        imaplib.IMAP4(server.host, server.port)
    server.append("alice", "INBOX", HEAD + b"meanwhile")
    server.start()

    with client(server, "plain") as session:
        session.login("alice", mailbox.password)
        assert session.select("INBOX", readonly=True) == ("OK", [b"2"])


def test_paused_server_answers_late(mailbox: Mailbox) -> None:
    """Connections of a paused server stay open, and are answered once it goes on."""
    with client(mailbox.server, "plain") as session:
        session.login("alice", mailbox.password)
        mailbox.server.pause()
        session.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            session.noop()
        mailbox.server.resume()
        session.sock.settimeout(10)

        assert b"OK" in session.sock.recv(1000)


def test_two_servers_run_side_by_side() -> None:
    """Nothing is shared: ports, users, mail."""
    with Dovecot() as one, Dovecot() as other:
        one.add_user("alice", "secret")
        one.append("alice", "INBOX", HEAD)
        other.add_user("alice", "other")

        assert one.uids("alice", "INBOX") == [1]
        assert other.uids("alice", "INBOX") == []
        assert len({one.port, one.tls_port, other.port, other.tls_port}) == 4


def test_server_leaves_nothing() -> None:
    """Afterwards neither a process nor a folder, with sessions open at the end."""
    with Dovecot() as server:
        password = server.add_user("alice")
        server.append("alice", "INBOX", HEAD)
        session = imaplib.IMAP4(server.host, server.port)
        session.login("alice", password)
        running = processes_in(server.folder)
    session.shutdown()

    assert len(running) >= 3
    assert processes_in(server.folder) == set()
    assert [pid for pid in running if Path(f"/proc/{pid}").exists()] == []
    assert not server.folder.exists()


def processes_in(folder: Path) -> set[int]:
    """The processes that name the folder on their command line or in their environment."""
    mark = os.fsencode(folder)
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes():
                found.add(int(entry.name))
        except OSError:
            continue
    return found


@contextmanager
def client(
    server: Dovecot, way: str, trust: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[imaplib.IMAP4]:
    """An independent client, connected but not logged in."""
    if way == "implicit":
        session: imaplib.IMAP4 = imaplib.IMAP4_SSL(host, server.tls_port, ssl_context=trust)
    else:
        session = imaplib.IMAP4(host, server.port)
        if way == "starttls":
            session.starttls(trust)
    try:
        yield session
    finally:
        with suppress(OSError):
            session.shutdown()
