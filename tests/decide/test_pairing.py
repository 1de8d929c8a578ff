"""A second connection is opened where it helps and where the server bears it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archivmail.decide.compressing import Line
from archivmail.decide.pairing import ENOUGH_BATCHES, is_worth_pairing

FAR = Line(is_loopback=False, round_trip_s=0.1)


@pytest.mark.parametrize(
    ("line", "batches", "is_one_by_one", "most_messages", "is_worth"),
    [
        pytest.param(FAR, ENOUGH_BATCHES, False, 200, True, id="far"),
        pytest.param(replace(FAR, round_trip_s=0.02), 10, False, 200, True, id="just-far"),
        pytest.param(replace(FAR, round_trip_s=0.019), 10, False, 200, False, id="near"),
        pytest.param(Line(False, 0.001, 2 * 1024**2, 2.0), 10, False, 200, True, id="near-but-slow"),
        pytest.param(replace(FAR, is_loopback=True), 10, False, 200, False, id="loopback"),
        pytest.param(FAR, ENOUGH_BATCHES - 1, False, 200, False, id="few-messages"),
        pytest.param(FAR, 10, True, 200, False, id="exchange"),
        pytest.param(FAR, 10, False, 100, False, id="throttled"),
    ],
)
def test_a_second_connection_is_worth_it(
    line: Line, batches: int, is_one_by_one: bool, most_messages: int, is_worth: bool
) -> None:
    """trap 89: two at most, and only for much mail over a slow line."""
    found = is_worth_pairing(line, batches=batches, is_one_by_one=is_one_by_one, most_messages=most_messages)

    assert found is is_worth
