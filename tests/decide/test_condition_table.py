"""Every row of the table in docs/conditions.md (operator-facts §2.2) is what the pure functions say."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from archivmail.decide.due import Trigger
from archivmail.decide.notices import notices
from archivmail.decide.spreading import EXACT
from archivmail.decide.status import acknowledge, begin, finish, refuse
from archivmail.model.notices import Notice
from archivmail.model.outcome import AccountOutcome, Failure, Result
from archivmail.model.reasons import Reason
from archivmail.model.status import AccountStatus, ConditionType
from archivmail.model.uidset import UidValidity
from tests.decide.builders import NOW, SPEC, a_failure, a_folder, an_outcome

PAGE = Path(__file__).parents[2] / "docs" / "conditions.md"
CELL = re.compile(r"(?:(\w+)=)?(True|False|Unknown) `(\w+)`")


@dataclass(frozen=True)
class Told:
    before: AccountStatus
    after: AccountStatus
    notices: list[Notice]


def ran(outcome: AccountOutcome, previous: AccountStatus) -> Told:
    after = finish(previous, outcome, spec=SPEC, generation=1, requested_at=None, now=NOW, spread=EXACT)
    return Told(previous, after, notices(previous, after, outcome))


def began(previous: AccountStatus, trigger: Trigger, generation: int = 1) -> Told:
    return Told(previous, begin(previous, generation=generation, trigger=trigger, now=NOW), [])


def failed(reason: Reason, previous: AccountStatus, *, needs_user: bool = False) -> Told:
    return ran(an_outcome(result=Result.FAILED, failure=a_failure(reason, needs_user=needs_user)), previous)


def refused(reason: Reason) -> Told:
    failure = a_failure(reason, needs_user=True)
    after = refuse(GOOD, failure, generation=1, requested_at=None, spec=SPEC, now=NOW, spread=EXACT)
    return Told(GOOD, after, notices(GOOD, after, None))


SUCCESS = an_outcome(a_folder())
NEW = begin(AccountStatus(), generation=1, trigger=Trigger.FIRST, now=NOW)
GOOD = ran(SUCCESS, NEW).after
BAD_FOLDER = a_folder("Bad", server=0, archived=0, failure=a_failure(Reason.FOLDER_REFUSED), complete=False)
CUT = an_outcome(a_folder(), result=Result.INTERRUPTED)
TURN = replace(CUT, failure=Failure(Reason.GAVE_WAY, "text"))
SITUATIONS: dict[str, Callable[[], Told]] = {
    "new account, its first run goes on": lambda: began(AccountStatus(), Trigger.FIRST),
    "new generation, its run goes on": lambda: began(GOOD, Trigger.GENERATION, 2),
    "`requestedAt` or changed Secret, its run goes on": lambda: began(GOOD, Trigger.REQUEST),
    "periodic run goes on": lambda: began(GOOD, Trigger.INTERVAL),
    "success, first or after a failure": lambda: ran(SUCCESS, NEW),
    "success again": lambda: ran(SUCCESS, GOOD),
    "some folders failed": lambda: ran(an_outcome(a_folder(), BAD_FOLDER, result=Result.PARTIAL), GOOD),
    "network, throttled, server error: once": lambda: failed(Reason.CONNECTION_FAILED, GOOD),
    "network, throttled, server error: third time": lambda: failed(
        Reason.CONNECTION_FAILED, replace(GOOD, consecutive_failures=2)
    ),
    "network, before the generation was archived": lambda: failed(
        Reason.CONNECTION_FAILED, began(GOOD, Trigger.GENERATION, 2).after
    ),
    "credentials refused": lambda: failed(Reason.AUTHENTICATION_FAILED, GOOD, needs_user=True),
    "Secret missing": lambda: refused(Reason.SECRET_NOT_FOUND),
    "key of the Secret missing": lambda: refused(Reason.SECRET_KEY_MISSING),
    "certificate refused": lambda: failed(Reason.TLS_FAILED, GOOD, needs_user=True),
    "server cannot do what is asked (LOGINDISABLED, no such capability)": lambda: failed(
        Reason.SERVER_UNSUITABLE, GOOD, needs_user=True
    ),
    "UIDVALIDITY changed": lambda: ran(an_outcome(a_folder(reset_from=UidValidity(6))), GOOD),
    # Suspended is told by kube/scheduler.py when the spec changes, not by a change of status.
    "suspended": lambda: Told(GOOD, acknowledge(GOOD, generation=2, is_suspended=True, now=NOW), []),
    "shutdown in mid-run": lambda: ran(CUT, GOOD),
    "turn over, others waited": lambda: ran(TURN, GOOD),
}


def table() -> dict[str, list[str]]:
    rows = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return {cells[0].strip(): [each.strip() for each in cells[1:]] for cells in rows if len(cells) == 7}


def test_every_row_of_the_page_is_tested_and_every_situation_is_on_the_page() -> None:
    """The header apart."""
    assert SITUATIONS.keys() == table().keys() - {"situation"}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_situation_is_shown_as_the_table_says(situation: str) -> None:
    """operator-facts §2.2, row by row: Ready, Reconciling, Stalled, what else, and the Event."""
    told = SITUATIONS[situation]()
    ready, reconciling, stalled, others, event, kstatus = table()[situation]

    for kind, cell in (("Ready", ready), ("Reconciling", reconciling), ("Stalled", stalled)):
        assert shown(told.after, kind) == expected(cell, told.before, kind)
    for kind in ConditionType:
        if kind.value not in {"Ready", "Reconciling", "Stalled"}:
            named = next((each for each in CELL.findall(others) if each[0] == kind.value), None)
            wanted = (named[1], named[2]) if named else shown(told.before, kind.value)
            assert shown(told.after, kind.value) == wanted
    if "Suspended" not in event:
        events = [f"{each.severity} `{each.reason}`" for each in told.notices]
        assert event in ({"-"} if not events else set(events))
    assert kstatus == verdict(told.after)


def test_shutdown_in_mid_run_says_so_in_last_result() -> None:
    """The one thing that it leaves; a turn that is over leaves nothing."""
    assert SITUATIONS["shutdown in mid-run"]().after.last_result is Result.INTERRUPTED
    assert SITUATIONS["turn over, others waited"]().after.last_result is Result.SUCCEEDED


def shown(status: AccountStatus, kind: str) -> tuple[str, str] | None:
    found = status.condition(ConditionType(kind))
    return (found.status.value, found.reason.value) if found else None


def expected(cell: str, before: AccountStatus, kind: str) -> tuple[str, str] | None:
    if cell == "-":
        return None
    if cell == "unchanged":
        return shown(before, kind)
    found = CELL.fullmatch(cell)
    assert found, cell
    return found[2], found[3]


def verdict(status: AccountStatus) -> str:
    """As kstatus' generic rules have it; tests/kube/runtime/test_kstatus.py asks the library itself."""
    if (shown(status, "Reconciling") or ("",))[0] == "True":
        return "InProgress"
    if (shown(status, "Stalled") or ("",))[0] == "True":
        return "Failed"
    return "Current" if (shown(status, "Ready") or ("",))[0] == "True" else "InProgress"
