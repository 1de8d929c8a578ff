"""Cyrus as a fixture: octets, users, folders, and nothing left behind."""

from __future__ import annotations

import imaplib
import os
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from tests.servers.cyrus import Cyrus
from tests.servers.fixtures import Mailbox
from tests.servers.imap_session import ImapRefusedError

pytestmark = pytest.mark.servers

HEAD = b"Subject: a\r\n\r\n"
EXACT = [
    pytest.param(HEAD + b"no final newline", id="no-final-newline"),
    pytest.param(HEAD + bytes(range(128, 256)) + b"\r\n", id="8-bit"),
    pytest.param(b"Subject: \xe4\r\n\r\n", id="8-bit-header"),
    pytest.param(HEAD + b"lone \r return, \r\r\n", id="lone-cr"),
    pytest.param(b"From x\r\n" + HEAD + b"From me\r\n.\r\n", id="from-and-dot-lines"),
]
REFUSED = [
    pytest.param(b"x", id="no-header"),
    pytest.param(b"", id="empty"),
    pytest.param(HEAD + b"bare\n", id="bare-lf"),
    pytest.param(HEAD + b"\x00\r\n", id="nul"),
]


@pytest.mark.parametrize("octets", EXACT)
def test_octets_come_back_as_they_were_appended(cyrus_mailbox: Mailbox, octets: bytes) -> None:
    """What Cyrus keeps exactly."""
    uid = cyrus_mailbox.server.append(cyrus_mailbox.user, "INBOX", octets)

    assert cyrus_mailbox.server.raw(cyrus_mailbox.user, "INBOX", uid) == octets


@pytest.mark.parametrize("octets", REFUSED)
def test_octets_that_cyrus_refuses(cyrus_mailbox: Mailbox, octets: bytes) -> None:
    """The facts that the module's docstring states; the session goes on."""
    with pytest.raises(ImapRefusedError):
        cyrus_mailbox.server.append(cyrus_mailbox.user, "INBOX", octets)

    assert cyrus_mailbox.server.uids(cyrus_mailbox.user, "INBOX") == []


def test_uidvalidity_follows_the_life_of_a_folder(cyrus_mailbox: Mailbox) -> None:
    """Kept by RENAME, another one for a folder made anew, even within the second."""
    server, user = cyrus_mailbox.server, cyrus_mailbox.user
    server.create_folder(user, "Sent")
    server.bulk_append(user, "Sent", [HEAD + b"1", HEAD + b"2", HEAD + b"3"])
    server.expunge(user, "Sent", [1])
    first = server.uid_validity(user, "Sent")
    server.rename_folder(user, "Sent", "Gone")
    server.create_folder(user, "Sent")

    assert server.uid_validity(user, "Gone") == first
    assert server.uid_validity(user, "Sent") != first
    assert server.reset_uidvalidity(user, "Gone") != first
    assert server.messages(user, "Gone") == {1: HEAD + b"2", 2: HEAD + b"3"}


@pytest.mark.parametrize("way", ["plain", "starttls", "tls"])
def test_every_way_in_is_open(cyrus_mailbox: Mailbox, way: str) -> None:
    """With the certificate of this run, and each log-in is counted for its user alone."""
    server, user = cyrus_mailbox.server, cyrus_mailbox.user
    context = ssl.create_default_context(cadata=server.ca_pem)
    client = (
        imaplib.IMAP4_SSL(server.host, server.tls_port, ssl_context=context)
        if way == "tls"
        else imaplib.IMAP4(server.host, server.port)
    )
    with client:
        if way == "starttls":
            client.starttls(context)
        with pytest.raises(imaplib.IMAP4.error):
            client.login(user, "wrong")
        client.login(user, cyrus_mailbox.password)

    assert (server.login_attempts(user), server.sessions_opened(user)) == (2, 1)


def test_new_password_counts_at_once(cyrus_mailbox: Mailbox) -> None:
    """And the old one no longer."""
    server, user = cyrus_mailbox.server, cyrus_mailbox.user
    server.set_password(user, "another")
    with imaplib.IMAP4(server.host, server.port) as client:
        with pytest.raises(imaplib.IMAP4.error):
            client.login(user, cyrus_mailbox.password)
        client.login(user, "another")


def test_server_comes_back_with_its_mail_and_leaves_nothing() -> None:
    """Stop, start, end: same ports, same mail; then no process, no folder, no listener."""
    with Cyrus() as server:
        server.add_user("alice")
        server.append("alice", "INBOX", HEAD)
        server.restart()
        assert server.messages("alice", "INBOX") == {1: HEAD}
        folder, port = server.folder, server.port

    assert not folder.exists()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((server.host, port), timeout=1)
    assert [pid for pid in Path("/proc").glob("[0-9]*") if str(folder).encode() in _command_line(pid)] == []


def _command_line(process: Path) -> bytes:
    with suppress(OSError):
        return (process / "cmdline").read_bytes()
    return os.fsencode("")
