"""Notices of Exchange are told from mail (trap 45)."""

import pytest

from archivmail.decide.substitutes import MAX_SUBSTITUTE_BYTES, is_substitute

HEAD = (
    b"MIME-Version: 1.0\r\nFrom: Microsoft Exchange Server 2010\r\nTo: A B <a@example.com>\r\n"
    b"Subject: Retrieval using the IMAP4 protocol failed for the following\r\n message: 20004\r\n"
)
BODY = b"\r\nThe server couldn't retrieve the following message:\r\n"
NOTICE = HEAD + BODY


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(NOTICE, id="exchange-2010"),
        pytest.param(NOTICE.replace(b" 2010", b""), id="without-a-year"),
        pytest.param(
            NOTICE.replace(b"Microsoft Exchange Server 2010", b'"Microsoft Exchange Server" <x@y>'), id="quoted"
        ),
        pytest.param(NOTICE.replace(b"\r\n message", b" message"), id="not-folded"),
        pytest.param(NOTICE.replace(b"\r\n", b"\n"), id="bare-lf"),
        pytest.param(HEAD, id="header-alone"),
    ],
)
def test_a_notice_is_recognised(octets: bytes) -> None:
    """Trap 45: in the forms that were reported."""
    assert is_substitute(octets)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"Subject: hello\r\n\r\nworld\r\n", id="mail"),
        pytest.param(b"Received: from a by b\r\n" + NOTICE, id="sent-on"),
        pytest.param(b"Message-ID: <1@x>\r\n" + NOTICE, id="with-an-id"),
        pytest.param(NOTICE.replace(b"Microsoft Exchange Server 2010", b"Alice <a@example.com>"), id="of-a-person"),
        pytest.param(NOTICE.replace(b"Subject: R", b"Subject: FW: R"), id="forwarded"),
        pytest.param(b"From: a\r\nSubject: help\r\n\r\n" + NOTICE, id="quoted-in-the-text"),
        pytest.param(NOTICE + b"x" * MAX_SUBSTITUTE_BYTES, id="too-large"),
    ],
)
def test_mail_is_no_notice(octets: bytes) -> None:
    """Trap 45: what quotes a notice, asks about one or forwards one is mail and is archived."""
    assert not is_substitute(octets)
