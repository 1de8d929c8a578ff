"""STATUS in its usual form is read by one pattern; whatever has another form, thoroughly. Both say the same."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archivmail.imap.replies import folder_status
from archivmail.imap.tokens import words
from archivmail.imap.usual import usual_status


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param(b"INBOX (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 1700000000)", b"INBOX", id="atom"),
        pytest.param(b'"Folder 001" (UIDVALIDITY 1700000000 MESSAGES 2 UIDNEXT 3)', b"Folder 001", id="quoted"),
        pytest.param(b'"" (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 1700000000 )', b"", id="trap-73-blank-at-the-end"),
        pytest.param(b'"\xe4" (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 1700000000)', b"\xe4", id="trap-52-raw-8-bit"),
    ],
)
def test_the_usual_form_is_read_at_once(text: bytes, name: bytes) -> None:
    """Names as atoms and quoted, items in any order."""
    assert usual_status(text) == (name, {b"MESSAGES": 2, b"UIDNEXT": 3, b"UIDVALIDITY": 1700000000})


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(rb'"a\"b" (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 4)', id="escaped"),
        pytest.param(b'"a"b" (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 4)', id="trap-76-quotes-amid-a-name"),
        pytest.param(b"a b (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 4)", id="trap-53-two-words"),
        pytest.param(b"INBOX (MESSAGES 2 UIDNEXT (3) UIDVALIDITY 4)", id="nested"),
        pytest.param(b"INBOX (MESSAGES 2 HIGHESTMODSEQ 12)", id="another-item"),
        pytest.param(b"INBOX (MESSAGES 222222222222222222222)", id="trap-15-beyond-64-bits"),
        pytest.param(b"INBOX (MESSAGES 2UIDNEXT 3)", id="no-blank-between"),
        pytest.param(b"INBOX", id="no-items"),
    ],
)
def test_another_form_is_left_to_the_thorough_reader(text: bytes) -> None:
    """Nothing is guessed."""
    assert usual_status(text) is None


_PIECES = st.sampled_from(
    [b"INBOX", b'"', b"(", b")", b" ", b"MESSAGES", b"UIDNEXT", b"UIDVALIDITY", b"7", b"\\", b"&"]
)


@given(st.lists(_PIECES, max_size=20).map(b"".join))
@example(b"INBOX (MESSAGES 1 MESSAGES 2)")
@example(b'"" (UIDNEXT 7)')
@example(b"INBOX (MESSAGES 7UIDNEXT 7)")
def test_both_readers_agree(text: bytes) -> None:
    """What the quick one reads, the thorough one reads in the same way."""
    quick = usual_status(text)
    assert quick is None or quick == folder_status(words(text))
