"""Who may hold a Lease: never two at once, whatever their clocks say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.decide.leases import Held, Terms, gives_up_at, may_take, runs_out_at, watch

TERMS = Terms(15.0)
THEIRS = Held("them", 15.0, version="7")


def test_terms_are_those_of_kubernetes() -> None:
    """15 s, 10 s and 2 s."""
    assert (TERMS.duration, TERMS.renew, TERMS.retry) == (15.0, 10.0, 2.0)


@pytest.mark.parametrize(
    ("now", "may"),
    [pytest.param(114.9, False, id="just-before-its-end"), pytest.param(115.0, True, id="at-its-end")],
)
def test_a_lease_has_run_out_when_it_was_seen_unchanged_for_its_duration(now: float, may: bool) -> None:
    """Counted from our first sight of it, however old it was then."""
    watched = watch(None, THEIRS, 100.0)
    watched = watch(watched, THEIRS, 110.0)

    assert may_take(watched, "me", now) is may


def test_a_renewal_begins_the_wait_anew() -> None:
    """Even when holder and duration are the same: the version is another one."""
    watched = watch(watch(None, THEIRS, 100.0), Held("them", 15.0, version="8"), 110.0)

    assert not may_take(watched, "me", 124.9)
    assert may_take(watched, "me", 125.0)


def test_the_duration_that_counts_is_the_holders() -> None:
    """During a change of ARCHIVMAIL_LEASE_SECONDS the two differ."""
    watched = watch(None, Held("them", 60.0, version="7"), 100.0)

    assert not may_take(watched, "me", 159.9)
    assert may_take(watched, "me", 160.0)


@pytest.mark.parametrize("holder", ["", "me"])
def test_a_lease_that_was_given_back_or_is_ours_is_taken_at_once(holder: str) -> None:
    """A pod that ended cleanly makes nobody wait."""
    assert may_take(watch(None, Held(holder, 15.0, version="7"), 100.0), "me", 100.0)


@given(
    duration=st.floats(1, 300),
    asked_at=st.floats(0, 1000),
    takes_effect_after=st.floats(0, 20),
    seen_after=st.floats(0, 20),
    offset=st.floats(-1e6, 1e6),
)
def test_runs_have_ended_before_anybody_else_may_hold_the_lease(
    duration: float, asked_at: float, takes_effect_after: float, seen_after: float, offset: float
) -> None:
    """With clocks that differ by any offset: a write is seen after it was asked for, and both count from there."""
    terms = Terms(duration)
    seen_at = asked_at + takes_effect_after + seen_after + offset  # on the other's clock
    watched = watch(None, Held("us", duration, "1"), seen_at)
    end_on_their_clock = runs_out_at(asked_at, terms) + offset

    assert gives_up_at(asked_at, terms) < runs_out_at(asked_at, terms)
    assert not may_take(watched, "them", end_on_their_clock - 1e-6 * duration - 1e-3)
