"""COMPRESS=DEFLATE (RFC 4978): where the line is slow, exact to the octet, and bounded."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from archivmail.decide.compressing import ENOUGH_BYTES, SLOW_BYTES_PER_S, SLOW_ROUND_TRIP_S, Line, is_worth_compressing
from archivmail.imap.deflate import Deflate
from archivmail.imap.session import connect
from archivmail.model.account import Credentials, Endpoint, Mechanism, Secret, TlsMode
from archivmail.model.errors import ConnectionLost, ServerViolation
from archivmail.model.uidset import UidSet
from tests.imap.sessions import INBOX, QUICK, fetch, opened
from tests.servers.dovecot import Dovecot
from tests.servers.scripted import Folder, Message, ScriptedServer, sample

if TYPE_CHECKING:
    from tests.servers.scripted.conversation import Conversation

ALWAYS = replace(QUICK, compress_always=True)
IMPATIENT = replace(ALWAYS, read_s=1)
OFFERED = "IMAP4rev1 COMPRESS=DEFLATE"
FAR = Line(is_loopback=False, round_trip_s=0.1)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(FAR, True, id="far"),
        pytest.param(replace(FAR, round_trip_s=SLOW_ROUND_TRIP_S), True, id="just-far-enough"),
        pytest.param(replace(FAR, round_trip_s=SLOW_ROUND_TRIP_S - 0.001), False, id="just-too-near"),
        pytest.param(replace(FAR, is_loopback=True), False, id="loopback"),
        pytest.param(Line(False, 0.001, ENOUGH_BYTES, 2 * ENOUGH_BYTES / SLOW_BYTES_PER_S), True, id="near-and-slow"),
        pytest.param(
            Line(False, 0.001, ENOUGH_BYTES, 0.5 * ENOUGH_BYTES / SLOW_BYTES_PER_S), False, id="near-and-fast"
        ),
        pytest.param(Line(False, 0.001, ENOUGH_BYTES - 1, 60), False, id="too-little-to-judge"),
    ],
)
def test_a_slow_line_is_compressed_and_no_other(line: Line, expected: bool) -> None:
    """By round trip at once, by rate once it is known."""
    assert is_worth_compressing(line) is expected


def start_compression(server: ScriptedServer, talk: Conversation, _: bytes) -> None:
    """Answer OK and speak compressed from then on."""
    talk.send(server.tag + b" OK DEFLATE active\r\n")
    deflater, inflater = zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)
    plain_send, plain_received = talk.send, talk._received
    talk._buffer = inflater.decompress(talk._buffer)

    def send(octets: bytes) -> None:
        plain_send(deflater.compress(octets) + deflater.flush(zlib.Z_SYNC_FLUSH))

    def received() -> bytes:
        return inflater.decompress(plain_received())

    talk.send, talk._received = send, received  # type: ignore[method-assign]


def folder_of_all_kinds() -> Folder:
    """Octets that compress well, badly, and not at all."""
    noise = random.Random(7)
    bodies = [b"a" * 300_000, noise.randbytes(200_000), bytes(range(256)) * 40, b"x", b"Subject: a\r\n\r\n" * 5000]
    return Folder({uid: Message(octets) for uid, octets in enumerate(bodies, 1)})


def test_octets_are_exact_through_compression() -> None:
    """Design §1 invariant 3; every command is flushed so that the server can answer it."""
    folder = folder_of_all_kinds()
    with ScriptedServer({b"INBOX": folder}, capabilities=OFFERED) as server:
        server.on(b"COMPRESS", start_compression)
        with opened(server, limits=ALWAYS) as session:
            got = fetch(session, session.uids())
            received = session.received_bytes
            session.examine(INBOX)

    assert got.octets == {uid: message.octets for uid, message in folder.messages.items()}
    assert received < sum(map(len, got.octets.values())) / 2
    assert [command for command in server.commands if command.startswith(b"COMPRESS")] == [b"COMPRESS DEFLATE"]


@pytest.mark.parametrize("capabilities", ["IMAP4rev1", OFFERED])
def test_loopback_is_never_compressed(capabilities: str) -> None:
    """Nor is a server asked that does not offer it."""
    with ScriptedServer({b"INBOX": sample(1)}, capabilities=capabilities) as server, opened(server) as session:
        assert len(fetch(session, session.uids()).octets) == 1

    assert not [command for command in server.commands if command.startswith(b"COMPRESS")]


@pytest.mark.parametrize("tagged", [b"NO [COMPRESSIONACTIVE] TLS does it", b"BAD unknown command"])
def test_a_server_that_changes_its_mind_is_read_as_before(tagged: bytes) -> None:
    """The offer is no promise."""
    with ScriptedServer({b"INBOX": sample(2)}, capabilities=OFFERED) as server:
        server.script(b"COMPRESS", tagged=tagged)
        with opened(server, limits=ALWAYS) as session:
            assert len(fetch(session, session.uids()).octets) == 2


def garbage() -> Iterator[object]:
    yield pytest.param(b"\xff\xff\xff\xff" * 8, ServerViolation, id="no-deflate")
    yield pytest.param(b"* 1 EXISTS\r\n", ServerViolation, id="plain-text")
    ended = zlib.compressobj(9, zlib.DEFLATED, -15)
    yield pytest.param(ended.compress(b"* 1 EXISTS\r\n") + ended.flush(), ServerViolation, id="the-stream-ends")
    yield pytest.param(b"", ConnectionLost, id="nothing")


@pytest.mark.parametrize(("octets", "error"), list(garbage()))
def test_what_is_no_compressed_stream_ends_the_session(octets: bytes, error: type[Exception]) -> None:
    """trap 81: one sentence, and the connection is dropped."""

    def answer(server: ScriptedServer, talk: Conversation, _: bytes) -> None:
        talk.send(server.tag + b" OK DEFLATE active\r\n" + octets)
        talk.line()
        talk.cut()

    with ScriptedServer({b"INBOX": sample(1)}, capabilities=OFFERED) as server:
        server.on(b"COMPRESS", answer)
        session = connect(server.endpoint, server.credentials, should_stop=lambda: False, limits=IMPATIENT)
        with pytest.raises(error):
            session.examine(INBOX)
        session.close()


def test_a_bomb_is_inflated_only_as_far_as_it_is_read() -> None:
    """trap 79: 100 MB in 100 kB wait compressed."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(100)) + packer.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 150_000
    deflate = Deflate(bomb)

    pieces = [deflate.inflated(4096) for _ in range(10)]

    assert [len(piece) for piece in pieces] == [4096] * 10
    assert len(deflate._waiting) > len(bomb) - 10_000


def test_a_line_without_end_is_bounded_through_compression() -> None:
    """The limits hold for what is read, not for what was sent."""

    def answer(server: ScriptedServer, talk: Conversation, arguments: bytes) -> None:
        start_compression(server, talk, arguments)
        talk.line()
        talk.send(b"* OK " + b"a" * 50_000_000)
        talk.stall()

    with ScriptedServer({b"INBOX": sample(1)}, capabilities=OFFERED) as server:
        server.on(b"COMPRESS", answer)
        session = connect(server.endpoint, server.credentials, should_stop=lambda: False, limits=ALWAYS)
        with pytest.raises(ServerViolation, match="line of more than"):
            session.examine(INBOX)
        session.close()


@pytest.mark.servers
@pytest.mark.parametrize("tls", [TlsMode.DISABLED, TlsMode.IMPLICIT])
def test_dovecot_and_we_understand_each_other(tls: TlsMode) -> None:
    """With its imap_zlib plugin, also within TLS."""
    noise = random.Random(3)
    bodies = [b"Subject: %d\r\n\r\n" % number + b"0123456789abcde\r\n" * number * 50 for number in range(1, 40)]
    bodies.append(b"Subject: large\r\n\r\n" + noise.randbytes(3_000_000).hex().encode())
    with Dovecot(extra_config="protocol imap {\n  mail_plugins = $mail_plugins imap_zlib\n}\n") as dovecot:
        password = dovecot.add_user("alice")
        dovecot.bulk_append("alice", "INBOX", bodies)
        port = dovecot.port if tls is TlsMode.DISABLED else dovecot.tls_port
        endpoint = Endpoint(dovecot.host, port, tls, ca_pem=dovecot.ca_pem)
        credentials = Credentials(Mechanism.PASSWORD, "alice", Secret(password))
        session = connect(endpoint, credentials, should_stop=lambda: False, limits=ALWAYS)
        snapshot = session.examine(INBOX)
        uids = session.uids()
        got = fetch(session, uids)
        assert session._stream._deflate is not None
        received = session.received_bytes
        session.close()
        expected = dovecot.messages("alice", "INBOX")

    assert snapshot.messages == len(uids) == len(bodies)
    assert got.octets == expected
    assert uids - UidSet.of(got.octets) == UidSet()
    assert received < sum(map(len, expected.values())) * 0.7
