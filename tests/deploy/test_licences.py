"""What the image brings along may be passed on: every package of its lock has a licence that we looked at."""

from __future__ import annotations

import re
from importlib.metadata import metadata

import pytest

from .chart import CHECKOUT

LOCKED = re.findall(r"^([\w.-]+)==", (CHECKOUT / "requirements" / "runtime.lock").read_text(), re.MULTILINE)
ALLOWED = {
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "PSF-2.0",
    "MPL-2.0",  # certifi: the list of authorities, unchanged
    "LGPL-3.0-only",  # psycopg: a library of its own, which anybody can replace in the image
}  # fmt: skip
OF_CLASSIFIERS = {"MIT License": "MIT", "Apache Software License": "Apache-2.0", "BSD License": "BSD-3-Clause"}
WORDS = {"Apache 2.0": "Apache-2.0"}
NOT_TOLD = {"imapclient": "BSD-3-Clause"}
"""Whose metadata say nothing; read in the file COPYING."""


def licences_of(name: str) -> set[str]:
    """SPDX identifiers, from whichever field has them."""
    about = metadata(name)
    told = about.get("License-Expression") or about.get("License")
    if told:
        return {WORDS.get(each, each) for each in re.split(r" (?:AND|OR) ", told)}
    classifiers = [each.rpartition(" :: ")[2] for each in about.get_all("Classifier") or () if "License ::" in each]
    return {OF_CLASSIFIERS[each] for each in classifiers} or {NOT_TOLD[name]}


@pytest.mark.parametrize("name", LOCKED)
def test_a_package_has_a_licence_that_is_allowed(name: str) -> None:
    """Another one is a decision, not an accident of an update."""
    assert licences_of(name) <= ALLOWED
