"""`archivmail sync` from the outside: streams, exit codes, what is in the archive afterwards."""

import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Pymap
from tests.cli.manifests import manifest
from tests.cli.program import COMMAND, archivmail, environment, process, process_nobody_reads


def test_a_mailbox_is_archived_completely_and_then_nothing_is_new(pymap: Pymap, tmp_path: Path) -> None:
    """The first run takes everything, the second finds nothing new; both are complete."""
    file = manifest(tmp_path, port=pymap.port)
    first = archivmail("sync", "-f", file, "--archive", tmp_path / "archive")
    second = archivmail("sync", "-f", file, "--archive", tmp_path / "archive")

    assert (first.code, second.code) == (0, 0), first.err + second.err
    assert first.text.startswith("team-a/alice: complete: 17 messages in 5 folders archived, 17 new (")
    assert second.text.startswith("team-a/alice: complete: 17 messages in 5 folders archived, nothing new")


def test_the_object_of_a_run_has_exactly_these_keys(pymap: Pymap, tmp_path: Path) -> None:
    """`--json`: one object per account, and nothing else on standard output."""
    ended = archivmail("sync", "--json", "-f", manifest(tmp_path, port=pymap.port), "--archive", tmp_path / "archive")

    document = json.loads(ended.out)
    assert set(document) == {
        "namespace", "name", "complete", "result", "failure", "added", "fetchedBytes", "messages", "folders",
    }  # fmt: skip
    assert document["messages"] == {"server": 17, "archived": 17, "pending": 0, "quarantined": 0}
    assert {each["name"] for each in document["folders"]} == {"INBOX", "Sent", "Drafts", "Lists/Tomatoes", "旅行"}


def test_folders_are_chosen_by_the_manifest(pymap: Pymap, tmp_path: Path) -> None:
    """The same `spec.folders` as in a cluster."""
    file = manifest(tmp_path, port=pymap.port, more_spec='  folders: {include: ["Lists/*", "旅行"]}')
    ended = archivmail("sync", "--json", "-f", file, "--archive", tmp_path / "archive")

    assert [each["name"] for each in json.loads(ended.out)["folders"]] == ["Lists/Tomatoes", "旅行"]


def test_a_suspended_account_is_skipped_with_a_note(tmp_path: Path) -> None:
    """Nothing is connected and nothing is created."""
    file = manifest(tmp_path, more_spec="  suspend: true")
    ended = archivmail("sync", "-f", file, "--archive", tmp_path / "archive")

    assert (ended.code, ended.out) == (0, b"")
    assert "team-a/alice: skipped, because it is suspended" in ended.err
    assert not (tmp_path / "archive").exists()


def test_one_bad_account_does_not_keep_the_others_out(pymap: Pymap, tmp_path: Path) -> None:
    """The exit code is the worst of all; the good account is archived."""
    bad = manifest(tmp_path, name="bob", secret="bob", port=_unused_port())
    good = manifest(tmp_path, port=pymap.port)
    ended = archivmail("sync", "-f", bad, "-f", good, "--archive", tmp_path / "archive")

    assert ended.code == 3
    assert "team-a/alice: complete" in ended.text
    assert "team-a/bob: failed" in ended.text


def test_an_account_may_be_chosen(pymap: Pymap, tmp_path: Path) -> None:
    """`-n` and `-a` choose among the accounts of the manifests."""
    files = ["-f", manifest(tmp_path, name="bob", secret="bob"), "-f", manifest(tmp_path, port=pymap.port)]
    ended = archivmail("sync", *files, "-n", "team-a", "-a", "alice", "--archive", tmp_path / "archive")

    assert ended.code == 0
    assert "bob" not in ended.text + ended.err


def test_the_manifest_may_come_from_standard_input(pymap: Pymap, tmp_path: Path) -> None:
    """`-f -`, as kubectl has it."""
    text = manifest(tmp_path, port=pymap.port).read_bytes()

    assert archivmail("sync", "-f", "-", "--archive", tmp_path / "archive", stdin=text).code == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"more_spec": "  intervall: 5m"}, "intervall"),
        ({"more_spec": "  interval: 5s"}, "interval"),
        ({"secret": "elsewhere"}, "no Secret team-a/alice"),
        ({"key": "passwort"}, "no key password"),
        ({"tls": "Sometimes"}, "tls.mode"),
    ],
    ids=["unknown-field", "interval-too-short", "secret-missing", "key-missing", "bad-choice"],
)
def test_what_the_user_must_change_ends_with_2_and_names_it(change: dict[str, str], words: str, tmp_path: Path) -> None:
    """Design §3.2: usage, invalid manifest, missing Secret or key. One sentence on standard error."""
    ended = archivmail("sync", "-f", manifest(tmp_path, **change), "--archive", tmp_path / "archive")  # type: ignore[arg-type]

    assert (ended.code, ended.out) == (2, b"")
    assert words in ended.err
    assert len(ended.err.strip().splitlines()) == 1
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("text", ["a: [", "just words", "", "kind: Pod\napiVersion: v1\n", "\x00"])
def test_text_that_is_no_manifest_ends_with_2(text: str, tmp_path: Path) -> None:
    """Broken YAML, other objects, nothing at all."""
    (tmp_path / "x.yaml").write_text(text)
    ended = archivmail("sync", "-f", tmp_path / "x.yaml", "--archive", tmp_path / "archive")

    assert (ended.code, ended.out) == (2, b"")
    assert "Traceback" not in ended.err


def test_a_manifest_that_is_not_there_ends_with_2(tmp_path: Path) -> None:
    """The sentence names the file."""
    ended = archivmail("sync", "-f", tmp_path / "none.yaml")

    assert ended.code == 2
    assert "none.yaml cannot be read: No such file or directory" in ended.err


def test_no_connection_ends_with_3(tmp_path: Path) -> None:
    """Nobody listens there; the sentence says where."""
    port = _unused_port()
    ended = archivmail("sync", "-f", manifest(tmp_path, port=port), "--archive", tmp_path / "archive")

    assert ended.code == 3
    assert f"127.0.0.1:{port}" in ended.text
    assert "Traceback" not in ended.err


def test_a_wrong_password_ends_with_3_and_is_never_shown(pymap: Pymap, tmp_path: Path) -> None:
    """Not on a stream, not even at debug level."""
    file = manifest(tmp_path, port=pymap.port, password="hunter2-is-wrong")
    ended = process("sync", "-f", file, "--archive", tmp_path / "archive", ARCHIVMAIL_LOG_LEVEL="debug")

    assert ended.code == 3
    assert "refused" in ended.text
    assert "hunter2" not in ended.text + ended.err


def test_an_archive_that_cannot_be_written_ends_with_3(pymap: Pymap, tmp_path: Path) -> None:
    """A file stands where the folder should be; the sentence names it."""
    (tmp_path / "archive").write_text("not a folder")
    ended = archivmail("sync", "-f", manifest(tmp_path, port=pymap.port), "--archive", tmp_path / "archive")

    assert (ended.code, ended.out) == (3, b"")
    assert str(tmp_path / "archive") in ended.err
    assert "Traceback" not in ended.err


def test_a_closed_output_does_not_stop_the_archiving(pymap: Pymap, tmp_path: Path) -> None:
    """`archivmail sync | true`: the mail is archived and the code is that of the run."""
    file = manifest(tmp_path, port=pymap.port)
    ended = process_nobody_reads("sync", "-f", file, "--archive", tmp_path / "archive")

    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err
    assert archivmail("status", "--archive", tmp_path / "archive").code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_that_waits(
    number: signal.Signals, tmp_path: Path, processes: list["subprocess.Popen[bytes]"]
) -> None:
    """A server that says nothing: the run hears the signal within seconds and says what happened."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        file = manifest(tmp_path, port=silent.getsockname()[1])
        command = [*COMMAND, "sync", "-f", str(file), "--archive", str(tmp_path / "archive")]
        started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        processes.append(started)
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            started.send_signal(number)
            out, err = started.communicate(timeout=20)

    assert started.returncode == 1
    assert b"stopped before the end" in out
    assert b"Traceback" not in err


def test_the_example_is_a_manifest_that_works_as_it_stands() -> None:
    """README and demo use this very file."""
    assert (ROOT / "examples" / "account.yaml").is_file()


def _unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
