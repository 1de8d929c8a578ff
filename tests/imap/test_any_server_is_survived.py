"""Whatever octets a server sends: no hang, only our errors, and never octets under a wrong UID."""

import re
from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st

from archivmail.imap import sanitised
from archivmail.imap.excerpts import Excerpts
from archivmail.imap.replies import BadReply, listed, sequence_set, status, untagged
from archivmail.imap.tokens import TooDeep, Words, literal_ahead, words
from archivmail.model.account import Credentials, Mechanism
from archivmail.model.errors import ArchivmailError
from archivmail.model.message import FetchedMessage
from tests.imap.sessions import opened, uid_set
from tests.servers.scripted import ScriptedServer, sample

PIECES = st.sampled_from(
    [
        b"* ",
        b"1 ",
        b"FETCH ",
        b"(",
        b")",
        b" ",
        b"UID ",
        b"UID 5 ",
        b"UID 6 ",
        b"FLAGS () ",
        b'INTERNALDATE "x" ',
        b"BODY[] ",
        b"BODY[]",
        b"{3}\r\nabc",
        b"{3}\r\nab",
        b"{4}\r\n",
        b"~{1}\r\nx",
        b'"abc"',
        b'"',
        b"\\",
        b"NIL",
        b"\r\n",
        b"\n",
        b"{99999999999}\r\n",
        b"* OK x {3}\r\n",
        b"* BYE\r\n",
        b"+ \r\n",
        b"* 5 EXPUNGE\r\n",
        b'* LIST () "/" x\r\n',
        b'* 1 FETCH (UID 5 FLAGS () INTERNALDATE "x" BODY[] {3}\r\nabc)\r\n',
        b"\0",
        b"\xff",
        b"v1 OK\r\n",
        b"v9 NO\r\n",
    ]
)
SOUP = st.one_of(st.lists(PIECES, max_size=25).map(b"".join), st.binary(max_size=200))


@given(SOUP)
@example(b"* 1 FETCH (UID 5 BODY[] {3}\r\nabc UID 6)\r\n")
def test_any_answer_to_fetch_is_survived(soup: bytes) -> None:
    """trap 79, trap 81: the asked UID 5 with octets of the stream that stood under it, or nothing at all."""
    got: list[FetchedMessage] = []
    with ScriptedServer({b"INBOX": sample(1)}) as server, opened(server) as session:
        server.on(b"UID FETCH", lambda server, talk, _: (talk.send(soup + server.tag + b" OK\r\n"), talk.cut()))
        with suppress(ArchivmailError):
            session.fetch(uid_set(5), got.append)

    assert [message.sighting.uid for message in got] in ([], [5])


@given(st.binary(max_size=300))
def test_scanning_is_total(text: bytes) -> None:
    """Tokens, literals, lines for imaplib: values for any octets."""
    built = Words()
    built.feed(text)
    literal_ahead(text)
    untagged(text)
    line = sanitised.line(text)
    assert line is None or (line.endswith(b"\r\n") and not re.search(rb"\{\d+\}$", line[:-2]))


@given(st.text('(")\\ a[]{1}', max_size=200))
def test_scanning_loses_no_depth(text: str) -> None:
    """Depth is what was opened less what was closed."""
    built = Words()
    built.feed(text.encode())
    assert 0 <= built.depth <= text.count("(")


@given(st.binary(max_size=100))
def test_a_folder_line_gives_a_folder_or_a_bad_reply(rest: bytes) -> None:
    """Nothing else."""
    try:
        folder = listed(rest, None)
    except BadReply:
        return
    assert folder is None or folder.name


@given(st.binary(max_size=60))
def test_a_set_gives_ranges_or_a_bad_reply(text: bytes) -> None:
    """Nothing else, and nothing is expanded."""
    try:
        ranges = sequence_set(text)
    except BadReply:
        return
    assert all(1 <= low <= high <= 0xFFFFFFFF for low, high in ranges)


def test_nesting_is_bounded() -> None:
    """trap 79."""
    try:
        words(b"(" * 1000)
    except TooDeep:
        return
    raise AssertionError("1000 open parentheses were taken")


def test_scanning_time_is_linear() -> None:
    """A hostile line of a megabyte costs no more than a friendly one of some megabytes."""
    for piece in (b'"', b'"\\', b'\\"', b'" ', b'()"', b"BODY[", b"BODY[ ", b"{1}", b" ", b' ("CHILDINFO" '):
        line = (b'() "/" ' + piece * 200_000)[:200_000]
        with suppress(TooDeep):
            Words().feed(line)
        literal_ahead(line)
        untagged(b"* " + line)
        listed(line, None)
        status(b"NO", line)
        Excerpts(Credentials(Mechanism.PASSWORD, "alice")).of(line.decode())
