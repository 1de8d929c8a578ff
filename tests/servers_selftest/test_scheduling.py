"""What the tests share is made once, and what takes long goes first."""

from pathlib import Path

import pytest

from tests.scheduling import TOGETHER, Scheduling, out_of_place, scope_of

ROOT = Path(__file__).resolve().parents[2]


def test_files_that_share_a_fixture_are_one_scope() -> None:
    """All of them, whatever the parameters of a test look like."""
    for fixture, paths in TOGETHER.items():
        assert {fixture} == {scope_of(f"{path}::test_it[a::b]") for path in paths}
        assert [] == [path for path in paths if not (ROOT / path).exists()]


def test_any_other_test_is_its_own() -> None:
    """So that no worker waits for another one's file."""
    assert scope_of("tests/decide/test_due.py::test_a[1]") != scope_of("tests/decide/test_due.py::test_a[2]")


def test_a_test_that_would_make_a_shared_fixture_again_is_named() -> None:
    """A new file with the fixture and no line in the table."""
    assert out_of_place("tests/deploy/test_new.py::test_it", ["tmp_path", "image"]) == "image"
    assert out_of_place("tests/deploy/test_image.py::test_it", ["tmp_path", "image"]) is None


def test_workers_are_given_work_by_this_table(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest-xdist asks for a scheduler; without the hook it would take one that knows nothing of it."""
    monkeypatch.setattr(pytestconfig.option, "tx", ["popen"])
    monkeypatch.setattr(pytestconfig.option, "loadscopereorder", True)  # the hook takes it back: the order is ours
    made = pytestconfig.hook.pytest_xdist_make_scheduler(config=pytestconfig, log=None)

    assert isinstance(made, Scheduling)
    assert "image" == made._split_scope("tests/deploy/test_image.py::test_it")
    assert not pytestconfig.option.loadscopereorder
