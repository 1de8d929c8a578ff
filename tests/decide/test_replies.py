"""What answers of mail servers mean: RFC 5530 codes and the words seen instead (imap-traps §1.8)."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.decide.replies import LONGEST_HINT, Meaning, read, refuses_mechanism

# A row for each answer of imap-traps §1.8, in its order, and further forms that were seen.
ANSWERS = [
    ("UNAVAILABLE", "Temporary authentication failure.", Meaning.PASSING),
    ("INUSE", "", Meaning.PASSING),
    ("SERVERBUG", "", Meaning.PASSING),
    (None, "Internal error occurred. Refer to server log for more information.", Meaning.PASSING),
    ("UNAVAILABLE", "UID FETCH Server error while fetching messages", Meaning.PASSING),
    (None, "Server error while fetching messages", Meaning.PASSING),
    ("LIMIT", "UID FETCH Rate limit hit", Meaning.BUSY),
    (None, "UID FETCH Rate limit hit", Meaning.BUSY),
    ("THROTTLED", "", Meaning.BUSY),
    (None, "Lookup failed [THROTTLED]", Meaning.BUSY),
    ("OVERQUOTA", "Account exceeded command or bandwidth limits.", Meaning.QUOTA),
    ("OVERQUOTA", "", Meaning.QUOTA),
    (None, "Account exceeded command or bandwidth limits.", Meaning.QUOTA),
    (None, "Session expired, please login again.", Meaning.QUOTA),
    (None, "Request is throttled. Suggested Backoff Time: 299961 milliseconds", Meaning.BUSY),
    ("AUTHENTICATIONFAILED", "Invalid credentials (Failure)", Meaning.CREDENTIALS),
    ("EXPIRED", "", Meaning.CREDENTIALS),
    (None, "LOGIN failed.", Meaning.CREDENTIALS),
    ("ALERT", "Too many simultaneous connections. (Failure)", Meaning.CROWDED),
    ("UNAVAILABLE", "Maximum number of connections from user+IP exceeded", Meaning.CROWDED),
    (None, "Too many open connections (11 of 10 from host)", Meaning.CROWDED),
    ("CONTACTADMIN", "", Meaning.UNSUITABLE),
    ("PRIVACYREQUIRED", "", Meaning.UNSUITABLE),
    (None, "IMAP access is disabled for your domain.", Meaning.UNSUITABLE),
    ("NONEXISTENT", "Unknown Mailbox: x", Meaning.FOLDER),
    ("TRYCREATE", "", Meaning.FOLDER),
    ("NOPERM", "", Meaning.FOLDER),
    ("EXPUNGEISSUED", "", Meaning.GONE),
    ("ALERT", "Application-specific password required", Meaning.CREDENTIALS),
    ("ALERT", "Your mailbox moves tonight", Meaning.UNKNOWN),
    ("MESSAGELIMIT", "", Meaning.LIMITED),
    ("UIDREQUIRED", "", Meaning.LIMITED),
    # Besides the table.
    ("AUTHORIZATIONFAILED", "", Meaning.CREDENTIALS),
    ("WEBALERT", "Web login required.", Meaning.CREDENTIALS),
    ("CORRUPTION", "", Meaning.FOLDER),
    (None, "User is authenticated but not connected.", Meaning.CREDENTIALS),
    (None, "Session invalidated - AccessTokenExpired", Meaning.PASSING),
    (None, "", Meaning.UNKNOWN),
    ("SOMETHINGNEW", "no", Meaning.UNKNOWN),
    (None, "Mailbox doesn't exist", Meaning.UNKNOWN),
]


@pytest.mark.parametrize(("code", "text", "meaning"), ANSWERS)
def test_an_answer_means_what_the_table_says(code: str | None, text: str, meaning: Meaning) -> None:
    """Codes say more than words, but for limits that are told under a code of another meaning."""
    assert read(code, text).meaning is meaning


def test_a_hint_is_taken_at_its_word_within_a_day() -> None:
    """trap 88: 299961 milliseconds are 299.961 s; a year is a day."""
    assert read(None, "Suggested Backoff Time: 299961 milliseconds").retry_after == timedelta(milliseconds=299961)
    assert read("NONEXISTENT", "suggested backoff time: 31536000000 milliseconds").retry_after == LONGEST_HINT


@pytest.mark.parametrize(
    ("code", "text", "is_refused"),
    [
        (None, "Unsupported authentication mechanism.", True),
        ("CANNOT", "mechanism not supported", True),
        (None, "AUTHENTICATE PLAIN not allowed", True),
        ("AUTHENTICATIONFAILED", "unsupported mechanism", False),
        (None, "Authentication failed", False),
        (None, "LOGIN failed", False),
    ],
)
def test_a_refused_mechanism_is_told_from_refused_credentials(code: str | None, text: str, is_refused: bool) -> None:
    """Only the first may lead to a second attempt."""
    assert refuses_mechanism(code, text) is is_refused


@given(st.none() | st.text(max_size=10), st.text(max_size=300))
def test_every_answer_has_a_meaning(code: str | None, text: str) -> None:
    """Total."""
    assert read(code, text).meaning in Meaning
    assert refuses_mechanism(code, text) in {True, False}
