"""Debian's isync, another reader of whole mailboxes, with nothing in common with ours."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections import Counter
from pathlib import Path

from .binaries import find_program
from .fixtures import Mailbox

TIMEOUT_S = 120
CONFIG = """\
FSync no
IMAPAccount a
Host {host}
Port {port}
User {user}
Pass {password}
SSLType None
AuthMechs PLAIN

IMAPStore far
Account a

MaildirStore near
Path {folder}/
Inbox {folder}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Sync Pull
SyncState *
"""
_MARK = re.compile(rb"^X-TUID: [^\n]{12}\n", re.MULTILINE)
_SKIPPED = re.compile(r"Warning: message \d+ from far side has incomplete header; skipping")


def pull(mailbox: Mailbox, folder: Path) -> int:
    """Copy every message into Maildirs below `folder`; how many mbsync left out, having no empty line after the
    header."""
    config = folder / "mbsyncrc"
    maildirs = folder / "mail"
    maildirs.mkdir()
    server = mailbox.server
    config.write_text(
        CONFIG.format(host=server.host, port=server.port, user=mailbox.user, password=mailbox.password, folder=maildirs)
    )
    done = subprocess.run(
        [find_program("mbsync"), "-c", config, "all"], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    return len(_SKIPPED.findall(done.stderr))


def pulled(folder: Path) -> Counter[bytes]:
    """SHA-256 of every message without the header line that mbsync 1.4.4 adds. It also took every CR out of them, those
    within lines too."""
    return Counter(
        hashlib.sha256(_MARK.sub(b"", path.read_bytes(), count=1)).digest()
        for path in (folder / "mail").glob("**/*,U=*")
    )
