"""Fixtures of the deployment tests."""

from __future__ import annotations

import pytest

from .image import BuiltImage, build


@pytest.fixture(scope="session")
def image() -> BuiltImage:
    """The image, built once for a test run."""
    return build()
