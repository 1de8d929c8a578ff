"""A run may be killed at any moment: after one clean run nothing is lost, and nothing is stored twice.

Points are those before and after each fsync, rename, PUT, HEAD and commit of a first run; between two points nothing
changes what another process could see. Random moments stand beside them for what we did not think of.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from archivmail.archive.opening import open_archive
from tests.crashes.forkserver import ForkServer
from tests.crashes.runs import SUCCEEDED, Mail, Task, distinct, require_sound, require_whole
from tests.servers.postgresql import PostgreSqlDatabase
from tests.servers.s3 import S3Bucket

RANDOM_KILLS = 50
SEED = 5


pytestmark = pytest.mark.slow


@pytest.fixture
def forks() -> Iterator[ForkServer]:
    with ForkServer() as server:
        yield server


def test_an_archive_may_be_killed_while_it_is_made(forks: ForkServer, tmp_path: Path) -> None:
    """Directories, the catalog, its tables: another run finds all or nothing of each."""
    nothing, mail = Mail(), Mail.of("alice", messages=3)
    points = forks.run(Task(str(tmp_path / "clean"), None, "alice", nothing).to_wire()).points
    assert points > 15
    for point in range(1, points + 1):
        where = str(tmp_path / str(point))
        killed = forks.run(Task(where, None, "alice", nothing, dies_at=point).to_wire())
        assert killed.was_killed, (point, killed)
        assert SUCCEEDED == forks.run(Task(where, None, "alice", mail).to_wire()).result
        with open_archive(where, create=False) as archive:
            require_whole(archive, "alice", mail)


def _killed_at_each_point(forks: ForkServer, archive: str, catalog: str | None) -> dict[str, Mail]:
    """An account for each point of a first run; what their server has."""
    mails = {name: Mail.of(name) for name in ("first", "clean")}
    for account, mail in mails.items():  # the very first run also makes the archive
        points = forks.run(Task(archive, catalog, account, mail).to_wire()).points
    assert points > 30
    for point in range(1, points + 1):
        account = f"alice-{point}"
        mail = mails[account] = Mail.of(account)
        killed = forks.run(Task(archive, catalog, account, mail, dies_at=point).to_wire())
        assert killed.was_killed, (point, killed)
        assert SUCCEEDED == forks.run(Task(archive, catalog, account, mail).to_wire()).result
    return mails


def test_a_run_killed_at_any_point_loses_nothing_in_a_directory(forks: ForkServer, tmp_path: Path) -> None:
    """Invariants 1, 2, 5 and 6."""
    where = str(tmp_path / "archive")
    mails = _killed_at_each_point(forks, where, None)
    with open_archive(where, create=False) as archive:
        for account, mail in mails.items():
            require_whole(archive, account, mail)
        require_sound(archive, contents=distinct(mails.values()))


@pytest.mark.servers
def test_a_run_killed_at_any_point_loses_nothing_in_a_bucket(
    s3_bucket: S3Bucket, postgresql_catalog: PostgreSqlDatabase
) -> None:
    """The same on S3 and PostgreSQL."""
    where = s3_bucket.url, postgresql_catalog.url
    with ForkServer() as forks:
        mails = _killed_at_each_point(forks, *where)
    with open_archive(*where, create=False) as archive:
        for account, mail in mails.items():
            require_whole(archive, account, mail)
        require_sound(archive, contents=distinct(mails.values()))


def _killed_at_random(forks: ForkServer, archive: str, catalog: str | None) -> Mail:
    """Mail comes, goes and is renumbered while run after run is killed; what the server has in the end."""
    chance = random.Random(SEED)
    mail = Mail.of("alice")
    longest_s = forks.run(Task(archive, catalog, "warm", Mail.of("warm")).to_wire()).took_s
    kills = number = 0
    while kills < RANDOM_KILLS:
        number += 1
        folder = chance.choice(sorted(mail.folders))
        validity, texts = mail.folders[folder]
        if number % 20 == 19:
            mail.folders[folder] = (validity + 1, dict(enumerate(texts.values(), 1)))
        else:
            first = max(texts) + 1
            texts.update({uid: f"new {number} {uid}" for uid in range(first, first + 3)})
        ended = forks.run(Task(archive, catalog, "alice", mail).to_wire(), kill_after_s=chance.uniform(0, longest_s))
        if ended.was_killed:
            kills += 1
        else:
            longest_s = ended.took_s  # the machine has become quicker
    assert SUCCEEDED == forks.run(Task(archive, catalog, "alice", mail).to_wire()).result
    return mail


def test_runs_killed_at_random_moments_lose_nothing_in_a_directory(forks: ForkServer, tmp_path: Path) -> None:
    """One archive through all of them; moments are chosen from the length of a whole run."""
    where = str(tmp_path / "archive")
    mail = _killed_at_random(forks, where, None)
    with open_archive(where, create=False) as archive:
        require_whole(archive, "alice", mail)
        require_sound(archive)


@pytest.mark.servers
def test_runs_killed_at_random_moments_lose_nothing_in_a_bucket(
    s3_bucket: S3Bucket, postgresql_catalog: PostgreSqlDatabase
) -> None:
    """The same on S3 and PostgreSQL."""
    where = s3_bucket.url, postgresql_catalog.url
    with ForkServer() as forks:
        mail = _killed_at_random(forks, *where)
    with open_archive(*where, create=False) as archive:
        require_whole(archive, "alice", mail)
        require_sound(archive)
