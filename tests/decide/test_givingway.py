"""When a long run lets others go first, and what its status says between two turns."""

from dataclasses import replace
from datetime import timedelta

import pytest

from archivmail.decide.due import Observed, RunNow, Trigger, next_step
from archivmail.decide.givingway import LONGEST_TURN, gives_way
from archivmail.decide.notices import notices
from archivmail.decide.spreading import EXACT
from archivmail.decide.status import begin, finish
from archivmail.model.outcome import Failure, Result
from archivmail.model.reasons import Reason
from archivmail.model.status import AccountStatus
from tests.decide.builders import NOW, SPEC, a_folder, an_outcome

SECOND = timedelta(seconds=1)
TURN_OVER = an_outcome(
    a_folder(server=900, archived=300),
    result=Result.INTERRUPTED,
    failure=Failure(Reason.GAVE_WAY, "text", stage="fetch"),
    added=300,
)
FIRST = begin(AccountStatus(), generation=1, trigger=Trigger.FIRST, now=NOW - LONGEST_TURN)


@pytest.mark.parametrize(
    ("ran_for", "is_wanted", "kept", "expected"),
    [
        pytest.param(LONGEST_TURN, True, 1, True, id="others-wait-after-five-minutes"),
        pytest.param(LONGEST_TURN - SECOND, True, 1, False, id="a-second-before"),
        pytest.param(10 * LONGEST_TURN, False, 1, False, id="nobody-waits"),
        pytest.param(10 * LONGEST_TURN, True, 0, False, id="it-would-have-to-begin-again-where-it-began"),
    ],
)
def test_a_run_gives_way(ran_for: timedelta, is_wanted: bool, kept: int, expected: bool) -> None:
    """Five minutes, somebody who waits, and something archived: a turn that gets nowhere would be repeated for ever."""
    assert expected == gives_way(ran_for=ran_for, is_wanted=is_wanted, kept=kept)


def test_a_turn_that_is_over_is_no_result() -> None:
    """Counts are shown, the run is due at once, and nothing says failed or interrupted."""
    status = finish(FIRST, TURN_OVER, spec=SPEC, generation=1, requested_at="r1", now=NOW, spread=EXACT)

    assert (None, 0, None) == (status.last_result, status.consecutive_failures, status.last_sync_time)
    assert status.messages is not None
    assert (900, 300, 600) == (status.messages.server, status.messages.archived, status.messages.pending)
    assert {"Ready": "Progressing", "Complete": "MessagesPending", "Reconciling": "Progressing"} == {
        each.type.value: each.reason.value for each in status.conditions
    }
    assert [] == notices(FIRST, status, TURN_OVER)


def test_a_turn_that_is_over_leaves_the_request_open() -> None:
    """S4: it is answered when the run is through; the next turn still is the requested run."""
    status = finish(FIRST, TURN_OVER, spec=SPEC, generation=1, requested_at="r1", now=NOW, spread=EXACT)
    observed = Observed(1, suspend=False, interval=SPEC.interval, requested_at="r1", status=status, created_at=NOW)

    assert status.last_handled_reconcile_at is None
    assert RunNow(Trigger.REQUEST) == next_step(observed, NOW)
    assert RunNow(Trigger.INTERVAL) == next_step(replace(observed, requested_at=None), NOW)
