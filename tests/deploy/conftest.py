"""Fixtures of the deployment tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .image import BuiltImage, build
from .release import Release
from .story import Story, tell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.controlplane import ControlPlane
    from tests.servers.fixtures import Mailbox


@pytest.fixture(scope="session")
def image() -> BuiltImage:
    """The image, built once for a test run."""
    return build()


@pytest.fixture(scope="session")
def lasting_mailbox() -> Iterator[Mailbox]:
    """A mailbox for tests that share what happened to it."""
    from tests.servers.dovecot import Dovecot  # noqa: PLC0415 - a run without servers needs none of it
    from tests.servers.fixtures import Mailbox  # noqa: PLC0415 - as above

    with Dovecot() as running:
        yield Mailbox(running, "alice", running.add_user("alice"))


@pytest.fixture(scope="session")
def release(control_plane: ControlPlane) -> Release:
    """The chart with its default values, but that mail servers may be on this machine; installed by helm."""
    made = Release(control_plane)
    made.install('egressAllow=["127.0.0.0/8"]')
    control_plane.kubectl("wait", "--for=condition=Established", "crd/imapaccounts.archivmail.io", "--timeout=30s")
    return made


@pytest.fixture(scope="session")
def story(release: Release, lasting_mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Told once for all tests of one process; see tests/scheduling.py."""
    namespace = release.plane.create_namespace("tenant")
    return tell(release, lasting_mailbox, namespace, tmp_path_factory.mktemp("story"))
