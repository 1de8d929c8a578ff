"""status, search, show, audit, verify, rebuild: what they print, and what they end with."""

import hashlib
import json
import re
import sqlite3
from pathlib import Path

import pytest

from tests.archive.builders import ALICE, archive_in, begin, content_id, fetched
from tests.cli.conftest import ROOT
from tests.cli.program import archivmail, process, process_nobody_reads

MAIL = ROOT / "examples" / "mail"
ODD = MAIL / "INBOX" / "07-raw-8bit-bare-lf-no-final-newline.eml"
READING = [["status"], ["search", "x"], ["show", "abcdef"], ["verify"], ["audit"]]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("arguments", READING, ids=lambda value: value[0])
def test_reading_an_archive_that_is_not_there_creates_nothing(arguments: list[str], tmp_path: Path) -> None:
    """Exit code 3, one sentence, and no folder made by looking."""
    ended = archivmail(*arguments, "--archive", tmp_path / "none")

    assert (ended.code, ended.out) == (3, b"")
    assert len(ended.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", READING, ids=lambda value: value[0])
def test_the_archive_may_be_named_by_the_environment(arguments: list[str], tmp_path: Path) -> None:
    """ARCHIVMAIL_ARCHIVE; the option after the command's name wins over it."""
    ended = archivmail(*arguments, ARCHIVMAIL_ARCHIVE=str(tmp_path / "from-environment"))

    assert "from-environment" in ended.err


@pytest.mark.parametrize("arguments", READING, ids=lambda value: value[0])
def test_a_catalog_newer_than_the_program_is_left_alone(arguments: list[str], archive: Path) -> None:
    """An older program must not touch what a newer one wrote: exit code 3, and what to do."""
    _bring_from_the_future(archive)
    ended = archivmail(*arguments, "--archive", archive)

    assert (ended.code, ended.out) == (3, b""), ended
    assert "newer" in ended.err


def test_rebuild_takes_the_place_of_a_catalog_that_cannot_be_read(archive: Path) -> None:
    """The packs are what counts: whatever the catalog is, rebuild makes one that this program reads."""
    _bring_from_the_future(archive)

    assert archivmail("rebuild", "--archive", archive).code == 0
    assert archivmail("verify", "--full", "--archive", archive).code == 0


def _bring_from_the_future(archive: Path) -> None:
    connection = sqlite3.connect(archive / "catalog.db")
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999_from_the_future'")
    connection.close()


@pytest.mark.parametrize("url", ["s4://bucket", "gopher://x", "file://"])
def test_an_archive_url_of_no_known_kind_is_a_usage_error(url: str) -> None:
    """Exit code 2, and the sentence names the URL."""
    ended = archivmail("status", "--archive", url)

    assert (ended.code, ended.out) == (2, b"")
    assert "Traceback" not in ended.err


# --- status ----------------------------------------------------------------------------------------------------------


def test_status_has_exactly_the_keys_of_the_design(filled: Path) -> None:
    """Design §3.2, `--json`: programs rely on the names."""
    ended = archivmail("status", "--json", "--archive", filled)

    document = json.loads(ended.out)
    assert ended.code == 0
    assert set(document) == {
        "namespace", "name", "complete", "lastResult", "lastSyncTime", "messages", "conditions", "folders",
    }  # fmt: skip
    assert document["complete"] is True
    assert document["lastResult"] == "Succeeded"
    assert document["messages"] == {"server": 17, "archived": 17, "pending": 0, "quarantined": 0}
    assert {"Ready", "Complete"} <= {each["type"] for each in document["conditions"]}
    folder = next(each for each in document["folders"] if each["name"] == "INBOX")
    assert set(folder) == {"name", "uidValidity", "lastUID", "server", "archived", "pending", "quarantined"}
    assert (folder["server"], folder["archived"], folder["lastUID"]) == (11, 11, 111)


def test_status_for_people_lists_every_folder(filled: Path) -> None:
    """One line on the account, then a table."""
    ended = archivmail("status", "--archive", filled)

    lines = ended.text.splitlines()
    assert lines[0] == "team-a/alice: complete, 17 of 17 messages archived"
    assert any(
        line.split() == ["FOLDER", "SERVER", "ARCHIVED", "PENDING", "QUARANTINED", "LAST", "PASS"] for line in lines
    )
    assert any(line.startswith("旅行 ") for line in lines)
    assert "\x1b" not in ended.text


@pytest.mark.parametrize("arguments", [["status"], ["search", "x"]], ids=lambda value: value[0])
def test_an_unknown_account_is_a_usage_error(arguments: list[str], filled: Path) -> None:
    """The sentence names those that there are."""
    ended = archivmail(*arguments, "-a", "bob", "--archive", filled)

    assert ended.code == 2
    assert "team-a/alice" in ended.err


# --- search ----------------------------------------------------------------------------------------------------------


def test_search_has_exactly_the_keys_of_the_design(filled: Path) -> None:
    """Design §3.2, `--json`."""
    ended = archivmail("search", "subject:invoice", "has:attachment", "--json", "--archive", filled)

    [document] = [json.loads(line) for line in ended.text.splitlines()]
    assert set(document) == {
        "id", "namespace", "account", "folder", "uidValidity", "uid", "date", "from", "to", "subject", "size",
    }  # fmt: skip
    assert document["id"] == sha256(MAIL / "INBOX" / "03-invoice-with-attachments.eml")
    assert document["date"] == "2026-03-06T16:41:22Z"
    assert (document["folder"], document["uid"]) == ("INBOX", 103)


def test_both_messages_of_one_message_id_are_found(filled: Path) -> None:
    """Invariant 2: a Message-ID is no reason to drop a message. Newest first."""
    ended = archivmail("search", "from:ines", "subject:minutes", "--json", "--archive", filled)

    found = [json.loads(line)["id"] for line in ended.text.splitlines()]
    assert found == [
        sha256(MAIL / "INBOX" / "06-minutes-corrected-same-message-id.eml"),
        sha256(MAIL / "INBOX" / "05-minutes.eml"),
    ]


@pytest.mark.parametrize("query", ["夜行列車", "subject:宿", "folder:旅行", "Grüße", "creme"])
def test_any_script_is_found(query: str, filled: Path) -> None:
    """ISO-2022-JP, raw ISO-8859-1, RFC 2047 words, a folder of another script; accents do not matter."""
    assert len(archivmail("search", query, "--json", "--archive", filled).text.splitlines()) == 1


def test_a_table_shows_short_ids_that_show_takes(filled: Path) -> None:
    """What search prints is what show wants."""
    table = archivmail("search", "potatoes", "--archive", filled).text.splitlines()
    short = table[1].split()[0]

    assert len(table) == 2
    assert archivmail("show", short, "--archive", filled).code == 0


def test_no_match_is_said_on_standard_error(filled: Path) -> None:
    """Done and complete: nothing is not a failure."""
    ended = archivmail("search", "zeppelin", "--archive", filled)

    assert (ended.code, ended.out) == (0, b"")
    assert "no message matches" in ended.err


def test_the_limit_is_said(filled: Path) -> None:
    """Whoever sees only a part should know it."""
    ended = archivmail("search", "alice", "--limit", "2", "--json", "--archive", filled)

    assert len(ended.text.splitlines()) == 2
    assert "--limit" in ended.err


def test_pages_follow_one_another(filled: Path) -> None:
    """Each page ends with the token of the next; together they are the whole, once."""
    whole = archivmail("search", "alice", "--json", "--archive", filled).text.splitlines()
    seen: list[str] = []
    token: list[str] = []
    while len(seen) < len(whole):
        ended = archivmail("search", "alice", "--limit", "3", *token, "--json", "--archive", filled)
        seen += ended.text.splitlines()
        token = re.findall(r"--page \S+", ended.err)[0].split() if "--page" in ended.err else ["--page", "0-0"]

    assert len(whole) > 6
    assert seen == whole
    assert archivmail("search", "alice", "--page", "0-0", "--archive", filled).out == b""


@pytest.mark.parametrize("token", ["", "x", "1", "1-", "-1-1", "1-1-1", "f" * 16 + "-1"])
def test_a_page_that_is_none_is_a_usage_error(token: str, filled: Path) -> None:
    """Exit code 2."""
    ended = archivmail("search", "alice", "--page", token, "--archive", filled)

    assert (ended.code, ended.out) == (2, b"")


@pytest.mark.parametrize(
    ("query", "line"),
    [("potatoes", "potatoes"), ("夜行列車", "夜行列車"), ("creme", "crème")],
    ids=["ascii", "japanese", "accent"],
)
def test_a_snippet_shows_where_the_words_stand(query: str, line: str, filled: Path) -> None:
    """Under the row; off a terminal only when it is asked for."""
    lines = archivmail("search", query, "--snippets", "--archive", filled).text.splitlines()

    assert len(lines) == 3
    assert lines[2].startswith("    ")
    assert line in lines[2].lower()
    assert len(archivmail("search", query, "--archive", filled).text.splitlines()) == 2


def test_a_query_that_cannot_be_read_is_a_usage_error(filled: Path) -> None:
    """The sentence shows the right form."""
    ended = archivmail("search", "before:yesterday", "--archive", filled)

    assert (ended.code, ended.out) == (2, b"")
    assert "before:" in ended.err


@pytest.mark.parametrize("command", [["search", "a"], ["status"], ["audit"], ["crd"], ["verify"]], ids=lambda x: x[0])
def test_a_closed_pipe_gives_no_traceback(command: list[str], filled: Path) -> None:
    """`archivmail search … | head` ends quietly and well."""
    ended = process_nobody_reads(*command, *([] if command == ["crd"] else ["--archive", filled]))

    assert (ended.code, ended.err) == (0, "")


# --- show ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(MAIL.rglob("*.eml")), ids=lambda path: path.stem)
def test_raw_octets_come_out_exactly(path: Path, filled: Path) -> None:
    """Invariant 3, through a pipe: bare LF, 8-bit, no final newline, nothing added."""
    ended = archivmail("show", sha256(path)[:16], "--raw", "--archive", filled)

    assert ended.code == 0
    assert ended.out == path.read_bytes()


def test_raw_octets_pass_a_real_pipe(filled: Path) -> None:
    """The same for a process: no text layer between the archive and the pipe."""
    assert process("show", sha256(ODD), "--raw", "--archive", filled).out == ODD.read_bytes()


def test_a_message_is_shown_with_its_headers_text_and_attachments(filled: Path) -> None:
    """Decoded for people."""
    ended = archivmail("show", sha256(MAIL / "INBOX" / "03-invoice-with-attachments.eml"), "--archive", filled)

    assert "In: team-a/alice INBOX, UID 103 of UIDVALIDITY" in ended.text
    assert "Subject: Invoice 2026-031\n" in ended.text
    assert "48.50 €" in ended.text
    assert "items (März).csv" in ended.text
    assert "JVBERi0" not in ended.text


def test_a_message_in_two_folders_is_stored_once_and_says_both(filled: Path) -> None:
    """Invariant 2: a second sighting adds a placement."""
    ended = archivmail("show", sha256(MAIL / "Sent" / "01-copy-to-myself.eml"), "--archive", filled)

    assert [line.split(",")[0] for line in ended.text.splitlines() if line.startswith("In: ")] == [
        "In: team-a/alice INBOX",
        "In: team-a/alice Sent",
    ]


def test_html_is_shown_as_text_and_its_scripts_are_not(filled: Path) -> None:
    """Mail of strangers is read, not run."""
    ended = archivmail("show", sha256(MAIL / "INBOX" / "02-seed-catalogue-html-only.eml"), "--archive", filled)

    assert "Tomatoes, 12 sorts" in ended.text
    assert "<p>" not in ended.text
    assert "never shown" not in ended.text


@pytest.mark.parametrize(
    ("message_id", "words"),
    [("ffffffffffff", "ffffffffffff"), ("xyz", "xyz"), ("a", "a")],
    ids=["unknown", "no-hex", "short"],
)
def test_an_id_that_names_no_message_is_a_usage_error(message_id: str, words: str, filled: Path) -> None:
    """Exit code 2, and the sentence names what was asked for."""
    ended = archivmail("show", message_id, "--archive", filled)

    assert (ended.code, ended.out) == (2, b"")
    assert words in ended.err
    assert "Traceback" not in ended.err


# --- verify, rebuild, audit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [[], ["--full"]], ids=["quick", "full"])
def test_a_sound_archive_is_verified(how: list[str], filled: Path) -> None:
    """Exit code 0 and the numbers, with exactly the keys of the design."""
    ended = archivmail("verify", *how, "--json", "--archive", filled)

    assert ended.code == 0, ended.err
    document = json.loads(ended.out)
    assert set(document) == {"packs", "messages", "bytes", "missing", "corrupt", "orphans"}
    octets = {sha256(path): path.stat().st_size for path in MAIL.rglob("*.eml")}
    assert (document["messages"], document["bytes"]) == (len(octets), sum(octets.values()))
    assert (document["missing"], document["corrupt"], document["orphans"]) == ([], [], [])


def test_a_flipped_octet_is_found_and_named(archive: Path) -> None:
    """Exit code 1: done, but something is damaged, and it says what."""
    [pack] = archive.rglob("*.tar.zst")
    octets = bytearray(pack.read_bytes())
    octets[len(octets) // 3] ^= 0xFF
    pack.chmod(0o600)
    pack.write_bytes(octets)
    ended = archivmail("verify", "--full", "--archive", archive)

    assert ended.code == 1
    assert pack.name in ended.text
    assert "Traceback" not in ended.err


def test_a_lost_pack_is_found_and_named(archive: Path) -> None:
    """The catalog knows what should be there."""
    [pack] = archive.rglob("*.tar.zst")
    pack.unlink()
    ended = archivmail("verify", "--json", "--archive", archive)

    assert ended.code == 1
    assert json.loads(ended.out)["missing"]


def test_the_catalog_comes_back_from_the_packs_alone(archive: Path) -> None:
    """Invariant 6: remove the catalog, rebuild, and the same is found."""
    before = archivmail("search", "alice", "--json", "--archive", archive).text
    for path in archive.glob("catalog.db*"):
        path.unlink()
    ended = archivmail("rebuild", "--archive", archive)

    assert ended.code == 0, ended.err
    assert archivmail("search", "alice", "--json", "--archive", archive).text == before
    assert archivmail("verify", "--full", "--archive", archive).code == 0


def test_an_empty_audit_trail_is_said(filled: Path) -> None:
    """Nothing on standard output that a program would have to understand."""
    ended = archivmail("audit", "-a", "nobody", "--json", "--archive", filled)

    assert (ended.code, ended.out) == (0, b"")
    assert "no entry" in ended.err


def test_a_message_that_was_put_together_is_shown_as_such(tmp_path: Path) -> None:
    """trap 44: it is not proven byte for byte, and whoever reads it is told."""
    octets = b"Subject: a\r\n\r\nb\r\n"
    with archive_in(tmp_path) as archive:
        writer = archive.take(ALICE)
        writer.store(begin(writer), fetched(3, octets, assembled="header+text"))
        writer.checkpoint()
        writer.close()

    ended = archivmail("show", content_id(octets).hex(), "--archive", tmp_path)

    assert "put together from header and text: not proven" in ended.text
