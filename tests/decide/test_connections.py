"""How many connections are opened to one server (trap 89)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail import settings
from archivmail.decide.connections import (
    DEFAULT_PER_SERVER,
    MAX_PER_SERVER,
    RAISE_EVERY_S,
    Allowance,
    after_complaint,
    allowed,
    concerns_account,
)


def test_a_complaint_leaves_what_was_open_before() -> None:
    """trap 89: the server took six and refused the seventh."""
    assert allowed(after_complaint(Allowance(10), 7, 0.0), 0.0) == 6


@pytest.mark.parametrize(
    ("seconds", "count"),
    [(0, 6), (RAISE_EVERY_S - 1, 6), (RAISE_EVERY_S, 7), (3 * RAISE_EVERY_S, 9), (99 * RAISE_EVERY_S, 10)],
)
def test_the_number_rises_slowly_to_what_it_was(seconds: float, count: int) -> None:
    """trap 89: one more each ten minutes, never beyond the setting."""
    assert allowed(after_complaint(Allowance(10), 7, 0.0), seconds) == count


@given(
    ceiling=st.integers(1, 1000),
    complaints=st.lists(st.tuples(st.integers(0, 1000), st.floats(0, 1e6)), max_size=20),
)
def test_there_is_always_one_and_never_more_than_the_setting(ceiling: int, complaints: list[tuple[int, float]]) -> None:
    """trap 89: whatever a server complains of, each run gets its turn."""
    allowance = Allowance(ceiling)
    for open_, at in complaints:
        allowance = after_complaint(allowance, open_, at)
        assert 1 <= allowed(allowance, at) <= ceiling


@pytest.mark.parametrize(
    ("text", "is_of_account"),
    [
        ("[UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", True),
        ("[ALERT] Too many simultaneous connections. (Failure)", True),
        ("Too many open connections (11 of 10 from host)", False),
        ("Too many connections from your IP", False),
    ],
)
def test_a_limit_of_one_user_is_told_from_one_of_the_server(text: str, *, is_of_account: bool) -> None:
    """trap 89: Dovecot and Gmail count users, Cyrus hosts."""
    assert concerns_account(text) is is_of_account


def test_the_setting_has_the_bounds_of_the_rule() -> None:
    """Settings import no rules, so the two numbers are written twice."""
    assert settings.HOST_CONNECTIONS == (DEFAULT_PER_SERVER, MAX_PER_SERVER)
