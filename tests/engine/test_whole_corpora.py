"""6,046 real mails and 30 of torture, archived: compared with the server's own files, with mbsync, with exports."""

from __future__ import annotations

import hashlib
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from archivmail.model.outcome import Result
from tests.cli.program import archivmail
from tests.corpus import spamassassin
from tests.corpus.torture import torture_mails
from tests.e2e.archives import contents_stored, octets_stored
from tests.engine.world import World
from tests.servers import mbsync
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.fixtures import Mailbox
from tests.servers.imap_session import ImapRefusedError

pytestmark = [pytest.mark.servers, pytest.mark.slow]

# The octets as they came, one file each: what the server has can be read without any IMAP.
AS_THEY_CAME = "mail_save_crlf = yes\n"
TORTURE = "Torture"


@dataclass(frozen=True)
class Archived:
    """A mailbox of that server, archived, and what was put in."""

    world: World
    mailbox: Mailbox
    given: Counter[bytes]
    """SHA-256 of what was appended."""

    def placed(self) -> Counter[bytes]:
        """SHA-256 of the octets of every placement."""
        return Counter(row.content_id for row in self.world.rows())


@pytest.fixture(scope="module")
def corpora() -> dict[str, list[bytes]]:
    parts = defaultdict(list)
    for part, octets in spamassassin.mails():
        parts[part].append(octets)
    parts[TORTURE] = list(torture_mails().values())
    assert spamassassin.COUNT + len(torture_mails()) == sum(map(len, parts.values()))
    return parts


@pytest.fixture(scope="module")
def dovecot_archived(corpora: dict[str, list[bytes]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archived]:
    """All of it on a Dovecot that keeps one file for each message."""
    with Dovecot(mail_format="maildir", extra_config=AS_THEY_CAME) as server:
        mailbox = Mailbox(server, "alice", server.add_user("alice"))
        for folder, octets in corpora.items():
            server.create_folder("alice", folder)
            server.bulk_append("alice", folder, octets)
        world = World(mailbox, tmp_path_factory.mktemp("corpora") / "archive")
        outcome = world.sync()
        assert (Result.SUCCEEDED, 6076) == (outcome.result, outcome.added)
        yield Archived(world, mailbox, sums(each for part in corpora.values() for each in part))
        world.close()


@pytest.fixture(scope="module")
def cyrus_archived(
    corpora: dict[str, list[bytes]], cyrus: Cyrus, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archived]:
    """As much of it as Cyrus takes of two parts: it refuses mail without a proper header."""
    mailbox = Mailbox(cyrus, "corpora", cyrus.add_user("corpora"))
    given: Counter[bytes] = Counter()
    for folder in ("hard-ham-1", TORTURE):
        cyrus.create_folder("corpora", folder)
        for octets in corpora[folder]:
            with suppress(ImapRefusedError):
                cyrus.append("corpora", folder, octets)
                given += sums([octets])
    world = World(mailbox, tmp_path_factory.mktemp("corpora") / "archive")
    outcome = world.sync()
    assert (Result.SUCCEEDED, given.total()) == (outcome.result, outcome.added)
    assert given.total() > 250
    yield Archived(world, mailbox, given)
    world.close()


def sums(mails: Iterable[bytes]) -> Counter[bytes]:
    return Counter(hashlib.sha256(octets).digest() for octets in mails)


def test_archive_is_the_files_of_the_server(dovecot_archived: Archived) -> None:
    """S20, trap 63, trap 64, trap 66, trap 69: octet for octet what was sent, read from packs and disk without IMAP."""
    files = sums(path.read_bytes() for path in dovecot_archived.mailbox.server.folder.glob("mail/**/cur/*")) + sums(
        path.read_bytes() for path in dovecot_archived.mailbox.server.folder.glob("mail/**/new/*")
    )

    assert dovecot_archived.given == files
    assert dovecot_archived.given == dovecot_archived.placed()
    assert Counter(set(files)) == contents_stored(dovecot_archived.world.folder), "each content once, and whole"


@pytest.mark.parametrize("server", ["dovecot_archived", "cyrus_archived"])
def test_mbsync_reads_the_same(server: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A stranger's eye. mbsync 1.4.4 drops every CR and leaves out mail without an empty line after the header; so the
    octets are compared without CR here, and with them by the other tests."""
    archived: Archived = request.getfixturevalue(server)
    left_out = mbsync.pull(archived.mailbox, tmp_path)
    theirs = mbsync.pulled(tmp_path)

    placed = archived.placed()
    ours: Counter[bytes] = Counter()
    headless = 0
    for octets in octets_stored(archived.world.folder):
        count = placed.pop(hashlib.sha256(octets).digest())
        if b"\r\n\r\n" in octets:
            ours[hashlib.sha256(octets.replace(b"\r", b"")).digest()] += count
        else:
            headless += count
    assert not placed
    assert ours == theirs
    assert headless == left_out


@pytest.mark.parametrize("form", ["eml", "tar"])
def test_every_mail_leaves_by_export_as_it_came(dovecot_archived: Archived, form: str, tmp_path: Path) -> None:
    """S20: 6,076 mails, no octet changed."""
    archive, out = dovecot_archived.world.folder, tmp_path / "out"
    ended = archivmail("export", "--format", form, "--output", out, "--archive", archive)

    assert 0 == ended.code, ended.err
    if form == "tar":
        with tarfile.open(out) as members:
            files = [members.extractfile(each) for each in members if each.name.endswith(".eml")]
            exported = sums(each.read() for each in files if each is not None)
    else:
        exported = sums(path.read_bytes() for path in out.rglob("*.eml"))
    assert dovecot_archived.given == exported


def test_cyrus_keeps_and_shows_what_it_took(cyrus_archived: Archived) -> None:
    """The same there, with what Cyrus took."""
    assert cyrus_archived.given == cyrus_archived.placed()
    assert Counter(set(cyrus_archived.given)) == contents_stored(cyrus_archived.world.folder)
