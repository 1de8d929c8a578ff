"""Who is measured, and how each is called."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.filling import PASSWORD, USER

NOOP = ", nothing new"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is reached, perhaps through a proxy."""

    host: str
    port: int


Command = Callable[[Address, Path], list[str]]


@dataclass(frozen=True, slots=True)
class Contender:
    """`command` does a first sync into an empty folder; `noop` one more with nothing new."""

    name: str
    command: Command
    noop: Command | None
    milestone: bytes = b""
    """Part of the line of output by which everything is archived."""


def archivmail(server: Address, target: Path) -> list[str]:
    manifest = target / "account.yaml"
    account = {
        "apiVersion": "archivmail.io/v1alpha1",
        "kind": "ImapAccount",
        "metadata": {"name": "bench"},
        "spec": {
            "host": server.host,
            "port": server.port,
            "tls": {"mode": "Disabled"},
            "auth": {"secretRef": {"name": "bench"}},
        },
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bench"},
        "stringData": {"username": USER, "password": PASSWORD},
    }
    manifest.write_text(f"{json.dumps(account)}\n---\n{json.dumps(secret)}\n")
    return [sys.executable, "-m", "archivmail", "sync", "-f", str(manifest), "--archive", str(target / "archive")]


def mbsync(*, fsync: bool) -> Command:
    def command(server: Address, target: Path) -> list[str]:
        config = target / "mbsyncrc"
        config.write_text(
            f"""FSync {"yes" if fsync else "no"}
IMAPAccount bench
Host {server.host}
Port {server.port}
User {USER}
Pass {PASSWORD}
SSLType None
AuthMechs LOGIN

IMAPStore far
Account bench

MaildirStore near
Path {target}/mail/
Inbox {target}/mail/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Sync Pull
SyncState *
"""
        )
        (target / "mail").mkdir(exist_ok=True)
        return [shutil.which("mbsync") or "/usr/bin/mbsync", "-c", str(config), "all"]

    return command


CONTENDERS = (
    Contender("archivmail", archivmail, archivmail, milestone=b": complete: "),
    Contender("mbsync without fsync", mbsync(fsync=False), mbsync(fsync=False)),
    Contender("mbsync with fsync", mbsync(fsync=True), None),
)
