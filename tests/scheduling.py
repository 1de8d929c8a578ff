"""Which tests share a worker, and which begin first: how `make test` keeps two cores busy to the end.

`xdist_group` cannot be used: since pytest 9.2 pytest-xdist 3.8 ignores it without a word
(https://github.com/pytest-dev/pytest-xdist/issues/1386), so what was to be made once was made by every worker.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER = {
    "image": ["tests/deploy/test_image.py"],
    "fleet": ["tests/dashboards/test_on_prometheus.py", "tests/dashboards/test_pictures.py"],
    "release": [
        "tests/deploy/test_argocd.py",
        "tests/deploy/test_gitops.py",
        "tests/deploy/test_life_cycle.py",
        "tests/deploy/test_rights.py",
        "tests/deploy/test_upgrade.py",
        "tests/docs/test_installing.py",
    ],
    "corpora": ["tests/engine/test_whole_corpora.py"],
}
"""Fixtures that take many seconds to make, and the files whose tests use them: all of those run on one worker."""
_GROUPS = {path: fixture for fixture, paths in TOGETHER.items() for path in paths}


def scope_of(nodeid: str) -> str:
    """Tests of one scope run on one worker, one after the other."""
    return _GROUPS.get(nodeid.partition("::")[0], nodeid)


def out_of_place(nodeid: str, fixtures: Iterable[str]) -> str | None:
    """The fixture that a test would make once more, because it is not among those that share it."""
    return next((each for each in fixtures if each in TOGETHER and scope_of(nodeid) != each), None)


class Scheduling(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist's types are partial
    """Work in the order of the items, a scope at a time."""

    def _split_scope(self, nodeid: str) -> str:  # the method that pytest-xdist's documentation has overridden
        return scope_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Instead of the one that `--dist` names."""
    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long goes first, so that no worker begins it when the others have nothing left to do."""
    for item in items:
        fixture = out_of_place(item.nodeid, getattr(item, "fixturenames", ()))
        if fixture is not None:
            raise pytest.UsageError(
                f"{item.nodeid} uses the fixture {fixture}: name its file in tests/scheduling.py, "
                "or every worker makes one"
            )
    items.sort(key=_rank)  # a sort that keeps the order of equals


def _rank(item: pytest.Item) -> int:
    if scope_of(item.nodeid) != item.nodeid:
        return 0
    return 1 if item.get_closest_marker("slow") else 2
