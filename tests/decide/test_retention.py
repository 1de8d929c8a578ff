"""Which mail is past its time, and what a removed message that the server still lists needs."""

from datetime import UTC, datetime, timedelta

import pytest

from archivmail.decide.retention import counts_as_settled, cutoff, is_expired, is_longer
from archivmail.model.retention import Gone, Policy, RemovalId, Why

NOW = datetime(2026, 11, 27, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
DAY_S = 86_400
YEAR = Policy(timedelta(days=365))
TEN_YEARS = Policy(timedelta(days=3650))


@pytest.mark.parametrize(
    ("policy", "age_s", "is_past"),
    [
        pytest.param(Policy(), 100 * 365 * DAY_S // 2, False, id="for-ever"),
        pytest.param(YEAR, 365 * DAY_S, False, id="to-the-second"),
        pytest.param(YEAR, 365 * DAY_S + 1, True, id="a-second-later"),
        pytest.param(YEAR, -DAY_S, False, id="from-the-future"),
        pytest.param(Policy(timedelta(days=365), hold=True), 3650 * DAY_S, False, id="under-hold"),
    ],
)
def test_a_message_is_past_its_time_after_keep_for(policy: Policy, age_s: int, is_past: bool) -> None:
    """Counted from INTERNALDATE; a hold suspends it."""
    assert is_expired(NOW_S - age_s, cutoff(policy, NOW)) is is_past


def test_a_message_without_a_readable_date_is_kept() -> None:
    """Nobody knows its age: 0 stands for it."""
    assert not is_expired(0, cutoff(YEAR, NOW))


def test_a_date_before_1970_is_no_date() -> None:
    """There was no mail then, so a server's nonsense removes nothing; nor does a limit from before 1970."""
    assert not is_expired(-1, cutoff(YEAR, NOW))
    assert not is_expired(1, cutoff(Policy(timedelta(days=36500)), NOW))


@pytest.mark.parametrize(
    ("why", "policy", "is_settled"),
    [
        pytest.param(Why.EXPIRED, YEAR, True, id="expired-and-still-past"),
        pytest.param(Why.EXPIRED, TEN_YEARS, False, id="expired-but-kept-longer-now"),
        pytest.param(Why.EXPIRED, Policy(), False, id="expired-but-kept-for-ever-now"),
        pytest.param(Why.EXPIRED, Policy(timedelta(days=365), hold=True), False, id="expired-but-under-hold"),
        pytest.param(Why.ERASED, Policy(), True, id="erased"),
        pytest.param(Why.ERASED, Policy(hold=True), True, id="erased-before-the-hold"),
    ],
)
def test_what_was_removed_is_settled_while_the_policy_would_remove_it(
    why: Why, policy: Policy, is_settled: bool
) -> None:
    """So that Complete never says of a message that it is archived which the policy in force wants kept."""
    assert counts_as_settled(why, NOW_S - 730 * DAY_S, cutoff(policy, NOW)) is is_settled


@pytest.mark.parametrize(
    ("before", "after", "longer"),
    [
        pytest.param(YEAR, TEN_YEARS, True, id="years-more"),
        pytest.param(TEN_YEARS, YEAR, False, id="years-less"),
        pytest.param(YEAR, Policy(), True, id="for-ever"),
        pytest.param(Policy(), YEAR, False, id="no-more-for-ever"),
        pytest.param(YEAR, Policy(YEAR.keep_for, hold=True), True, id="hold-set"),
        pytest.param(Policy(YEAR.keep_for, hold=True), YEAR, False, id="hold-released"),
        pytest.param(Policy(), Policy(hold=True), False, id="hold-on-what-is-kept-anyway"),
    ],
)
def test_who_keeps_mail_longer_compares_every_folder_anew(before: Policy, after: Policy, longer: bool) -> None:
    """What was past its time may be wanted again."""
    assert is_longer(before, after) is longer


def test_a_tombstone_reads_as_it_was_written() -> None:
    """And nothing else is one."""
    gone = Gone(Why.ERASED, RemovalId("0123456789ab"))

    assert Gone.parse(str(gone)) == gone
    with pytest.raises(ValueError, match="lost"):
        Gone.parse("lost 0123456789ab")
