"""INTERNALDATE as a number: what a server writes, and what no calendar has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.archive.packs.internaldate import seconds


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param("17-Jul-1996 02:44:25 -0700", 837_596_665, id="rfc-example"),
        pytest.param(" 1-Jan-1970 00:00:01 +0000", 1, id="day-with-a-blank"),
        pytest.param("1-JAN-1970 01:00:01 +0100", 1, id="one-digit-and-upper-case"),
        pytest.param("01-Jan-1970 00:00:00 -0030", 1800, id="west-of-greenwich"),
        pytest.param("29-Feb-2024 00:00:00 +0000", 1_709_164_800, id="leap-day"),
        pytest.param("29-Feb-2023 00:00:00 +0000", 0, id="no-leap-day"),
        pytest.param("00-Jan-0000 00:00:00 +0000", 0, id="year-zero"),
        pytest.param("17-Foo-1996 02:44:25 -0700", 0, id="no-month"),
        pytest.param("17-Jul-1996 02:44:25", 0, id="no-zone"),
        pytest.param("", 0, id="nothing"),
    ],
)
def test_internal_date_is_read(raw: str, expected: int) -> None:
    """RFC 9051 §9, date-time."""
    assert seconds(raw) == expected


@given(st.text(max_size=40))
def test_reading_never_raises(raw: str) -> None:
    """A server's nonsense must not stop a run."""
    assert isinstance(seconds(raw), int)
