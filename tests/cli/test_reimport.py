"""The proof of an export: what was exported, served by another server and archived again, is the same mail."""

import os
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from archivmail.archive.opening import open_archive
from tests.cli.manifests import manifest
from tests.cli.program import archivmail
from tests.servers.dovecot import Dovecot

Mail = Counter[tuple[str, bytes, tuple[str, ...]]]


def mail_of(archive: Path) -> Mail:
    """Folder, octets and flags of every placement."""
    with open_archive(str(archive), create=False, read_only=True) as opened:
        return Counter(
            (row.display.replace(".", "/"), b"".join(opened.octets(row.content_id)), flags_of(row.flags))
            for row in opened.placements()
        )


def flags_of(flags: tuple[str, ...]) -> tuple[str, ...]:
    """Those that a Maildir has letters for."""
    return tuple(
        sorted(flag for flag in flags if flag in {"\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted"})
    )


@pytest.mark.servers
def test_an_exported_maildir_served_by_dovecot_archives_to_the_same_contents(filled: Path, tmp_path: Path) -> None:
    """Folder by folder, id by id, flags and all. IMAP has CRLF only (RFC 9051 §2.2): where a message came with a bare
    LF, Dovecot serves that as CRLF."""
    assert archivmail("export", "--format", "maildir", "--output", tmp_path / "out", "--archive", filled).code == 0
    with Dovecot(mail_format="maildir", extra_config="mail_location = maildir:~/mail") as server:
        password = server.add_user("alice")
        home = server.folder / "mail" / "alice"
        home.mkdir(exist_ok=True)
        shutil.copytree(tmp_path / "out" / "team-a" / "alice", home / "mail", dirs_exist_ok=True)
        owner = (server.folder / "mail").stat()
        for path in (home, *home.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
        file = manifest(tmp_path, port=server.port, password=password)
        ended = archivmail("sync", "-f", file, "--archive", tmp_path / "again")
    assert ended.code == 0, ended.err
    exported = mail_of(filled)
    served = Counter(
        {
            (folder, re.sub(rb"(?<!\r)\n", b"\r\n", octets), flags): count
            for (folder, octets, flags), count in exported.items()
        }
    )
    assert mail_of(tmp_path / "again") == served
    assert (exported & served).total() >= exported.total() - 1
