"""Envelopes of mail as it is: decoded, tolerant, never a reason to lose mail."""

from datetime import UTC, datetime

import pytest

from archivmail.mime.envelope import date_of, envelope
from archivmail.mime.headers import MAX_VALUE_BYTES


@pytest.mark.parametrize(
    ("raw", "subject"),
    [
        pytest.param(b"plain words", "plain words", id="ascii"),
        pytest.param(b"=?utf-8?B?4oKsIDUw?=", "€ 50", id="base64-word"),
        pytest.param(b"=?UTF-8?q?caf=C3=A9_noir?=", "café noir", id="quoted-word"),
        pytest.param(b"=?utf-8*en?Q?caf=C3=A9?=", "café", id="word-with-language"),
        pytest.param(b"=?utf-8?Q?a?=\r\n =?utf-8?Q?b?=", "ab", id="blank-between-words-is-not-shown"),
        pytest.param(b"=?utf-8?Q?a?= x =?utf-8?Q?b?=", "a x b", id="text-between-words-is-shown"),
        pytest.param(b"=?utf-8?Q?=E2=82?= =?utf-8?Q?=AC?=", "€", id="character-split-between-two-words"),
        pytest.param(b"=?x-unknown?Q?caf=E9?=", "café", id="unknown-charset"),
        pytest.param(b"=?gb2312?B?u+HS6Q==?=", "会议", id="gb2312"),
        pytest.param(b"=?iso-2022-jp?B?GyRCMnE1RBsoQg==?=", "会議", id="iso-2022-jp"),
        pytest.param(b"=?windows-874?B?4Lk=?=", "เน", id="windows-874"),
        pytest.param("Größe".encode(), "Größe", id="raw-utf-8"),
        pytest.param("Größe".encode("latin-1"), "Größe", id="raw-latin-1"),
        pytest.param(b"folded\r\n over\r\n\ttwo lines", "folded over two lines", id="folded"),
        pytest.param(b"a\x00b", "a\ufffdb", id="nul"),
        pytest.param(b"=?utf-8?B?broken", "=?utf-8?B?broken", id="word-without-an-end"),
        pytest.param(b"=?utf-8?Q?What??=", "What?", id="question-mark-within-a-word"),
        pytest.param(b"", "", id="empty"),
    ],
)
def test_subjects_are_decoded(raw: bytes, subject: str) -> None:
    """RFC 2047, and what programs send instead of it."""
    assert envelope(b"Subject: " + raw + b"\r\n\r\nbody").subject == subject


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"From: a@b\r\nSubject: hi\r\n\r\nbody", id="crlf"),
        pytest.param(b"From: a@b\nSubject: hi\n\nbody", id="lf"),
        pytest.param(b"From: a@b\rSubject: hi\r\rbody", id="cr"),
        pytest.param(b"From: a@b\r\nSubject: hi", id="header-only-without-line-end"),
        pytest.param(b"From MAILER Thu Jan  1 00:00:00 1970\nFrom: a@b\nSubject: hi\n\n", id="mbox-line"),
        pytest.param(b">From x y\r\nFrom: a@b\r\nSubject: hi\r\n\r\n", id="quoted-mbox-line"),
        pytest.param(b"from : a@b\r\nSUBJECT:hi\r\n\r\n", id="case-and-blanks"),
        pytest.param(b"From: a@b\r\njunk without a colon\r\nSubject: hi\r\n\r\n", id="junk-line-within"),
        pytest.param(b"From: a@b\r\nSubject: hi\r\nSubject: second\r\nFrom: c@d\r\n\r\n", id="twice: the first counts"),
        pytest.param(b"X: " + b"y" * 300_000 + b"\r\nFrom: a@b\r\nSubject: hi\r\n\r\n", id="line-of-300-kB-before"),
    ],
)
def test_headers_are_found_however_they_are_written(octets: bytes) -> None:
    """Line ends, order and junk are no reason to show nothing."""
    found = envelope(octets)
    assert (found.sender, found.subject) == ("a@b", "hi")


@pytest.mark.parametrize(
    "octets", [b"", b"\r\n", b"\n\nSubject: no", b"just text\nSubject: no\n\n", b"\x00\x01\x02", b"\xff" * 100]
)
def test_octets_without_a_header_have_an_empty_envelope(octets: bytes) -> None:
    """What stands in the body is no header."""
    assert envelope(octets).subject == ""


def test_recipients_are_to_cc_and_bcc() -> None:
    """Sent mail has a Bcc; empty fields leave no comma behind."""
    octets = b"To: a@b,\r\n c@d\r\nCc:\r\nBcc: =?utf-8?Q?J=C3=B6rg?= <e@f>\r\n\r\n"
    assert envelope(octets).recipients == "a@b, c@d, Jörg <e@f>"


def test_message_id_is_what_stands_in_brackets() -> None:
    """Comments and folds around it are not part of it; without brackets it is taken as it stands."""
    assert envelope(b"Message-ID: (x) <a\r\n b@c> y\r\n\r\n").message_id == "<ab@c>"
    assert envelope(b"Message-ID: a.b.c\r\nIn-Reply-To: <d@e>\r\n\r\n").in_reply_to == "<d@e>"
    assert envelope(b"Message-ID: a.b.c\r\n\r\n").message_id == "a.b.c"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("Mon, 1 Jan 2024 10:00:00 +0100", datetime(2024, 1, 1, 9, tzinfo=UTC), id="rfc-5322"),
        pytest.param("1 Jan 2024 10:00 GMT", datetime(2024, 1, 1, 10, tzinfo=UTC), id="no-weekday-no-seconds"),
        pytest.param("Mon, 01 Jan 24 10:00:00 PST", datetime(2024, 1, 1, 18, tzinfo=UTC), id="old-year-and-zone"),
        pytest.param("Mon, 1 Jan 2024 10:00:00 -0000", datetime(2024, 1, 1, 10, tzinfo=UTC), id="unknown-zone"),
        pytest.param("Mon, 1 Jan 2024 10:00:00 +0100 (CET)", datetime(2024, 1, 1, 9, tzinfo=UTC), id="comment"),
        pytest.param("2024-01-01T10:00:00+01:00", datetime(2024, 1, 1, 9, tzinfo=UTC), id="iso-8601"),
        pytest.param("Mon, 1 Jan 2024 23:59:60 +0000", datetime(2024, 1, 1, 23, 59, 59, tzinfo=UTC), id="leap-second"),
        pytest.param("", None, id="empty"),
        pytest.param("yesterday", None, id="words"),
        pytest.param("Mon, 32 Jan 2024 10:00:00 +0100", None, id="no-such-day"),
        pytest.param("Mon, 1 Jan 1969 10:00:00 +0000", None, id="before-1970"),
        pytest.param("Fri, 31 Dec 9999 23:00:00 -0900", None, id="beyond-the-calendar"),
    ],
)
def test_dates_are_in_utc_or_none(text: str, moment: datetime | None) -> None:
    """RFC 5322 §3.3 and §4.3, or nothing."""
    assert date_of(text.encode()) == moment


def test_a_long_header_is_cut_and_the_next_is_found() -> None:
    """A bound on one value does not hide the others."""
    found = envelope(b"To: " + b"a@b, " * 60_000 + b"\r\nSubject: hi\r\n\r\n")
    assert found.subject == "hi"
    assert len(found.recipients) <= MAX_VALUE_BYTES
