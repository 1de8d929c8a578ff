"""Messages in parts: header and text, or verified pieces (traps 34, 44, 46, 47)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from archivmail.decide.assembling import EVERY_WAY, PIECES_ONLY
from archivmail.model.errors import ServerBusy, ServerViolation
from archivmail.model.message import HEADER_AND_TEXT, PARTIAL
from archivmail.model.uidset import Uid
from tests.imap.sessions import QUICK, fetch, opened, uid_set
from tests.servers.scripted import Conversation, Folder, Message, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from archivmail.imap.session import Session
    from archivmail.model.message import FetchedMessage

HEAD = b"Subject: a\r\nFrom: b\r\n\r\n"
TEXT = bytes(range(256)) * 20
WHOLE = HEAD + TEXT
OTHER = (len(TEXT), b"y" * len(TEXT))
"""As long as the text, and another one."""
SMALL_PIECES = replace(QUICK, piece_bytes=1000, memory_bytes=2000)

Answers = dict[bytes, "bytes | Callable[[bytes], bytes]"]


def assemble(session: Session, ways: tuple[str, ...] = EVERY_WAY) -> tuple[bytes, FetchedMessage] | None:
    """The octets and the message that was delivered, if one was."""
    got: list[tuple[bytes, FetchedMessage]] = []

    def deliver(message: FetchedMessage) -> None:
        got.append((b"".join(bytes(chunk) for chunk in message.body.chunks()), message))

    session.assemble(Uid(7), ways, deliver)
    assert len(got) <= 1
    return got[0] if got else None


def answering(item: bytes, untagged: bytes, tagged: bytes = b"OK done") -> Callable[..., bytes | None]:
    """UID FETCH as it should be, but for one item: what is asked for it is answered with these octets."""

    def hook(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        if item in arguments:
            talk.send(untagged)
            return tagged
        return server.correct(b"UID FETCH", talk, arguments)

    return hook


def served(octets: bytes = WHOLE) -> ScriptedServer:
    return ScriptedServer({b"INBOX": Folder({7: Message(octets, flags=("\\Seen",), email_id="M7")})})


def test_header_and_text_are_joined_and_marked() -> None:
    """Trap 34: with the facts of the message, and never by a command that sets \\Seen."""
    with served() as server, opened(server) as session:
        got = assemble(session)
        commands = [each for each in server.commands if each.startswith(b"UID FETCH")]

    assert got is not None
    octets, message = got
    assert octets == WHOLE
    assert message.sighting.assembled == HEADER_AND_TEXT
    assert message.sighting.flags == ("\\Seen",)
    assert message.sighting.internal_date
    assert all(b"BODY[" not in each for each in commands)


@pytest.mark.parametrize("header", [HEAD[:-2], HEAD[:-4], b"Subject: a\nFrom: b\n\n"])
def test_a_blank_line_that_is_missing_is_added(header: bytes) -> None:
    """Trap 44: without it the text would be read as header."""
    reply = b"* 1 FETCH (UID 7 BODY[HEADER] {%d}\r\n%b)\r\n" % (len(header), header)
    with served() as server, opened(server) as session:
        server.on(b"UID FETCH", answering(b"[HEADER]", reply))
        got = assemble(session)

    assert got is not None
    head, _, _ = got[0].replace(b"\r\n", b"\n").partition(b"\n\n")
    assert head == b"Subject: a\nFrom: b"
    assert got[0].endswith(TEXT)


@pytest.mark.parametrize(
    ("untagged", "tagged"),
    [
        pytest.param(b"", b"NO no", id="no"),
        pytest.param(b"", b"BAD what", id="bad"),
        pytest.param(b"* 1 FETCH (UID 7 BODY[TEXT] NIL)\r\n", b"OK done", id="nil"),
        pytest.param(b'* 1 FETCH (UID 7 BODY[TEXT] "")\r\n', b"OK done", id="empty"),
        pytest.param(b"", b"OK done", id="nothing"),
        pytest.param(b"* 1 FETCH (UID 7 BODY[TEXT] {3}\r\nabc)\r\n", b"OK done", id="far-too-short"),
        pytest.param(b"* 1 FETCH (UID 7 BODY[TEXT] {3}\r\nabc)\r\n", b"NO sorry", id="refused-after-octets"),
        pytest.param(b"* 1 FETCH (UID 8 BODY[TEXT] {%d}\r\n%b)\r\n" % OTHER, b"OK done", id="of-another-uid"),
        pytest.param(b"* 1 FETCH (BODY[TEXT] {%d}\r\n%b UID 8)\r\n" % OTHER, b"OK done", id="of-a-uid-told-late"),
        pytest.param(b"* 1 FETCH (BODY[TEXT] {%d}\r\n%b)\r\n" % OTHER, b"OK done", id="of-no-uid"),
        pytest.param(b"* 1 FETCH (UID 7 BODY[] {3}\r\nabc)\r\n", b"OK done", id="of-another-part"),
    ],
)
def test_a_text_that_does_not_come_leads_to_pieces(untagged: bytes, tagged: bytes) -> None:
    """Traps 34, 38, 47: a header alone is not the message."""
    with served() as server, opened(server, limits=SMALL_PIECES) as session:
        server.on(b"UID FETCH", answering(b"[TEXT]", untagged, tagged))
        got = assemble(session)

    assert got is not None
    assert got[0] == WHOLE
    assert got[1].sighting.assembled == PARTIAL


def test_a_header_is_the_message_where_its_size_says_so() -> None:
    """Trap 34: a message without text; RFC822.SIZE equals the header to the octet."""
    with served(HEAD) as server, opened(server) as session:
        got = assemble(session)

    assert got is not None
    assert got[0] == HEAD


@pytest.mark.parametrize("length", [1, 999, 1000, 1001, 2000, 5000])
def test_pieces_make_the_message_whatever_its_length(length: int) -> None:
    """Trap 47: at, above and below the length of a piece; in memory and in a file."""
    octets = (HEAD + TEXT)[:length]
    with served(octets) as server, opened(server, limits=SMALL_PIECES) as session:
        got = assemble(session, PIECES_ONLY)

    assert got is not None
    assert got[0] == octets


def test_pieces_end_where_the_server_has_no_more() -> None:
    """Trap 43: a size that is a little wrong does not cut the message."""
    reply = b"* 1 FETCH (UID 7 RFC822.SIZE %d)\r\n" % (len(WHOLE) * 9 // 10)
    with served() as server, opened(server, limits=SMALL_PIECES) as session:
        server.on(b"UID FETCH", answering(b"RFC822.SIZE", reply))
        got = assemble(session, PIECES_ONLY)

    assert got is not None
    assert got[0] == WHOLE


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"* 1 FETCH (UID 7 BODY[] {%d}\r\n%b)\r\n", id="without-an-origin"),
        pytest.param(b"* 1 FETCH (UID 7 BODY[]<1> {%d}\r\n%b)\r\n", id="of-another-origin"),
    ],
)
def test_pieces_from_elsewhere_are_not_spliced(reply: bytes) -> None:
    """Trap 47: some servers ignore the origin and give the whole; what cannot be told apart is left."""
    piece = WHOLE[:1000]
    with served() as server, opened(server, limits=SMALL_PIECES) as session:
        server.on(b"UID FETCH", answering(b"[]<", reply % (len(piece), piece)))
        assert assemble(session, PIECES_ONLY) is None


def test_a_piece_longer_than_asked_for_is_refused() -> None:
    """Trap 47: mis-sized."""
    reply = b"* 1 FETCH (UID 7 BODY[]<0> {%d}\r\n%b)\r\n" % (len(WHOLE), WHOLE)
    with served() as server, opened(server, limits=SMALL_PIECES) as session:
        server.on(b"UID FETCH", answering(b"[]<", reply))
        assert assemble(session, PIECES_ONLY) is None


def test_a_server_that_repeats_a_piece_for_ever_is_left() -> None:
    """Trap 47: it tells each time the origin that was asked for; the declared size ends it."""

    def hook(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        asked = re.search(rb"<(\d+)\.", arguments)
        if not asked:
            return server.correct(b"UID FETCH", talk, arguments)
        talk.send(b"* 1 FETCH (UID 7 BODY[]<%b> {999}\r\n%b)\r\n" % (asked[1], b"x" * 999))
        return b"OK done"

    with served() as server, opened(server, limits=SMALL_PIECES) as session:
        server.on(b"UID FETCH", hook)
        assert assemble(session, PIECES_ONLY) is None
        assert sum(b"[]<" in each for each in server.commands) < 20


def test_a_refusal_in_the_middle_is_no_end() -> None:
    """Trap 47: half a message is none."""
    with served() as server, opened(server, limits=SMALL_PIECES) as session:
        server.on(b"UID FETCH", answering(b"[]<4000", b"", b"NO broken disk"))
        assert assemble(session, PIECES_ONLY) is None


def test_a_message_that_is_gone_is_not_delivered() -> None:
    """Trap 12: expunged between the list and the fetch."""
    with ScriptedServer({b"INBOX": Folder({8: Message(WHOLE)})}) as server, opened(server) as session:
        assert assemble(session) is None


def test_a_throttled_server_ends_the_session() -> None:
    """§1.8: parts are no way around a limit."""
    with served() as server, opened(server) as session:
        server.on(b"UID FETCH", answering(b"[HEADER]", b"", b"NO [LIMIT] Rate limit hit"))
        with pytest.raises(ServerBusy):
            assemble(session)


def test_a_part_too_large_to_archive_is_not_read() -> None:
    """Trap 46: bounds hold for parts too."""
    with served() as server, opened(server, limits=replace(QUICK, message_bytes=10_000)) as session:
        server.on(b"UID FETCH", answering(b"[TEXT]", b"* 1 FETCH (UID 7 BODY[TEXT] {4294967295}\r\n"))
        with pytest.raises(ServerViolation, match="more than"):
            assemble(session)


def test_the_session_goes_on_afterwards() -> None:
    """Nothing of the parts is left on the line."""
    with served() as server, opened(server) as session:
        assert assemble(session) is not None
        assert fetch(session, uid_set(7)).octets == {7: WHOLE}


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(b" BODY[TEXT] {3}\r\nabc)\r\n", id="the-same-part-again"),
        pytest.param(b" UID 2)\r\n", id="another-uid"),
        pytest.param(b" (UID 2 FLAGS ())\r\n", id="amid-the-next-response"),
    ],
)
def test_a_part_that_ends_where_it_should_not_is_no_part(after: bytes) -> None:
    """trap 77: octets of another message are never joined to this one's."""
    told = b"* 1 FETCH (UID 7 BODY[HEADER] {8}\r\nA: b\r\n\r\n BODY[TEXT] {3}\r\nabc" + after
    with served() as server, opened(server) as session:
        server.on(b"UID FETCH", answering(b"PEEK[", told))
        with pytest.raises(ServerViolation, match="another length"):
            assemble(session)
