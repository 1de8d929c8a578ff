"""Folder names on the wire, with the examples of the standard."""

from __future__ import annotations

import pytest

from tests.servers.imap_session import decoded_name, encoded_name, expanded, uid_sets

NAMES = [
    pytest.param("INBOX", b"INBOX", id="ascii"),
    pytest.param("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", id="rfc-3501-5.1.3"),
    pytest.param("Q & A", b"Q &- A", id="ampersand"),
    pytest.param("😀", b"&2D3eAA-", id="surrogates"),
]


@pytest.mark.parametrize(("name", "wire"), NAMES)
def test_names_are_modified_utf7_both_ways(name: str, wire: bytes) -> None:
    """Encoding gives the standard's octets; decoding gives the name back."""
    assert encoded_name(name) == wire
    assert decoded_name(wire) == name


def test_octets_are_sent_as_they_are() -> None:
    """A test can use a name that is no valid modified UTF-7."""
    assert encoded_name(b"&broken") == b"&broken"


def test_uid_sets_hold_exactly_the_uids() -> None:
    """Ranges are short and expand to what went in."""
    assert list(uid_sets([3, 1, 2, 7])) == [b"1:3,7:7"]
    assert [uid for part in uid_sets(range(1, 9000, 2)) for uid in expanded(part)] == list(range(1, 9000, 2))
