"""MIME reading is total: whatever the octets, there is an answer, it can be stored, and it comes soon."""

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.mime.charsets import decode
from archivmail.mime.envelope import envelope
from archivmail.mime.headers import parameters, text_of
from archivmail.mime.hypertext import to_text
from archivmail.mime.terminal import clean, line
from archivmail.mime.text import MAX_TEXT, attachments, extract, readable
from tests.corpus.torture import any_mail

WORD = b"=?utf-8?Q?a?= "


@given(any_mail)
def test_any_octets_have_an_envelope_and_a_text(octets: bytes) -> None:
    """No octets make the reader raise, and what it gives has a UTF-8 form without NUL."""
    found = extract(octets)
    head = found.envelope
    texts = [*found.texts, head.sender, head.recipients, head.subject, head.message_id, head.in_reply_to]
    for text in [*texts, *found.attachment_names, readable(octets)]:
        assert "\0" not in text
        text.encode()
    assert head == envelope(octets)
    assert len(attachments(octets)) == found.attachment_count


@given(any_mail)
def test_header_texts_are_one_line(octets: bytes) -> None:
    """A folded or torn header never brings a line end into a list."""
    head = envelope(octets)
    for text in (head.sender, head.recipients, head.subject, head.message_id):
        assert text == " ".join(text.split())


@given(st.binary(max_size=300), st.one_of(st.text(max_size=20), st.sampled_from(["utf-7", "hz", "utf-16", "idna"])))
def test_any_octets_in_any_charset_are_text(octets: bytes, label: str) -> None:
    """A charset is what a stranger wrote."""
    text = decode(octets, label)
    assert "\0" not in text
    text.encode()


@given(st.binary(max_size=300))
def test_any_octets_have_parameters(octets: bytes) -> None:
    """So is a Content-Type."""
    main, options = parameters(octets)
    assert main == main.lower()
    assert all(name == name.lower() for name in options)


@given(st.binary(max_size=300))
def test_any_octets_are_a_header_text(octets: bytes) -> None:
    """And a Subject."""
    text_of(octets).encode()


@given(st.text(max_size=300))
def test_any_page_has_a_text(page: str) -> None:
    """And a page."""
    assert "\0" not in to_text(page.replace("\0", ""))


@given(st.text(max_size=300))
def test_nothing_that_acts_on_a_terminal_is_left(text: str) -> None:
    """Cleaned text has no control character but LF and tab, and cleaning it again changes nothing."""
    shown = clean(text)
    assert not [each for each in shown if (ord(each) < 32 and each not in "\n\t") or 0x7F <= ord(each) < 0xA0]
    assert clean(shown) == shown
    assert "\n" not in line(text)


def nested(levels: int, kind: bytes, size: int) -> bytes:
    return (b"Content-Type: " + kind + b"\r\n\r\n") * levels + b"Subject: innermost\r\n\r\n" + b"x " * (size // 2)


def multipart(part: bytes, count: int) -> bytes:
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + (b"--b\r\n" + part + b"\r\n") * count


HOSTILE: dict[str, Callable[[], bytes]] = {
    "encoded-words-in-subject": lambda: b"Subject: " + WORD * 100_000 + b"\r\n\r\nx",
    "encoded-words-in-part": lambda: multipart(b"Content-Disposition: attachment; filename=" + WORD * 100_000, 1),
    "openings-of-encoded-words": lambda: b"Subject: " + b"=?" * 1_000_000 + b"\r\n\r\nx",
    "half-encoded-words": lambda: b"Subject: " + b"=?a?q?" * 300_000 + b"\r\n\r\nx",
    "250-embedded-messages": lambda: nested(250, b"message/rfc822", 16_000_000),
    "deep-multiparts": lambda: nested(250, b"multipart/mixed; boundary=b", 1_000_000) + b"\n--b\n\nx" * 1000,
    "a-million-parts": lambda: multipart(b"", 1_000_000),
    "boundary-look-alikes": lambda: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--bb\r\n" * 2_000_000,
    "a-line-of-16-megabytes": lambda: b"Subject: x\r\n\r\n" + b"x" * 16_000_000,
    "a-header-of-16-megabytes": lambda: b"Subject: " + b"x" * 16_000_000,
    "100,000-recipients": lambda: b"To: " + b", ".join(b"a%d@b.c" % n for n in range(100_000)) + b"\r\n\r\nx",
    "a-million-headers": lambda: b"To: x\r\n" * 1_000_000 + b"\r\nx",
    "folded-for-ever": lambda: b"Subject: x" + b"\r\n " * 500_000 + b"\r\n\r\nx",
    "parameters": lambda: b"Content-Type: text/plain; " + b'a*0="\\' * 300_000 + b"\r\n\r\nx",
    "base64-of-100-megabytes": lambda: b"Content-Transfer-Encoding: base64\r\n\r\n" + (b"A" * 76 + b"\r\n") * 1_300_000,
    "charset-of-quadratic-time": lambda: b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"a" * 1_000_000,
    "script-never-closed": lambda: b"Content-Type: text/html\r\n\r\n" + b"<script " * 250_000,
    "comment-never-closed": lambda: b"Content-Type: text/html\r\n\r\n" + b"<!--" * 500_000,
    "tags-never-closed": lambda: b"Content-Type: text/html\r\n\r\n" + b"<a" * 1_000_000,
    "entities": lambda: b"Content-Type: text/html\r\n\r\n" + b"&#" * 1_000_000,
}


@pytest.mark.parametrize("octets", [pytest.param(make, id=name) for name, make in HOSTILE.items()])
def test_hostile_mail_is_read_in_bounded_time_and_size(octets: Callable[[], bytes]) -> None:
    """Linear work for what took a library minutes or gigabytes. The limit is far above what it takes (0.1 to 1 s)."""
    message = octets()
    before = time.process_time()
    found = extract(message)
    assert time.process_time() - before < 10
    assert sum(map(len, found.texts)) <= MAX_TEXT + 1000
    assert len(found.envelope.subject) <= 512 * 1024


def test_a_torn_base64_part_gives_what_can_be_had() -> None:
    """One bad character, or a missing pad, must not cost the words."""
    head = b"Content-Transfer-Encoding: base64\r\n\r\n"
    assert extract(head + b"aGVsbG8*gd29ybGQ").texts == ("hello world",)
    assert extract(head + b"aGVsbG8gd29ybGQ=\r\n=").texts[0].startswith("hello world")


@pytest.mark.parametrize("start", ["\x9d", "\x1bP", "\x9b", "\x1b["], ids=["osc", "dcs", "csi", "csi-of-two"])
def test_torn_escapes_are_cleaned_in_linear_time(start: str) -> None:
    """Each was followed for four thousand characters: two minutes in `show`. The limit is as above."""
    before = time.process_time()
    assert clean(start * 1_000_000).strip("[P") == ""
    assert time.process_time() - before < 10


def test_terminal_escapes_do_not_reach_the_terminal() -> None:
    """Titles, colours, answers and bidirectional overrides go; the text between them stays."""
    hostile = "a\x1b[31mred\x1b[0m \x1b]0;title\x07b\x9b2Jc \u202egnp.exe\u2066 \x1bcd\r\ne\x00"
    assert clean(hostile) == "ared bc gnp.exe d\ne"
    assert line("a\r\n b\tc" * 3, 6) == "a b c…"
