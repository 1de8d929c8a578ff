"""The servers as pytest fixtures. Loaded by `pytest_plugins = ["tests.servers.fixtures"]` in tests/conftest.py."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .controlplane import ControlPlane
    from .cyrus import Cyrus
    from .dovecot import Dovecot
    from .postgresql import PostgreSql, PostgreSqlDatabase
    from .s3 import S3Bucket, S3Server

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One user's mailbox: where it is, and who may log in."""

    server: Dovecot | Cyrus
    user: str
    password: str = field(repr=False)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A Kubernetes API server, shared by the tests of one process: use `namespace` to be alone."""
    from .controlplane import ControlPlane  # noqa: PLC0415 - a run without servers needs none of it

    with ControlPlane() as running:
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    """A fresh namespace in `control_plane`."""
    return control_plane.create_namespace()


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    """An IMAP server for this test alone, without users."""
    from .dovecot import Dovecot  # noqa: PLC0415 - as above

    with Dovecot() as running:
        yield running


@pytest.fixture
def mailbox(dovecot: Dovecot) -> Mailbox:
    """The empty mailbox of `alice` on `dovecot`; her password is random."""
    return Mailbox(dovecot, "alice", dovecot.add_user("alice"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    """A PostgreSQL cluster, shared by the tests of one process: use `postgresql_database` to be alone. Nothing of it
    is forced to the disk; for tests about durability start `PostgreSql(is_durable=True)`."""
    from .postgresql import PostgreSql  # noqa: PLC0415 - as above

    with PostgreSql() as running:
        yield running


@pytest.fixture
def postgresql_database(postgresql: PostgreSql) -> Iterator[PostgreSqlDatabase]:
    """An empty database for this test alone; `.url` is what `--catalog` takes."""
    database = postgresql.create_database()
    yield database
    postgresql.drop_database(database)


@pytest.fixture(scope="session")
def _migrated(postgresql: PostgreSql) -> str:
    """The name of a database with the tables of the newest revision, to which nobody is connected."""
    from archivmail.archive.catalog.database import Database, ensure_revision  # noqa: PLC0415 - as above
    from archivmail.archive.catalog.dialects import parse_url  # noqa: PLC0415

    made = postgresql.create_database()
    database = Database(parse_url(made.url))
    ensure_revision(database)
    database.close()
    return made.name


@pytest.fixture
def postgresql_catalog(postgresql: PostgreSql, _migrated: str) -> Iterator[PostgreSqlDatabase]:
    """An empty catalog for this test alone, with its tables made: quicker than `postgresql_database`."""
    database = postgresql.create_database(template=_migrated)
    yield database
    postgresql.drop_database(database)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 server, shared by the tests of one process: use `s3_bucket` to be alone."""
    from .s3 import S3Server  # noqa: PLC0415 - as above

    with S3Server() as running:
        yield running


@pytest.fixture
def s3_bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Bucket]:
    """An empty bucket for this test alone; `.url` is what `--archive` takes, and this process's environment holds
    the access to it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    bucket = s3.create_bucket()
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    yield bucket
    s3.remove_bucket(bucket)


@pytest.fixture(scope="session")
def cyrus() -> Iterator[Cyrus]:
    """The other IMAP server, shared by the tests of one process: use `cyrus_mailbox` to be alone."""
    from .cyrus import Cyrus  # noqa: PLC0415 - as above

    with Cyrus() as running:
        yield running


@pytest.fixture
def cyrus_mailbox(cyrus: Cyrus) -> Mailbox:
    """The empty mailbox of a new user on `cyrus`."""
    user = f"user{next(_numbers)}"
    return Mailbox(cyrus, user, cyrus.add_user(user))


@pytest.fixture(params=["dovecot", "cyrus"])
def any_mailbox(request: pytest.FixtureRequest) -> Mailbox:
    """An empty mailbox on each of the real servers in turn."""
    mailbox: Mailbox = request.getfixturevalue("mailbox" if request.param == "dovecot" else "cyrus_mailbox")
    return mailbox
