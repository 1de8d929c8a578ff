"""SIGKILL at random moments of a first sync: nothing lost, nothing twice."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

from tests.corpus.realistic import messages
from tests.e2e.archives import assert_equal_to_server, contents_stored, placements
from tests.e2e.operating import Account, Operator, archivmail, json_lines

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(600)]

KILLS = 20
LONGEST_S = 2.0


def test_operator_killed_twenty_times_loses_nothing(account: Account, start_operator: Callable[..., Operator]) -> None:
    """trap 3, trap 102, trap 104: invariants 1, 2, 5 and 6."""
    server, user = account.mailbox.server, account.mailbox.user
    server.create_folder(user, "Sent")
    server.bulk_append(user, "INBOX", messages(9000, seed=5, small=True))
    server.bulk_append(user, "Sent", messages(1000, seed=6, small=True))
    account.apply()
    operator = start_operator()
    chance = random.Random(20261123)
    for _ in range(KILLS):
        # A timer and not an event: the moment must be random with respect to what the operator does.
        threading.Event().wait(chance.uniform(0.0, LONGEST_S))
        operator.kill()
        operator.start()

    body = account.sync_now("after the storm", timeout_s=180)

    assert 10_000 == body["status"]["messages"]["archived"]
    operator.terminate(grace_s=10)
    assert_equal_to_server(operator.archive, server, user)
    assert {1} == set(contents_stored(operator.archive).values())
    verified = json_lines(archivmail("verify", "--full", "--json", "--archive", operator.archive).stdout)[0]
    assert ([], []) == (verified["missing"], verified["corrupt"])
    before = placements(operator.archive)
    archivmail("rebuild", "--archive", operator.archive)
    assert before == placements(operator.archive)
