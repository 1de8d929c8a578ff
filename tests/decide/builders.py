"""Valid values; a test names only what matters to it."""

from datetime import UTC, datetime, timedelta

from archivmail.model.account import AccountSpec
from archivmail.model.folder import FolderName
from archivmail.model.outcome import AccountOutcome, Failure, FolderOutcome, MessageCounts, Result
from archivmail.model.reasons import Reason
from archivmail.model.uidset import Uid, UidValidity

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
SPEC = AccountSpec(host="imap.example.org", port=993, secret_name="alice")


def a_folder(
    name: str = "INBOX", *, server: int = 3, archived: int = 3, quarantined: int = 0, **changes: object
) -> FolderOutcome:
    facts: dict[str, object] = {
        "uid_validity": UidValidity(7),
        "last_uid": Uid(server),
        "passed_at": NOW,
        "complete": archived == server,
        **changes,
    }
    counts = MessageCounts(server, archived, server - archived - quarantined, quarantined)
    return FolderOutcome(FolderName(name.encode()), name, counts, **facts)  # type: ignore[arg-type] - any field


def an_outcome(*folders: FolderOutcome, result: Result = Result.SUCCEEDED, **changes: object) -> AccountOutcome:
    facts: dict[str, object] = {
        "started_at": NOW - timedelta(seconds=42),
        "ended_at": NOW,
        "selected": len(folders),
        "secret_version": "48211",
        **changes,
    }
    return AccountOutcome(result, folders=folders, **facts)  # type: ignore[arg-type] - any field


def a_failure(reason: Reason = Reason.CONNECTION_FAILED, *, needs_user: bool = False) -> Failure:
    return Failure(reason, f"text of {reason}", needs_user=needs_user, stage="login")
