"""Conditions row by row (operator-facts §2.2), as kstatus and `kubectl wait` read them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from archivmail.decide.due import Trigger
from archivmail.decide.spreading import EXACT
from archivmail.decide.status import acknowledge, begin, finish, refuse
from archivmail.model.outcome import AccountOutcome, Failure, QuarantinedUid, Result
from archivmail.model.reasons import Reason
from archivmail.model.status import AccountStatus, ConditionType
from archivmail.model.uidset import Uid, UidValidity
from tests.decide.builders import NOW, SPEC, a_failure, a_folder, an_outcome

NEW = begin(AccountStatus(), generation=1, trigger=Trigger.FIRST, now=NOW)


def shown(status: AccountStatus) -> dict[str, str]:
    return {each.type.value: f"{each.status} {each.reason}" for each in status.conditions}


def finished(outcome: AccountOutcome, previous: AccountStatus = NEW, generation: int = 1) -> AccountStatus:
    return finish(previous, outcome, spec=SPEC, generation=generation, requested_at=None, now=NOW, spread=EXACT)


READY = finished(an_outcome(a_folder()))
FAILING = replace(READY, consecutive_failures=2)
FRESH = {"Ready": "Unknown Progressing", "Complete": "Unknown NeverSynced"}
GOOD = {"Ready": "True Succeeded", "Complete": "True FullyArchived"}


def test_new_object_is_reconciling_and_not_ready() -> None:
    """kstatus InProgress: Ready Unknown, Reconciling True."""
    assert {**FRESH, "Reconciling": "True Progressing"} == shown(NEW)


def test_success_makes_ready_and_complete() -> None:
    """kstatus Current."""
    assert GOOD == shown(READY)
    assert (
        "All 3 messages that the server listed in 1 folder were archived at 2026-11-20T10:00:00Z."
        == (READY.condition(ConditionType.COMPLETE) or pytest.fail("no Complete")).message
    )


def test_periodic_run_changes_no_condition() -> None:
    """Otherwise every tick would flip the health that Flux and Argo CD show."""
    assert READY.conditions == begin(READY, generation=1, trigger=Trigger.INTERVAL, now=NOW).conditions


@pytest.mark.parametrize("trigger", [Trigger.GENERATION, Trigger.REQUEST, Trigger.SECRET])
def test_asked_for_run_is_reconciling(trigger: Trigger) -> None:
    """Ready stays what it was."""
    assert {**GOOD, "Reconciling": "True Progressing"} == shown(begin(READY, generation=2, trigger=trigger, now=NOW))


@pytest.mark.parametrize(
    ("previous", "outcome", "expected"),
    [
        pytest.param(
            READY,
            an_outcome(
                a_folder(), a_folder("Bad", archived=0, failure=a_failure(Reason.FOLDER_REFUSED)), result=Result.PARTIAL
            ),
            {
                "Ready": "True PartialSuccess",
                "Complete": "False PartialFailure",
                "FoldersDegraded": "True PartialFailure",
            },
            id="some-folders-failed",
        ),
        pytest.param(
            NEW,
            an_outcome(result=Result.FAILED, failure=a_failure()),
            {**FRESH, "Reconciling": "True ProgressingWithRetry"},
            id="network-before-first-sync",
        ),
        pytest.param(READY, an_outcome(result=Result.FAILED, failure=a_failure()), GOOD, id="network-once"),
        pytest.param(
            FAILING,
            an_outcome(result=Result.FAILED, failure=a_failure()),
            {**GOOD, "Ready": "False ConnectionFailed"},
            id="network-third-time",
        ),
        pytest.param(
            NEW,
            an_outcome(result=Result.FAILED, failure=a_failure(Reason.AUTHENTICATION_FAILED, needs_user=True)),
            {**FRESH, "Ready": "False AuthenticationFailed", "Stalled": "True AuthenticationFailed"},
            id="refused-credentials",
        ),
        pytest.param(
            NEW,
            an_outcome(result=Result.FAILED, failure=a_failure(Reason.TLS_FAILED, needs_user=True)),
            {**FRESH, "Ready": "False TLSFailed", "Stalled": "True TLSFailed"},
            id="certificate",
        ),
        pytest.param(
            READY,
            an_outcome(a_folder(reset_from=UidValidity(6))),
            {**GOOD, "UIDValidityChanged": "True UIDValidityChanged"},
            id="uidvalidity-changed",
        ),
        pytest.param(
            READY,
            an_outcome(a_folder(server=10, archived=10, limited=True, complete=False), result=Result.PARTIAL),
            {"Ready": "True PartialSuccess", "Complete": "False LimitedView", "LimitedView": "True LimitedView"},
            id="limited-view",
        ),
        pytest.param(
            READY,
            an_outcome(a_folder(archived=2), result=Result.PARTIAL),
            {"Ready": "True PartialSuccess", "Complete": "False MessagesPending"},
            id="message-pending",
        ),
        pytest.param(READY, an_outcome(result=Result.INTERRUPTED), GOOD, id="shutdown-in-mid-run"),
        pytest.param(
            READY,
            an_outcome(a_folder(archived=1), result=Result.INTERRUPTED),
            {**GOOD, "Complete": "False MessagesPending"},
            id="shutdown-after-new-mail-was-seen",
        ),
    ],
)
def test_conditions_after_a_run(previous: AccountStatus, outcome: AccountOutcome, expected: dict[str, str]) -> None:
    """One row of the table each."""
    assert expected == shown(finished(outcome, previous))


@pytest.mark.parametrize("reason", [Reason.SECRET_NOT_FOUND, Reason.SECRET_KEY_MISSING])
def test_missing_secret_is_not_stalled(reason: Reason) -> None:
    """It may be applied later in the same commit: a waiting Kustomization goes on waiting."""
    status = refuse(
        NEW, a_failure(reason, needs_user=True), generation=1, requested_at=None, spec=SPEC, now=NOW, spread=EXACT
    )

    assert {**FRESH, "Ready": f"False {reason}", "Reconciling": "True ProgressingWithRetry"} == shown(status)
    assert NOW + timedelta(seconds=1) == status.next_sync_time


def test_quarantined_messages_are_named_and_keep_complete_false() -> None:
    """Invariant 7: folder, UID and reason stand in the message."""
    quarantined = (QuarantinedUid("INBOX", Uid(17), Reason.MESSAGE_REFUSED, 4),)
    folder = replace(a_folder(archived=2, quarantined=1), quarantined=quarantined)
    outcome = an_outcome(folder, result=Result.PARTIAL)

    complete = finished(outcome).condition(ConditionType.COMPLETE)

    assert complete is not None
    assert Reason.MESSAGES_QUARANTINED is complete.reason
    assert "INBOX UID 17 (MessageRefused)" in complete.message


def test_recovery_clears_what_was_wrong() -> None:
    """Stalled, FoldersDegraded, LimitedView and UIDValidityChanged go with the next good run."""
    wrong = finished(
        an_outcome(
            a_folder(failure=a_failure(), limited=True, reset_from=UidValidity(1), complete=False),
            result=Result.PARTIAL,
        )
    )
    stalled = finished(an_outcome(result=Result.FAILED, failure=a_failure(Reason.TLS_FAILED, needs_user=True)), wrong)
    assert {"Ready", "Complete", "Stalled", "FoldersDegraded", "LimitedView", "UIDValidityChanged"} == set(
        shown(stalled)
    )

    assert GOOD == shown(finished(an_outcome(a_folder()), stalled))


def test_transition_time_moves_only_when_the_status_flips() -> None:
    """Kubernetes API conventions."""
    later = NOW + timedelta(hours=1)
    again = finish(
        READY,
        an_outcome(a_folder(), ended_at=later),
        spec=SPEC,
        generation=2,
        requested_at=None,
        now=later,
        spread=EXACT,
    )

    assert {NOW} == {each.last_transition_time for each in again.conditions}
    assert {2} == {each.observed_generation for each in again.conditions}


def test_acknowledged_manual_account_says_how_to_run_it() -> None:
    """interval 0s and never requested: observedGeneration is written, no run is planned."""
    status = acknowledge(AccountStatus(), generation=1, is_suspended=False, now=NOW)

    assert (1, None) == (status.observed_generation, status.next_sync_time)
    assert {"Ready": "Unknown NeverSynced", "Complete": "Unknown NeverSynced"} == shown(status)


def test_run_in_progress_elsewhere_touches_no_condition_and_keeps_the_request() -> None:
    """Two operators by mistake: the one that came second waits."""
    status = finish(
        READY,
        an_outcome(result=Result.FAILED, failure=Failure(Reason.RUN_IN_PROGRESS, "text")),
        spec=SPEC,
        generation=1,
        requested_at="r9",
        now=NOW,
        spread=EXACT,
    )

    assert replace(READY, next_sync_time=NOW + timedelta(seconds=15)) == status
