"""What arrives is what the server sent, octet for octet (design §1 invariant 3)."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.imap.sessions import QUICK, fetch, opened, uid_set
from tests.servers.scripted import Folder, Message, ScriptedServer

HEAD = b"Subject: a\r\n\r\n"

OCTETS = [
    pytest.param(HEAD + b"nul \x00 inside\r\n", id="nul"),
    pytest.param(HEAD + b"bare\nline\nfeeds\n", id="bare-lf"),
    pytest.param(HEAD + b"lone \r return", id="lone-cr"),
    pytest.param(HEAD + bytes(range(256)), id="all-octets"),
    pytest.param(HEAD + b"no final newline", id="no-final-newline"),
    pytest.param(HEAD + b")\r\nv3 OK done\r\n* 1 FETCH (UID 2 BODY[] {3}\r\nabc)\r\n", id="looks-like-a-response"),
    pytest.param(b"\r\n", id="nothing-but-a-blank-line"),
    pytest.param(b"x" * 1_000_000 + b"\r\n", id="a-line-of-a-megabyte"),
    pytest.param(b"", id="empty-and-said-to-be"),
]


@pytest.mark.parametrize("octets", OCTETS)
def test_octets_come_as_the_server_sent_them(octets: bytes) -> None:
    """And the content id is their SHA-256."""
    with ScriptedServer({b"INBOX": Folder({7: Message(octets)})}) as server, opened(server) as session:
        fetched = fetch(session, uid_set(7))

    assert fetched.octets == {7: octets}
    assert fetched.messages[7].body.content_id == hashlib.sha256(octets).digest()
    assert fetched.messages[7].body.size == len(octets)


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=12), st.integers(16, 200))
def test_any_octets_survive_any_buffer(messages: list[bytes], receive_bytes: int) -> None:
    """However the octets fall into the receive buffer."""
    folder = Folder({uid: Message(octets) for uid, octets in enumerate(messages, 1)})
    limits = replace(QUICK, receive_bytes=receive_bytes, memory_bytes=150)
    with ScriptedServer({b"INBOX": folder}) as server, opened(server, limits=limits) as session:
        fetched = fetch(session, session.uids())

    assert fetched.octets == dict(enumerate(messages, 1))


def test_a_large_message_is_spooled_and_read_any_number_of_times() -> None:
    """Beyond 4 MiB memory does not grow with the message."""
    octets = HEAD + bytes(range(256)) * 20_000
    seen: list[tuple[str, bytes, bytes]] = []
    with ScriptedServer({b"INBOX": Folder({1: Message(octets)})}) as server, opened(server) as session:
        session.fetch(
            uid_set(1),
            lambda message: seen.append(
                (
                    type(message.body).__name__,
                    b"".join(bytes(chunk) for chunk in message.body.chunks()),
                    b"".join(bytes(chunk) for chunk in message.body.chunks()),
                )
            ),
        )

    assert seen == [("SpooledBody", octets, octets)]


def test_flags_date_and_id_come_with_the_octets() -> None:
    r"""The raw date, the flags but \Recent, and the immutable id where it is offered."""
    message = Message(b"x", ("\\Seen", "\\Recent", "$Work"), "17-Jul-1996 02:44:25 -0700", "M6d99")
    with (
        ScriptedServer({b"INBOX": Folder({1: message})}, capabilities="IMAP4rev1 OBJECTID") as server,
        opened(server) as session,
    ):
        sighting = fetch(session, uid_set(1)).messages[1].sighting

    assert sighting.internal_date == "17-Jul-1996 02:44:25 -0700"
    assert sighting.flags == ("\\Seen", "$Work")
    assert sighting.email_id == "M6d99"
