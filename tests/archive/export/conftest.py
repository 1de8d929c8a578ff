"""Placements and octets from memory."""

import pytest

from tests.archive.export.sightings import Mailbox


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()
