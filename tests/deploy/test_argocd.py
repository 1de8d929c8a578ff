"""What Argo CD is told of ImapAccounts, run on objects as they stood on the API server."""

from __future__ import annotations

import copy
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.operating import Account, condition

from .lua import act, actions, defined, health
from .release import Release
from .story import Story

pytestmark = pytest.mark.servers


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        ("created", "Progressing"),
        ("complete", "Healthy"),
        ("stalled", "Degraded"),
        ("secret missing", "Degraded"),
        ("changed", "Healthy"),
        ("suspended", "Suspended"),
        ("created suspended", "Suspended"),
    ],
)
def test_health_of_real_objects(story: Story, situation: str, expected: str) -> None:
    """In each situation that the operator makes, from creation to suspension."""
    status, message = health(story.seen[situation])

    assert status == expected
    assert message


def test_message_is_the_one_of_the_condition(story: Story) -> None:
    """Who looks at Argo CD sees what to do."""
    stalled = story.seen["stalled"]

    assert health(stalled)[1] == condition(stalled, "Stalled")["message"]


def _with(document: dict[str, Any], *conditions: tuple[str, str], generation: int | None = None) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    changed["status"]["conditions"] = [{"type": kind, "status": status} for kind, status in conditions]
    changed["metadata"]["generation"] = generation or changed["status"]["observedGeneration"]
    return changed


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        pytest.param([("Ready", "True")], "Healthy", id="ready"),
        pytest.param([("Ready", "True"), ("Reconciling", "True")], "Progressing", id="asked-for-run"),
        pytest.param([("Ready", "Unknown"), ("Reconciling", "True")], "Progressing", id="first-run"),
        pytest.param([("Ready", "Unknown")], "Progressing", id="never-synced"),
        pytest.param([], "Progressing", id="no-condition"),
        pytest.param([("Ready", "False"), ("Reconciling", "True")], "Degraded", id="failed-and-retrying"),
        pytest.param([("Ready", "True"), ("Stalled", "True")], "Degraded", id="stalled"),
    ],
)
def test_health_of_every_condition(story: Story, conditions: list[tuple[str, str]], expected: str) -> None:
    """Rows that the story has no time for; a message that is missing is no error."""
    assert health(_with(story.seen["complete"], *conditions))[0] == expected


def test_a_new_generation_is_progress(story: Story) -> None:
    """Whatever the conditions of the old one say."""
    changed = _with(story.seen["stalled"], ("Stalled", "True"), generation=99)

    assert health(changed)[0] == "Progressing"


def test_object_without_status_is_progress(story: Story) -> None:
    """Argo CD may look before the API server's default is there."""
    bare = {key: value for key, value in story.seen["created"].items() if key != "status"}

    assert health(bare)[0] == "Progressing"


def test_actions_are_offered_where_they_help(story: Story) -> None:
    """A suspended account can be resumed and nothing else."""
    assert actions(story.seen["complete"]) == {"sync", "suspend"}
    assert actions(story.seen["suspended"]) == {"resume"}
    assert defined() == {"sync", "suspend", "resume"}


def test_sync_sets_the_annotation_that_asks_for_a_run(story: Story) -> None:
    """The time in UTC, so that each click is another value; nothing else changes."""
    before = story.seen["complete"]
    after = act("sync", copy.deepcopy(before))

    asked = after["metadata"]["annotations"].pop("archivmail.io/requestedAt")
    assert abs(datetime.strptime(asked, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(
        minutes=5
    )
    assert after["metadata"]["annotations"] == before["metadata"].get("annotations", {})
    assert after["spec"]["host"] == before["spec"]["host"]


def test_api_server_takes_what_the_actions_make(release: Release, story: Story, namespace: str, mailbox: Any) -> None:
    """As Argo CD does it: the difference to the object, as a merge patch."""
    account = Account(release.plane, namespace, mailbox)
    account.apply_all(account.manifest(interval="0s", suspend=True))

    resumed = act("resume", account.get())
    release.plane.api.merge_patch(account.path, {"spec": {"suspend": resumed["spec"]["suspend"]}})
    asked = act("sync", account.get())
    release.plane.api.merge_patch(account.path, {"metadata": {"annotations": asked["metadata"]["annotations"]}})

    found = account.get()
    assert found["spec"]["suspend"] is False
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found["metadata"]["annotations"]["archivmail.io/requestedAt"]
    )
    suspended = act("suspend", found)
    release.plane.api.merge_patch(account.path, {"spec": {"suspend": suspended["spec"]["suspend"]}})
    assert account.get()["spec"]["suspend"] is True
