"""What `archivmail sync` says at the end: the code, the lines, the object."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from archivmail.cli import summary
from archivmail.model.account import AccountRef
from archivmail.model.folder import FolderName, LedgerEntry
from archivmail.model.outcome import AccountOutcome, Failure, FolderOutcome, MessageCounts, Result
from archivmail.model.reasons import Reason
from archivmail.model.uidset import Uid, UidValidity

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
ALICE = AccountRef("team-a", "alice")
INBOX = FolderOutcome(
    FolderName(b"INBOX"), "INBOX", MessageCounts(3, 3), UidValidity(7), last_uid=9, passed_at=NOW, complete=True
)
POISONED = replace(INBOX, counts=MessageCounts(3, 2, 1), complete=False)
ENTRY = LedgerEntry(Uid(8), 1, Reason.MESSAGE_REFUSED, "the server refused this message", NOW)
LEDGER = {INBOX.name: [ENTRY]}
DONE = AccountOutcome(Result.SUCCEEDED, NOW, NOW + timedelta(seconds=2), (INBOX,), selected=1)
LOST = Failure(Reason.CONNECTION_FAILED, "the connection to imap.example.org broke", stage="fetch")


def lines(outcome: AccountOutcome, ledger: summary.Ledgers | None = None) -> list[str]:
    return list(summary.lines(ALICE, outcome, ledger or {}))


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        pytest.param(DONE, 0, id="complete"),
        pytest.param(replace(DONE, folders=(), selected=0), 0, id="no-folder-selected"),
        pytest.param(replace(DONE, folders=(POISONED,)), 1, id="poison-uid"),
        pytest.param(replace(DONE, folders=(replace(INBOX, limited=True),)), 1, id="limited-view"),
        pytest.param(replace(DONE, result=Result.PARTIAL), 1, id="partial"),
        pytest.param(replace(DONE, result=Result.INTERRUPTED), 1, id="interrupted"),
        pytest.param(
            replace(DONE, folders=(replace(INBOX, failure=Failure(Reason.FOLDER_REFUSED, "no")),)),
            1,
            id="refused-folder",
        ),
        pytest.param(replace(DONE, result=Result.FAILED, failure=LOST, added=5), 1, id="cut-after-a-part"),
        pytest.param(replace(DONE, result=Result.FAILED, failure=LOST), 3, id="cut-before-anything"),
        pytest.param(
            replace(DONE, result=Result.FAILED, folders=(), failure=Failure(Reason.AUTHENTICATION_FAILED, "no")),
            3,
            id="credentials-refused",
        ),
        pytest.param(
            replace(DONE, result=Result.FAILED, folders=(), failure=Failure(Reason.SECRET_KEY_MISSING, "no")),
            2,
            id="secret-key-missing",
        ),
    ],
)
def test_the_exit_code_tells_complete_from_incomplete_from_impossible(outcome: AccountOutcome, code: int) -> None:
    """Design §3.2: 0, 1, 2 and 3 as the fine print has them."""
    assert summary.exit_code_of_run(outcome) == code


def test_a_complete_run_is_one_line() -> None:
    """Counts, what was new, how long it took."""
    outcome = replace(DONE, added=2, fetched_bytes=4_200)

    assert lines(outcome) == ["team-a/alice: complete: 3 messages in 1 folder archived, 2 new (4.2 kB), 2.0 s"]


def test_a_run_without_new_mail_says_so() -> None:
    """The second sync of a quiet mailbox."""
    assert "nothing new" in lines(DONE)[0]


def test_what_is_not_archived_is_named_by_folder_uid_and_reason() -> None:
    """A person can look the message up and act."""
    said = lines(replace(DONE, folders=(POISONED,)), LEDGER)

    assert said[0].startswith("team-a/alice: not complete: 2 of 3 messages archived, 1 not archived")
    assert said[1] == "  not archived: INBOX UID 8: the server refused this message (MessageRefused, 1 attempt)"


def test_a_thousand_bad_messages_are_counted_after_the_first_hundred() -> None:
    """What grows has a bound."""
    entries = [replace(ENTRY, uid=Uid(uid)) for uid in range(1, 1001)]
    said = lines(replace(DONE, folders=(POISONED,)), {INBOX.name: entries})

    assert len(said) == 102
    assert "900 more" in said[-1]


def test_a_failed_session_gives_its_sentence() -> None:
    """Why, on the line below."""
    said = lines(replace(DONE, result=Result.FAILED, failure=LOST))

    assert said == [
        "team-a/alice: failed; nothing was archived in this run",
        "  the connection to imap.example.org broke",
    ]


def test_a_reset_and_a_limited_view_are_explained() -> None:
    """S14, and what a person can do about a provider's limit."""
    folder = replace(INBOX, reset_from=UidValidity(6), limited=True)
    said = lines(replace(DONE, folders=(folder,)))

    assert "UIDVALIDITY 6, now 7" in said[1]
    assert "shows only a part" in said[2]


def test_the_object_has_the_same_facts() -> None:
    """`sync --json`: one object, camelCase."""
    made = summary.document(ALICE, replace(DONE, folders=(POISONED,), added=2), LEDGER)

    assert made["complete"] is False
    assert made["messages"] == {"server": 3, "archived": 2, "pending": 1, "quarantined": 0}
    assert made["folders"] == [
        {
            "name": "INBOX",
            "uidValidity": 7,
            "lastUID": 9,
            "server": 3,
            "archived": 2,
            "pending": 1,
            "quarantined": 0,
            "added": 0,
            "complete": False,
            "failure": None,
            "notArchived": [
                {"uid": 8, "reason": "MessageRefused", "error": "the server refused this message", "attempts": 1}
            ],
        }
    ]
