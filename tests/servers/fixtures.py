"""The servers as pytest fixtures. Loaded by `pytest_plugins = ["tests.servers.fixtures"]` in tests/conftest.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .controlplane import ControlPlane
    from .dovecot import Dovecot
    from .postgresql import PostgreSql, PostgreSqlDatabase


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One user's mailbox: where it is, and who may log in."""

    server: Dovecot
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
