"""docs/disaster.md: its commands bring back what they say, in a situation made for each section."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from archivmail.archive.archive import Archive
from archivmail.archive.opening import open_archive
from archivmail.model.notices import AuditEvent
from archivmail.model.retention import Policy
from tests.archive.builders import ALICE, BOB, MAIL, NoFsync, fill, folder, pack_files, placements, read

from .pages import DOCS, blocks, run_page

pytestmark = pytest.mark.slow

BODIES = {1: MAIL, 2: bytes(range(256)) * 50, 3: b""}
BOBS = b"Subject: bob\r\n\r\nnot ours\r\n"
PAGE = (DOCS / "disaster.md").read_text()


class Situation:
    """An archive and its backup, as docs/backup.md makes it."""

    def __init__(self, where: Path) -> None:
        self.where = where
        with self.archive(create=True) as archive:
            fill(archive, BODIES)
            fill(archive, {7: MAIL}, of=folder(b"Entw&APw-rfe"))
            fill(archive, {1: BOBS}, ref=BOB)
            archive.set_policy(BOB, Policy(hold=True), by="tests")
            archive.set_policy(BOB, Policy(), by="tests")
            archive.record(AuditEvent("run", ALICE.namespace, ALICE.name))
            while archive.drain_index():
                pass
            self.expected = placements(archive)
        backup = blocks("backup.md", "sh")[0]
        subprocess.run(["bash", "-euo", "pipefail", "-c", backup], cwd=where, check=True, timeout=120)

    def archive(self, *, create: bool = False) -> Archive:
        return open_archive(str(self.where / "archive"), create=create, durability=NoFsync())

    def run(self, section: str, **env: str) -> str:
        return run_page("disaster.md", self.where, env, section)

    def require_whole(self) -> None:
        with self.archive() as archive:
            assert placements(archive) == self.expected
            assert [read(archive, body) for body in BODIES.values()] == list(BODIES.values())


@pytest.fixture
def situation(tmp_path: Path) -> Situation:
    return Situation(tmp_path)


def test_a_lost_catalog_comes_back_with_its_trail(situation: Situation) -> None:
    """It does not open any more; the copy of the backup is older than the newest mail."""
    with situation.archive() as archive:
        fill(archive, {9: b"Subject: newer\r\n\r\nthan the backup"}, of=folder(b"New"))
        situation.expected = placements(archive)
    (situation.where / "archive" / "catalog.db").write_bytes(b"no database" * 1000)

    printed = situation.run("The catalog is lost")

    situation.require_whole()
    assert "sound: " in printed
    with situation.archive() as archive:
        assert "run" in {each.kind for each in archive.audit_entries()}


def test_lost_and_damaged_packs_come_back(situation: Situation) -> None:
    """One is gone, one has other octets; both are named first."""
    gone, changed, *_ = pack_files(situation.where / "archive")
    gone.unlink()
    octets = bytearray(changed.read_bytes())
    octets[len(octets) // 3] ^= 1
    changed.chmod(0o600)
    changed.write_bytes(octets)

    printed = situation.run("Packs are lost or damaged")

    situation.require_whole()
    assert "sound: " in printed
    told = (situation.where / "damage.json").read_text()
    assert gone.name in told
    assert [changed.name] == [path.name for path in (situation.where / "damaged").iterdir()]


def test_an_archive_outlives_its_cluster(situation: Situation) -> None:
    """The accounts that it holds are told without a cluster."""
    situation.run("The cluster is lost")

    situation.require_whole()
    listed = [json.loads(line) for line in (situation.where / "accounts.json").read_text().splitlines()]
    assert {(each["namespace"], each["name"]) for each in listed} == {("team-a", "alice"), ("team-b", "bob")}


def test_mail_of_a_deleted_namespace_is_still_found(situation: Situation) -> None:
    """By search and by export."""
    situation.run("A namespace was deleted")

    assert "team-a" in (situation.where / "found.jsonl").read_text()
    assert 4 == len(list((situation.where / "exported" / "team-a" / "alice").rglob("*.eml")))


def test_the_trail_tells_the_holds_that_an_old_etcd_has_forgotten(situation: Situation) -> None:
    """Those that were set and those that were released."""
    printed = situation.run("etcd was restored from an old backup")

    assert re.findall(r"hold_\w+", printed) == ["hold_set", "hold_released"]


def test_mail_of_the_wrong_mailbox_goes_and_no_other(situation: Situation) -> None:
    """The dry run tells it, the other removes it."""
    printed = situation.run("The wrong mailbox was archived")

    assert "sound: " in printed
    with situation.archive() as archive:
        left = placements(archive)
    assert left == [each for each in situation.expected if each[0] == str(ALICE)]


def test_an_archive_is_proved_against_a_head_from_elsewhere(situation: Situation) -> None:
    """And one whose trail was cut is told, with the same commands."""
    with situation.archive() as archive:
        newest = list(archive.audit_entries())[-1]
    head = f"{newest.seq}:{newest.hash.hex()}"

    assert "sound: " in situation.run("Credentials leaked", HEAD=head)
    with pytest.raises(AssertionError, match="ended with 1"):
        situation.run("Credentials leaked", HEAD=f"{newest.seq + 1}:{newest.hash.hex()}")


def test_the_table_leads_to_every_section() -> None:
    """Nobody reads the whole page that day."""
    sections = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    linked = re.findall(r"^\| \[([^]]+)\]\(#([a-z-]+)\)", PAGE, re.MULTILINE)

    assert [anchor for _, anchor in linked] == [each.lower().replace(" ", "-") for each in sections]
    assert [text.lower() for text, _ in linked] == [each.lower() for each in sections]
