"""The servers as pytest fixtures. Loaded by `pytest_plugins = ["tests.servers.fixtures"]` in tests/conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .controlplane import ControlPlane


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
