"""upkeep, stats, erase: what they do to an archive, what they print, and what they end with."""

import json
from pathlib import Path

import pytest

from archivmail.archive.opening import open_archive
from archivmail.model.retention import Policy
from tests.archive.builders import ALICE
from tests.archive.keeping.mailboxes import YEAR, days_ago, files_with, octets_of, run, runs
from tests.cli.program import archivmail


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """An archive of one account: twelve small packs, nine messages, indexed."""
    path = tmp_path / "packed"
    with open_archive(str(path), create=True) as archive:
        runs(archive, 9)
        while archive.drain_index():
            pass
    return path


def _policy(path: Path, policy: Policy) -> None:
    with open_archive(str(path), create=False) as archive:
        archive.set_policy(ALICE, policy, by="tests")


def _packs(path: Path) -> int:
    return len(list((path / "packs").rglob("*.tar.zst")))


# --- upkeep ----------------------------------------------------------------------------------------------------------


def test_upkeep_merges_and_leaves_the_old_packs_for_a_day(packed: Path) -> None:
    """A line for each thing done; then they go, with --grace 0s at once."""
    ended = archivmail("upkeep", "--archive", packed)
    assert ended.code == 0, ended
    assert ended.text.startswith("team-a/alice: 12 packs (")
    assert _packs(packed) == 13

    assert "12 packs" in archivmail("upkeep", "--grace", "0s", "--archive", packed).text
    assert _packs(packed) == 1
    assert archivmail("upkeep", "--archive", packed).text == "team-a/alice: nothing to do\n"
    assert archivmail("verify", "--full", "--archive", packed).code == 0


def test_a_dry_run_of_upkeep_tells_and_does_nothing(packed: Path) -> None:
    """In JSON with the keys of the reference."""
    ended = archivmail("upkeep", "--dry-run", "--json", "--archive", packed)

    document = json.loads(ended.out)
    assert document.pop("rewritten")["packs"] == 12
    assert document == {
        "namespace": "team-a",
        "name": "alice",
        "dryRun": True,
        "done": True,
        "expired": {"messages": 0, "bytes": 0},
        "removed": {"packs": 0, "bytes": 0},
        "adopted": 0,
        "damaged": [],
    }
    assert _packs(packed) == 12


def test_upkeep_removes_what_is_past_its_time(packed: Path) -> None:
    """By what the resource said last."""
    with open_archive(str(packed), create=False) as archive:
        run(archive, {50: (b"Subject: old\r\n\r\noldmarker\r\n", days_ago(400))})
    _policy(packed, YEAR)
    ended = archivmail("upkeep", "--thorough", "--grace", "0s", "--archive", packed)

    assert "1 message (27 B) past the time to keep them removed" in ended.text
    assert files_with(packed / "packs", b"oldmarker") == []
    trail = archivmail("audit", "--archive", packed).text
    assert "message_removed" in trail
    assert "why=expired" in trail


def test_a_busy_account_is_left_out(packed: Path) -> None:
    """Exit code 1: run it again."""
    with open_archive(str(packed), create=False) as archive:
        writer = archive.take(ALICE)
        ended = archivmail("upkeep", "--archive", packed)
        writer.close()

    assert ended.code == 1
    assert "being archived just now" in ended.err


@pytest.mark.parametrize("grace", ["1d", "-1h", ""])
def test_a_grace_that_is_no_duration_is_a_usage_error(packed: Path, grace: str) -> None:
    """Exit code 2, and how to write it."""
    ended = archivmail("upkeep", f"--grace={grace}", "--archive", packed)
    assert (ended.code, ended.out) == (2, b"")
    assert "24h" in ended.err


# --- stats -----------------------------------------------------------------------------------------------------------


def test_stats_count_what_is_there(packed: Path) -> None:
    """Per account and in sum; both in JSON."""
    account, total = [json.loads(line) for line in archivmail("stats", "--json", "--archive", packed).text.splitlines()]

    raw = sum(len(octets_of(number)) for number in range(1, 10))
    stored = sum(path.stat().st_size for path in (packed / "packs").rglob("*.tar.zst"))
    assert (account["namespace"], account["name"]) == ("team-a", "alice")
    assert {key: account[key] for key in ("messages", "places", "packs", "rawBytes", "storedBytes")} == {
        "messages": 9,
        "places": 12,
        "packs": 12,
        "rawBytes": raw,
        "storedBytes": stored,
    }
    assert account["ratio"] == round(stored / raw, 4)
    assert total["total"]["indexBacklog"] == 0
    assert total["total"]["indexBytes"] > 0
    assert total["total"]["messages"] == 9


def test_stats_for_people_are_a_table(packed: Path) -> None:
    """With a line for the sum and one for the index."""
    lines = archivmail("stats", "--archive", packed).text.splitlines()
    assert lines[0].split() == [
        "ACCOUNT", "MESSAGES", "PLACES", "PACKS", "RAW", "STORED", "RATIO", "OLDEST", "NEWEST",
    ]  # fmt: skip
    assert lines[1].split()[:4] == ["team-a/alice", "9", "12", "12"]
    assert lines[2].split()[:4] == ["total", "9", "12", "12"]
    assert lines[3].startswith("text index: ")


# --- erase -----------------------------------------------------------------------------------------------------------


def _id(packed: Path, word: str) -> str:
    document = json.loads(archivmail("search", word, "--json", "--archive", packed).out)
    return str(document["id"])


def test_erase_by_id_takes_every_trace(packed: Path) -> None:
    """Subject and text are in no file; the trail has the reason; the archive is sound."""
    assert files_with(packed, b"text7") != []
    ended = archivmail("erase", _id(packed, "text7")[:12], "--reason", "order 7", "--yes", "--archive", packed)

    assert ended.code == 0, ended
    assert ended.text.startswith("team-a/alice: 1 message in 1 place (")
    assert files_with(packed, b"text7") == []
    assert archivmail("search", "text7", "--archive", packed).text == ""
    assert archivmail("verify", "--full", "--archive", packed).code == 0
    assert archivmail("audit", "--verify", "--archive", packed).code == 0
    assert "reason=order 7" in archivmail("audit", "--archive", packed).text


def test_erase_by_query_shows_first_what_would_go(packed: Path) -> None:
    """--dry-run changes nothing."""
    arguments = ["erase", "--query", "subject:number", "--reason", "x", "--json", "--archive", packed]
    document = json.loads(archivmail(*arguments, "--dry-run").out)
    assert (len(document["ids"]), document["places"], document["dryRun"]) == (9, 12, True)
    assert _packs(packed) == 12

    document = json.loads(archivmail(*arguments, "--yes").out)
    assert (len(document["ids"]), document["dryRun"], document["unread"]) == (9, False, [])
    assert json.loads(archivmail("stats", "--json", "--archive", packed).text.splitlines()[0])["messages"] == 0


def test_erase_under_hold_is_refused(packed: Path) -> None:
    """Exit code 2, with a sentence that says what to do."""
    content = _id(packed, "text7")
    _policy(packed, Policy(hold=True))
    ended = archivmail("erase", content, "--reason", "x", "--yes", "--archive", packed)

    assert (ended.code, ended.out) == (2, b"")
    assert "under hold" in ended.err
    assert files_with(packed, b"text7") != []


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["text7", "--reason", "x", "--yes"], id="no-id"),
        pytest.param(["0123456789ab", "--reason", "x", "--yes"], id="unknown-id"),
        pytest.param(["--query", "nosuchword", "--reason", "x", "--yes"], id="nothing-found"),
        pytest.param(["--query", "text7", "--yes"], id="no-reason"),
        pytest.param(["--query", "text7", "--reason", " ", "--yes"], id="empty-reason"),
        pytest.param(["--query", "text7", "--reason", "x" * 501, "--yes"], id="long-reason"),
        pytest.param(["--query", "text7", "--reason", "x"], id="nobody-to-ask"),
        pytest.param(["--query", "text7", "--reason", "x", "--yes", "-a", "bob"], id="unknown-account"),
        pytest.param(["--reason", "x", "--yes"], id="nothing-named"),
    ],
)
def test_erase_without_what_it_needs_is_a_usage_error(packed: Path, arguments: list[str]) -> None:
    """Exit code 2; nothing is touched."""
    ended = archivmail("erase", *arguments, "--archive", packed)

    assert (ended.code, ended.out) == (2, b""), ended
    assert _packs(packed) == 12
    assert files_with(packed, b"text7") != []


# --- the audit trail -------------------------------------------------------------------------------------------------


def test_an_export_is_in_the_trail(packed: Path, tmp_path: Path) -> None:
    """How much, by whom, and that it was a selection; not the words of the query."""
    archivmail("export", "subject:number", "--format", "eml", "--output", tmp_path / "out", "--archive", packed)

    (line,) = archivmail("audit", "--json", "--archive", packed).text.splitlines()
    entry = json.loads(line)
    assert entry["kind"] == "export"
    assert entry["facts"].pop("by").startswith("archivmail export (")
    assert entry["facts"].pop("octets") > 0
    assert entry["facts"] == {"format": "eml", "messages": 12, "failed": 0, "isSelection": True}


@pytest.mark.parametrize("query", ["", "   "])
def test_erase_by_an_empty_query_is_refused(packed: Path, query: str) -> None:
    """A variable of a script that is not set must not mean every message."""
    ended = archivmail("erase", "--query", query, "--reason", "file 7", "--yes", "--archive", packed)
    assert ended.code == 2
    assert "empty" in ended.err
    assert json.loads(archivmail("stats", "--json", "--archive", packed).text.splitlines()[-1])["total"]["messages"]


def test_absurd_dates_do_not_stop_a_search(packed: Path) -> None:
    """One message with the year 9999 or 1 must not hide all others, at any place of the world."""
    dates = ("31-Dec-9999 23:59:59 -0100", "01-Jan-0001 00:00:00 +0100", "31-Dec-9999 23:00:00 +0000")
    with open_archive(str(packed), create=False) as archive:
        mails = {uid: (b"Subject: absurd %d\r\n\r\nzxqdate\r\n" % uid, date) for uid, date in enumerate(dates, 501)}
        run(archive, mails)
        while archive.drain_index():
            pass
    for how in ((), ("--json",)):
        ended = archivmail("search", "zxqdate", *how, "--archive", packed)
        assert (ended.code, ended.text.count("absurd")) == (0, len(dates))
    shown = archivmail("export", "zxqdate", "--format", "mbox", "--output", packed.parent / "out", "--archive", packed)
    assert shown.code == 0


def test_a_limit_beyond_all_numbers_is_a_usage_error(packed: Path) -> None:
    """Not an error inside."""
    assert archivmail("search", "text1", "--limit", "9" * 20, "--archive", packed).code == 2


def test_rebuild_refuses_a_place_without_packs(tmp_path: Path) -> None:
    """A typo in --archive must not leave an empty catalog, least of all in the place of a full one."""
    ended = archivmail("rebuild", "--archive", tmp_path)
    assert (ended.code, list(tmp_path.iterdir())) == (3, [])
    assert "no packs" in ended.err
