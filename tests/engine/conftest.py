"""A world on each of the real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.world import World
from tests.servers.fixtures import Mailbox


@pytest.fixture
def world(any_mailbox: Mailbox, tmp_path: Path) -> Iterator[World]:
    """An empty mailbox on Dovecot, then on Cyrus, and an empty archive."""
    made = World(any_mailbox, tmp_path / "archive")
    yield made
    made.close()


@pytest.fixture
def dovecot_world(mailbox: Mailbox, tmp_path: Path) -> Iterator[World]:
    """The same on a Dovecot alone, for what only Dovecot can show."""
    made = World(mailbox, tmp_path / "archive")
    yield made
    made.close()
