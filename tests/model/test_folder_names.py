"""Folder names are shown to people without ever failing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.model.foldernames import display, encode


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param(b"INBOX", "INBOX", id="ascii"),
        pytest.param(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語", id="rfc-3501-example"),
        pytest.param(b"R&-D", "R&D", id="ampersand"),
        pytest.param(b"&2D3cDw-", "🐏", id="beyond-the-basic-plane"),
        pytest.param(b"100% sure", "100% sure", id="percent"),
        pytest.param(b"", "", id="empty"),
    ],
)
def test_valid_names_are_decoded(raw: bytes, shown: str) -> None:
    """RFC 3501 §5.1.3."""
    assert display(raw) == shown
    assert encode(shown) == raw


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param(b"R&D-x", "R%26D-x", id="shift-that-is-no-base64"),
        pytest.param(b"a&b", "a%26b", id="shift-without-end"),
        pytest.param(b"Entw\xfcrfe", "Entw%FCrfe", id="latin-1"),
        pytest.param("Entwürfe".encode(), "Entw%C3%BCrfe", id="utf-8"),
        pytest.param(b"&2D0-", "%262D0-", id="half-a-surrogate-pair"),
        pytest.param(b"&AGF-", "%26AGF-", id="bits-left-over"),
        pytest.param(b"&AAo-", "%26AAo-", id="encoded-line-feed"),
        pytest.param(b"a\x1b[2Jb", "a%1B[2Jb", id="terminal-escape"),
        pytest.param(b"50%&", "50%25%26", id="percent-is-encoded-too"),
    ],
)
def test_invalid_names_are_percent_encoded(raw: bytes, shown: str) -> None:
    """trap 51, trap 52: a bad name is shown, never an error."""
    assert display(raw) == shown


@given(st.binary(max_size=60))
def test_any_octets_can_be_shown(raw: bytes) -> None:
    """Total, and nothing in it moves a terminal's cursor."""
    assert not any(char < " " or char == "\x7f" for char in display(raw))


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40))
def test_encoding_is_undone_by_display(name: str) -> None:
    """Every name without control characters survives the round trip."""
    assert display(encode(name)) == name
