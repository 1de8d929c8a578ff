"""When a long run lets others go first. Knows durations and counts; knows no queue and no clock."""

from datetime import timedelta

LONGEST_TURN = timedelta(minutes=5)


def gives_way(*, ran_for: timedelta, is_wanted: bool, kept: int) -> bool:
    """Should the run end at its next batch and queue up again?

    Only for somebody who waits, and never before it has archived something: a turn that gets nowhere would be repeated
    for ever.
    """
    return is_wanted and kept > 0 and ran_for >= LONGEST_TURN
