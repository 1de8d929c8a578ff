"""S1: accounts are kept apart in time, by nothing but their identity."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.decide.spreading import EXACT, JITTER, Spread, moved, next_in_phase, spread_of, whole_second
from tests.decide.builders import NOW

TEN_MINUTES = timedelta(minutes=10)


def runs(spread: Spread, count: int, *, took: timedelta = timedelta(seconds=5)) -> list[datetime]:
    """Starts of runs, the first at NOW, each of which takes so long."""
    starts = [NOW]
    for _ in range(count):
        starts.append(whole_second(next_in_phase(starts[-1] + took, TEN_MINUTES, spread)))
    return starts


def test_the_same_account_gets_the_same_times_in_every_process() -> None:
    """No chance in it: what a restart computes is what was computed before."""
    assert spread_of("uid-1") == spread_of("uid-1")
    assert spread_of("uid-1") != spread_of("uid-2")
    assert runs(spread_of("uid-1"), 20) == runs(spread_of("uid-1"), 20)


@given(
    identity=st.text(),
    seconds=st.integers(30, 7 * 24 * 3600),
    now=st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001 - made aware below
)
def test_no_time_is_moved_by_more_than_five_percent(identity: str, seconds: int, now: datetime) -> None:
    """Whatever the account, its interval and the time of day."""
    at, interval = now.replace(tzinfo=NOW.tzinfo), timedelta(seconds=seconds)
    spread = spread_of(identity)

    assert abs(next_in_phase(at, interval, spread) - at - interval) <= interval * JITTER + timedelta(microseconds=10)
    assert abs(moved(interval, spread, 3) - interval) <= interval * JITTER


def test_a_thousand_accounts_of_one_commit_drift_apart_and_stay_apart() -> None:
    """All began in the same second; after ten intervals no tenth of the interval has twice or half its share."""
    begun = [runs(spread_of(f"uid-{number}"), 40) for number in range(1000)]
    for after in (15, 40):
        tenths = [0] * 10
        for starts in begun:
            tenths[int(starts[after].timestamp() % 600 // 60)] += 1
        assert max(tenths) < 200
        assert min(tenths) > 50


def test_an_account_keeps_its_place_once_it_has_found_it() -> None:
    """A stable phase: the minute at which people see it run is always the same."""
    starts = runs(spread_of("uid-1"), 60)

    assert 1 == len({each.timestamp() % 600 for each in starts[20:]})


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_accounts_that_failed_together_do_not_come_back_together(failures: int) -> None:
    """A server that comes up again is not run over by all its accounts in one second."""
    minute = timedelta(minutes=1)
    times = {round(moved(minute, spread_of(f"uid-{number}"), failures).total_seconds(), 1) for number in range(1000)}

    assert len(times) > 50
    assert len({moved(minute, spread_of("uid-1"), attempt) for attempt in (1, 2, 3)}) == 3


def test_without_a_spread_times_are_exact() -> None:
    """For the command line, which has no neighbours."""
    assert NOW + TEN_MINUTES == next_in_phase(NOW, TEN_MINUTES, EXACT)
    assert TEN_MINUTES == moved(TEN_MINUTES, EXACT, 2)


def test_the_time_that_is_shown_is_the_time_that_is_meant() -> None:
    """`.status` has whole seconds: rounded down, a restarted operator would come early."""
    assert NOW + timedelta(seconds=1) == whole_second(NOW + timedelta(microseconds=1))
    assert whole_second(NOW) == NOW
