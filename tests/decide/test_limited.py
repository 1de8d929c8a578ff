"""Limited views are told from folders that happen to be large (trap 31)."""

import pytest

from archivmail.decide.limited import announced_limit, limit_in_force, view_limits

GMAIL = frozenset({"IMAP4REV1", "X-GM-EXT-1"})
PLAIN = frozenset({"IMAP4REV1", "IDLE"})


@pytest.mark.parametrize(
    ("host", "capabilities", "sizes", "limit"),
    [
        pytest.param("imap.gmail.com", GMAIL, [12, 1000, 1000], 1000, id="gmail-1000"),
        pytest.param("imap.gmail.com", GMAIL, [2000], 2000, id="gmail-2000"),
        pytest.param("imap.gmail.com", GMAIL, [5000, 4999], 5000, id="gmail-5000"),
        pytest.param("imap.gmail.com", GMAIL, [10000], 10000, id="gmail-10000"),
        pytest.param("imap.gmail.com", GMAIL, [999], None, id="gmail-below"),
        pytest.param("imap.gmail.com", GMAIL, [1000, 1001], None, id="gmail-a-larger-folder-proves-no-limit"),
        pytest.param("imap.gmail.com", GMAIL, [1000, 3000], None, id="gmail-1000-is-the-size-of-one-folder"),
        pytest.param("imap.mail.yahoo.com", PLAIN, [10000, 3], 10000, id="yahoo"),
        pytest.param("IMAP.mail.yahoo.com.", PLAIN, [10000], 10000, id="yahoo-written-otherwise"),
        pytest.param("imap.mail.yahoo.com", PLAIN, [9999], None, id="yahoo-below"),
        pytest.param("imap.mail.yahoo.com", PLAIN, [1000], None, id="yahoo-has-no-limit-there"),
        pytest.param("mail.yahoo.com.example.org", PLAIN, [10000], None, id="not-yahoo"),
        pytest.param("imap.example.org", PLAIN, [1000], None, id="ordinary-1000"),
        pytest.param("imap.example.org", PLAIN, [10000], None, id="ordinary-10000"),
        pytest.param("imap.example.org", PLAIN | {"MESSAGELIMIT=700"}, [700], 700, id="announced"),
        pytest.param("imap.example.org", PLAIN | {"MESSAGELIMIT=700"}, [701], None, id="announced-but-not-in-force"),
        pytest.param("imap.example.org", PLAIN, [], None, id="no-folder"),
    ],
)
def test_a_largest_folder_of_a_known_limit_is_a_limited_view(
    host: str, capabilities: frozenset[str], sizes: list[int], limit: int | None
) -> None:
    """trap 31: neither a false Complete nor a false LimitedView."""
    assert limit_in_force(view_limits(host, capabilities), sizes) == limit


@pytest.mark.parametrize(
    ("capabilities", "limit"),
    [
        (["MESSAGELIMIT=1000"], 1000),
        (["MESSAGELIMIT=x", "IDLE"], None),
        (["MESSAGELIMIT=0"], None),
        (["MESSAGELIMIT=" + "9" * 5000], None),
        (["MESSAGELIMIT=20", "MESSAGELIMIT=10"], 10),
    ],
)
def test_an_announced_limit_is_read_with_care(capabilities: list[str], limit: int | None) -> None:
    """RFC 9738 §4: a number; whatever else stands there is none."""
    assert announced_limit(capabilities) == limit
