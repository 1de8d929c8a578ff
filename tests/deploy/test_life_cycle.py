"""An account's life under GitOps, with the operator of `helm install` and no right but its ServiceAccount's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.operating import condition

from .release import comparable
from .story import COUNT, Story

pytestmark = pytest.mark.servers


def test_account_is_archived_changed_suspended_and_deleted(story: Story) -> None:
    """Each step by applying a manifest anew; every state says which generation it is of."""
    complete, changed, suspended = (story.seen[each] for each in ("complete", "changed", "suspended"))

    assert (1, 2) == tuple(each["status"]["observedGeneration"] for each in (complete, changed))
    assert COUNT + 5 == complete["status"]["messages"]["archived"]
    assert COUNT == changed["status"]["messages"]["archived"]
    assert 1 == changed["status"]["folderSummary"]["excluded"]
    assert suspended["spec"]["suspend"] is True
    assert story.events >= {"Succeeded", "Suspended"}
    assert COUNT + 5 == story.stored, "what was archived stays, whatever the manifest says later"
    assert story.deletion_s < 10


def test_applying_again_changes_nothing(story: Story) -> None:
    """No resourceVersion moves, though the operator has written status, finalizer and answers of its own."""
    before, after = story.versions["applied again"]

    assert before == after


def test_kubectl_diff_is_empty(story: Story) -> None:
    """Exit code 0 and no line."""
    assert (0, "") == story.diffs["kubectl"]


def test_argo_cd_sees_no_difference(story: Story) -> None:
    """Server-side: another apply would give the object that is there. Client-side: every field of the manifest stands
    in the object as it was written, for defaults only add."""
    would_be, is_there = story.diffs["would be"]
    desired, live = story.diffs["desired"]

    assert comparable(would_be) == comparable(is_there)
    assert [] == _departures(desired, live)


def test_a_departure_would_be_seen(story: Story) -> None:
    """The comparison above is not blind."""
    desired, live = story.diffs["desired"]

    changed = desired | {"spec": desired["spec"] | {"port": 1}}

    assert [".spec.port"] == _departures(changed, live)


def test_causes_for_humans_and_causes_that_may_go_away_differ(story: Story) -> None:
    """Stalled fails a Kustomization that waits; a Secret that is not there yet does not."""
    assert "AuthenticationFailed" == condition(story.seen["stalled"], "Stalled")["reason"]
    assert "SecretNotFound" == condition(story.seen["secret missing"], "Ready")["reason"]
    assert {} == condition(story.seen["secret missing"], "Stalled")


def test_no_password_stands_in_what_was_seen(story: Story) -> None:
    """Neither in a status nor in a message."""
    text = json.dumps(story.seen)

    assert "not his password" not in text


def _departures(desired: Any, live: Any, path: str = "") -> list[str]:
    """Paths of the manifest's fields that the object does not have as they are written."""
    if isinstance(desired, dict) and isinstance(live, dict):
        return [each for key, value in desired.items() for each in _departures(value, live.get(key), f"{path}.{key}")]
    return [] if desired == live else [path]
