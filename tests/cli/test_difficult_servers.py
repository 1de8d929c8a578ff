"""Servers that refuse, hide, cut and renumber: what `archivmail sync` says, and what it ends with."""

import json
import signal
import subprocess
import threading
from pathlib import Path

import pytest
import yaml

from archivmail.model.account import TlsMode
from tests.cli.program import COMMAND, Ended, archivmail, environment
from tests.servers.certificates import authority_of_this_run
from tests.servers.scripted import Conversation, Folder, Message, ScriptedServer, sample

POISON = 2


def written(folder: Path, server: ScriptedServer, *, host: str = "127.0.0.1", ca: str | None = None) -> Path:
    """A manifest for this server; `ca` becomes a Secret that the account trusts."""
    tls: dict[str, object] = {"mode": server.tls.value}
    secrets = {"alice": {"username": server.username, "password": server.password}}
    if ca is not None:
        tls["caSecretRef"] = {"name": "ca", "key": "ca.crt"}
        secrets["ca"] = {"ca.crt": ca}
    spec = {"host": host, "port": server.port, "tls": tls, "auth": {"secretRef": {"name": "alice"}}}
    metadata = {"name": "alice", "namespace": "team-a"}
    account = {"apiVersion": "archivmail.io/v1alpha1", "kind": "ImapAccount", "metadata": metadata, "spec": spec}
    kept = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {**metadata, "name": name}, "stringData": data}
        for name, data in secrets.items()
    ]
    path = folder / "account.yaml"
    path.write_text(yaml.safe_dump_all([account, *kept]), encoding="utf-8")
    return path


def sync(folder: Path, server: ScriptedServer, *more: str, ca: str | None = None) -> Ended:
    return archivmail("sync", "-f", written(folder, server, ca=ca), "--archive", folder / "archive", *more)


# --- something is not archived: 1 -------------------------------------------------------------------------------------


def test_a_poison_message_is_named_and_the_others_are_archived(tmp_path: Path) -> None:
    """S18: folder, UID, reason; the exit code says that something is missing. Status says it too."""

    def refuse(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        if POISON in server.folders[b"INBOX"].uids_in(arguments.partition(b" ")[0]):
            return b"NO [SERVERBUG] cannot read that message"
        return server.correct(b"UID FETCH", talk, arguments)

    with ScriptedServer({b"INBOX": sample(3)}) as server:
        server.on(b"UID FETCH", refuse)
        ended = sync(tmp_path, server)
        document = json.loads(sync(tmp_path, server, "--json").out)

    assert ended.code == 1
    assert ended.text.startswith("team-a/alice: not complete: 2 of 3 messages archived, 1 not archived, 2 new")
    assert "not archived: INBOX UID 2: " in ended.text
    assert "cannot read that message" in ended.text
    [named] = document["folders"][0]["notArchived"]
    assert (named["uid"], named["reason"], named["attempts"]) == (2, "MessageRefused", 2)
    status = archivmail("status", "--json", "--archive", tmp_path / "archive")
    assert status.code == 1
    assert json.loads(status.out)["complete"] is False


def test_a_refused_folder_is_named_and_the_others_are_archived(tmp_path: Path) -> None:
    """S11: the failure of one folder is no reason to leave the next out."""

    def refuse(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        return b"NO [NOPERM] not yours" if b"Boss" in arguments else server.correct(b"EXAMINE", talk, arguments)

    with ScriptedServer({b"Boss": sample(2), b"INBOX": sample(3)}) as server:
        server.on(b"EXAMINE", refuse)
        ended = sync(tmp_path, server)

    assert ended.code == 1
    assert "3 new" in ended.text
    assert any(line.startswith("  Boss: ") for line in ended.text.splitlines())


def test_a_limited_view_is_never_called_complete(tmp_path: Path) -> None:
    """S16: the server says that there are five messages and lists three."""

    def hide(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        answer = server.correct(b"EXAMINE", talk, arguments)
        talk.send(b"* 5 EXISTS\r\n")
        return answer

    with ScriptedServer({b"INBOX": sample(3)}) as server:
        server.on(b"EXAMINE", hide)
        ended = sync(tmp_path, server)

    assert ended.code == 1
    assert "shows only a part of this folder" in ended.text


def test_a_session_cut_in_the_middle_keeps_what_it_archived(tmp_path: Path) -> None:
    """One message, then the connection is gone, and gone again: a part is archived, so the code is 1."""

    def cut(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        uid = server.folders[b"INBOX"].uids_in(arguments.partition(b" ")[0])[0]
        server.send_message(talk, uid, server.folders[b"INBOX"].messages[uid], arguments.partition(b" ")[2])
        talk.cut()
        return None

    with ScriptedServer({b"INBOX": sample(9)}) as server:
        server.on(b"UID FETCH", cut)
        ended = sync(tmp_path, server)
        connections = server.connections

    assert ended.code == 1, ended
    assert connections == 2
    assert " of 9 messages archived" in ended.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_keeps_what_it_archived(
    number: signal.Signals, tmp_path: Path, processes: list["subprocess.Popen[bytes]"]
) -> None:
    """trap 104, S3: one message arrived, then Ctrl-C or SIGTERM: it is archived, the next run goes on from there."""
    was_taken = threading.Event()

    def send_one(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        wanted, _, items = arguments.partition(b" ")
        uid = server.folders[b"INBOX"].uids_in(wanted)[0]
        server.send_message(talk, uid, server.folders[b"INBOX"].messages[uid], items)
        return b"OK done"

    def stall_afterwards(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        if not any(b"FETCH" in command for command in server.commands):
            return server.correct(b"UID SEARCH", talk, arguments)
        was_taken.set()  # who asks for the list again has taken the message in
        talk.stall()
        return None

    with ScriptedServer({b"INBOX": sample(3)}) as server:
        server.on(b"UID FETCH", send_one)
        server.on(b"UID SEARCH", stall_afterwards)
        arguments = ["sync", "-f", str(written(tmp_path, server)), "--archive", str(tmp_path / "archive")]
        started = subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
        processes.append(started)
        assert was_taken.wait(30)
        started.send_signal(number)
        out, err = started.communicate(timeout=20)

    assert started.returncode == 1, err
    assert b"team-a/alice: stopped before the end: 1 of 3 messages archived" in out
    assert b"what is archived is kept" in err
    assert json.loads(archivmail("verify", "--json", "--archive", tmp_path / "archive").out)["messages"] == 1


# --- it could not: 3 --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tls", "words"),
    [(TlsMode.IMPLICIT, "caSecretRef"), (TlsMode.START_TLS, "caSecretRef")],
    ids=["implicit", "starttls"],
)
def test_a_certificate_that_is_not_trusted_is_refused_with_the_way_out(
    tls: TlsMode, words: str, tmp_path: Path
) -> None:
    """S9: verification is always on; the sentence names the field that helps. No password is sent."""
    with ScriptedServer({b"INBOX": sample(1)}, tls=tls) as server:
        ended = sync(tmp_path, server)

    assert ended.code == 3
    assert words in ended.text
    assert server.login_attempts == 0


def test_a_certificate_of_a_private_authority_is_trusted_when_the_manifest_says_so(tmp_path: Path) -> None:
    """`spec.tls.caSecretRef` with a Secret of the same file."""
    with ScriptedServer({b"INBOX": sample(2)}, tls=TlsMode.IMPLICIT) as server:
        assert sync(tmp_path, server, ca=authority_of_this_run().ca_pem).code == 0


def test_a_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    """Trusted authority, wrong name."""
    certificate = authority_of_this_run().issue("mail.example.com")
    with ScriptedServer({b"INBOX": sample(1)}, tls=TlsMode.IMPLICIT, certificate=certificate) as server:
        ended = sync(tmp_path, server, ca=authority_of_this_run().ca_pem)

    assert ended.code == 3
    assert "serverName" in ended.text
    assert server.login_attempts == 0


def test_refused_credentials_are_tried_once(tmp_path: Path) -> None:
    """One attempt a run: a second may lock the account out."""
    with ScriptedServer({b"INBOX": sample(1)}) as server:
        file = written(tmp_path, server)
        server.password = "changed meanwhile"
        ended = archivmail("sync", "-f", file, "--archive", tmp_path / "archive")

    assert ended.code == 3
    assert server.login_attempts == 1
    assert "correct horse" not in ended.text + ended.err


def test_a_server_that_asks_for_patience_is_not_asked_again(tmp_path: Path) -> None:
    """The longer back-offs belong to the operator, or to `--wait`."""
    with ScriptedServer({b"INBOX": sample(1)}) as server:
        server.script(b"LOGIN", tagged=b"NO [UNAVAILABLE] too many connections, try again in 10 minutes")
        ended = sync(tmp_path, server)

    assert ended.code == 3
    assert "team-a/alice: failed; nothing was archived in this run" in ended.text


def test_a_ca_secret_without_its_key_is_for_the_user(tmp_path: Path) -> None:
    """Exit code 2: the manifest must be changed; nothing is connected."""
    with ScriptedServer(tls=TlsMode.IMPLICIT) as server:
        file = written(tmp_path, server, ca="x")
        file.write_text(file.read_text().replace("ca.crt: x", "other.crt: x"))
        ended = archivmail("sync", "-f", file, "--archive", tmp_path / "archive")

    assert ended.code == 2
    assert "ca.crt" in ended.err
    assert server.connections == 0


# --- numbered anew ----------------------------------------------------------------------------------------------------


def test_a_folder_numbered_anew_is_told_compared_and_not_stored_twice(tmp_path: Path) -> None:
    """S14: said in the summary, in the audit trail with its keys; the same octets are there once."""
    with ScriptedServer({b"INBOX": sample(3)}) as server:
        sync(tmp_path, server)
        server.folders[b"INBOX"] = Folder({uid + 40: Message(m.octets) for uid, m in sample(3).messages.items()}, 7)
        ended = sync(tmp_path, server)
    trail = archivmail("audit", "--json", "--archive", tmp_path / "archive")
    report = archivmail("verify", "--full", "--json", "--archive", tmp_path / "archive")

    assert ended.code == 0
    assert "UIDVALIDITY 1700000000, now 7" in ended.text
    entries = [json.loads(line) for line in trail.text.splitlines()]
    [entry] = [each for each in entries if each["kind"] == "imap_uidvalidity_reset"]
    assert set(entry) == {"seq", "time", "kind", "namespace", "account", "facts", "previous", "hash", "intact"}
    assert entry["kind"] == "imap_uidvalidity_reset"
    assert entry["facts"] == {"folder": "INBOX", "before": 1700000000, "after": 7}
    assert json.loads(report.out)["messages"] == 3


def test_an_entry_of_the_trail_that_was_changed_is_found(tmp_path: Path) -> None:
    """Exit code 1: the chain of hashes does not hold."""
    import sqlite3  # noqa: PLC0415 - only here is a catalog changed by hand

    with ScriptedServer({b"INBOX": sample(1)}) as server:
        sync(tmp_path, server)
        server.folders[b"INBOX"].uid_validity = 7
        sync(tmp_path, server)
    connection = sqlite3.connect(tmp_path / "archive" / "catalog.db")
    with connection:
        connection.execute("DROP TRIGGER audit_no_update")  # whoever can write the file can do that
        connection.execute("UPDATE audit SET kind = 'nothing_happened'")
    connection.close()
    ended = archivmail("audit", "--archive", tmp_path / "archive")

    assert ended.code == 1
    assert "CHANGED AFTERWARDS" in ended.text
    assert "changed after they were written" in ended.err


def test_what_a_server_wants_shown_is_shown_but_cannot_act(tmp_path: Path) -> None:
    """RFC 9051 §7.1: an ALERT must be presented to the user; escape sequences in it must not."""
    with ScriptedServer({b"INBOX": sample(1)}) as server:
        server.on(b"LIST", _alerting)
        ended = sync(tmp_path, server)

    assert ended.code == 0
    assert "maintenance on Sunday" in ended.text
    assert "\x1b" not in ended.text


def _alerting(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
    talk.send(b"* OK [ALERT] \x1b[2Jmaintenance on Sunday\r\n")
    return server.correct(b"LIST", talk, arguments)
