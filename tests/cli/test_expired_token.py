"""An access token that runs out while a run goes on (trap 90), as `archivmail sync` meets it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from archivmail.model.account import TlsMode
from tests.cli.program import Ended, archivmail
from tests.servers.certificates import authority_of_this_run
from tests.servers.scripted import Conversation, ScriptedServer, sample
from tests.servers.tokens import Answer, TokenServer

ENDINGS = pytest.mark.parametrize(
    "ending",
    [
        pytest.param(b"* BYE Session invalidated - AccessTokenExpired\r\n", id="exchange"),
        pytest.param(b"* BYE Session expired, please login again.\r\n", id="gmail"),
    ],
)


def sync(folder: Path, server: ScriptedServer, issuer: TokenServer) -> Ended:
    secrets = {
        "alice": {
            "username": server.username,
            "clientId": issuer.client_id,
            "refreshToken": issuer.refresh_token,
        },
        "ca": {"ca.crt": authority_of_this_run().ca_pem},
    }
    oauth2 = {"tokenURL": issuer.url}
    spec = {
        "host": "127.0.0.1",
        "port": server.port,
        "tls": {"caSecretRef": {"name": "ca"}},
        "auth": {"mechanism": "XOAuth2", "secretRef": {"name": "alice"}, "oauth2": oauth2},
    }
    metadata = {"name": "alice", "namespace": "team-a"}
    account = {"apiVersion": "archivmail.io/v1alpha1", "kind": "ImapAccount", "metadata": metadata, "spec": spec}
    kept = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {**metadata, "name": name}, "stringData": data}
        for name, data in secrets.items()
    ]
    path = folder / "account.yaml"
    path.write_text(yaml.safe_dump_all([account, *kept]), encoding="utf-8")
    return archivmail("sync", "-f", path, "--archive", folder / "archive")


def server_of(issuer: TokenServer, ending: bytes, *, ends: int) -> ScriptedServer:
    """It takes the newest token alone, and ends the session in the middle of Sent so many times."""
    server = ScriptedServer(
        {b"INBOX": sample(3), b"Sent": sample(3)}, capabilities="IMAP4rev1 AUTH=XOAUTH2", tls=TlsMode.IMPLICIT
    )
    left = [ends]

    def fetch(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        if talk.opened == b"Sent" and left[0]:
            left[0] -= 1
            issuer.users.clear()
            talk.send(ending)
            talk.cut()
        return server.correct(b"UID FETCH", talk, arguments)

    def authenticate(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
        server.password = next(iter(issuer.users), "none")
        return server.correct(b"AUTHENTICATE", talk, arguments)

    server.on(b"UID FETCH", fetch)
    server.on(b"AUTHENTICATE", authenticate)
    return server


@ENDINGS
def test_the_run_goes_on_with_a_new_token(ending: bytes, tmp_path: Path) -> None:
    """trap 90: in the same run, without the pause of a lost session: complete, exit 0, no folder fetched twice."""
    with TokenServer() as issuer, server_of(issuer, ending, ends=1) as server:
        ended = sync(tmp_path, server, issuer)

    assert 0 == ended.code, ended
    assert "complete: 6 messages in 2 folders archived, 6 new" in ended.text
    assert ["access-0", "access-1"] == issuer.issued
    assert 2 == server.connections
    assert 1 == sum(command.startswith(b'EXAMINE "INBOX"') for command in server.commands)


@ENDINGS
def test_it_does_not_go_on_for_ever(ending: bytes, tmp_path: Path) -> None:
    """What ends at once again has another cause; what is archived is kept, and the exit code says that some is not."""
    with TokenServer() as issuer, server_of(issuer, ending, ends=99) as server:
        ended = sync(tmp_path, server, issuer)

    assert 1 == ended.code, ended
    assert "3 of 6 messages archived" in ended.text
    assert server.connections <= 4


def test_an_outage_of_the_issuer_in_mid_run_is_an_outage(tmp_path: Path) -> None:
    """Finding 5: nobody is told to correct the Secret."""
    with TokenServer() as issuer, server_of(issuer, b"* BYE AccessTokenExpired\r\n", ends=1) as server:
        fetch = server._answers[b"UID FETCH"]

        def fetch_and_lose_the_issuer(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
            if talk.opened == b"Sent":
                issuer.script(*[Answer(503)] * 9)
            return fetch(server, talk, arguments)

        server.on(b"UID FETCH", fetch_and_lose_the_issuer)
        ended = sync(tmp_path, server, issuer)

    assert 1 == ended.code, ended
    assert "503" in ended.text
    assert "correct" not in ended.text
