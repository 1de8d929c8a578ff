"""What we rely on in kopf 1.45, and what we ask of it: handlers that write nothing, settings that bound everything."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import kopf
import pytest

from archivmail.kube import handlers
from archivmail.kube.handlers import Backoffs, Shard
from archivmail.model.account import AccountRef, ObjectUid


class Recorder:
    """Stands where the scheduler does."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def observe(self, document: dict[str, Any]) -> None:
        self.heard.append(("observe", document["metadata"]["uid"]))

    async def gone(self, uid: ObjectUid) -> None:
        self.heard.append(("gone", uid))

    async def release(self, uid: ObjectUid, timeout_s: float) -> None:
        assert timeout_s < 10
        self.heard.append(("release", uid))

    async def attend(self, uid: ObjectUid, stopped: object) -> None:
        self.heard.append(("attend", uid))


def registered(scheduler: Recorder, shard: Shard | None = None) -> dict[str, Any]:
    """Handlers by their ids."""
    registry = handlers.registry(scheduler, shard or Shard())  # type: ignore[arg-type]
    groups = (registry._activities, registry._watching, registry._spawning, registry._changing, registry._indexing)
    return {str(each.id): each for group in groups for each in group.get_all_handlers()}


def event(kind: str | None, uid: str = "u", **metadata: Any) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"uid": uid, "namespace": "team-a", "name": uid, **metadata}}}


def hear(raw: dict[str, Any], shard: Shard | None = None) -> list[tuple[str, str]]:
    scheduler = Recorder()
    asyncio.run(registered(scheduler, shard)["observe"].fn(event=raw))
    return scheduler.heard


def test_only_handlers_that_write_nothing_are_registered() -> None:
    """A change handler would write annotations, an index would hold objects."""
    by_id = registered(Recorder())

    assert {"login", "observe", "archive"} == set(by_id)
    assert "TimerHandler" == type(by_id["archive"]).__name__
    assert by_id["archive"].interval is None
    assert by_id["archive"].when is None


@pytest.mark.parametrize("kind", [None, "ADDED", "MODIFIED"])
def test_every_event_is_observed(kind: str | None) -> None:
    """None stands for an object that was listed."""
    assert [("observe", "u")] == hear(event(kind))


def test_kopf_keeps_only_what_it_needs_of_an_object() -> None:
    """T11: who it is, its version, its finalizers; kopf copies and compares the rest with each finalizer, and there may
    be ten thousand objects."""
    needed = {"finalizers": ["archivmail.io/finalizer"], "resourceVersion": "7"}
    asked = {"archivmail.io/touch-dummy": "now"}
    raw = event("MODIFIED", managedFields=[{"manager": "kubectl"}], annotations={"other": "long", **asked}, **needed)
    raw["object"] |= {"spec": {"host": "imap.example.org"}, "status": {"folders": [{"name": "INBOX"}]}}

    hear(raw)

    assert {"metadata": {"uid": "u", "namespace": "team-a", "name": "u", "annotations": asked, **needed}} == raw[
        "object"
    ]


def test_a_deletion_that_begins_waits_for_the_end_of_the_run() -> None:
    """Before kopf looks at the timer and takes the finalizer off."""
    deletion = event("MODIFIED", deletionTimestamp="2026-11-20T10:00:00Z")

    assert [("observe", "u"), ("release", "u")] == hear(deletion)


def test_an_object_that_is_gone_is_forgotten() -> None:
    """T3, T13: with or without a deletionTimestamp."""
    assert [("gone", "u")] == hear(event("DELETED"))


def test_an_object_of_another_shard_is_left_alone() -> None:
    """Every object has exactly one owner, and the same one for its events and for its timer."""
    shards = [Shard(index, 3) for index in range(3)]
    timers = [registered(Recorder(), shard)["archive"] for shard in shards]
    names = [f"account-{number}" for number in range(50)]
    served = [[bool(hear(event("ADDED", name), shard)) for shard in shards] for name in names]

    assert all(1 == sum(owned) for owned in served)
    assert all(map(any, zip(*served, strict=True)))
    metas = [{"namespace": "team-a", "name": name} for name in names]
    assert served == [[timer.when(meta=meta) for timer in timers] for meta in metas]


def test_the_finalizer_of_another_shard_is_not_seen() -> None:
    """#664: kopf would take it off, since no handler here wants it."""
    mine, theirs = (event("ADDED", "alice", finalizers=["other/one", handlers.FINALIZER]) for _ in range(2))
    owner = next(index for index in range(3) if Shard(index, 3).owns(AccountRef("team-a", "alice")))
    hear(mine, Shard(owner, 3))
    hear(theirs, Shard((owner + 1) % 3, 3))

    assert ["other/one", handlers.FINALIZER] == mine["object"]["metadata"]["finalizers"]
    assert ["other/one"] == theirs["object"]["metadata"]["finalizers"]


def test_requests_are_tried_again_without_end_but_ever_more_slowly() -> None:
    """An outage of the API server ends no operator."""
    pauses = list(itertools.islice(Backoffs(), 1000))

    assert pauses[0] < 1
    assert all(10 < pause < 20 for pause in pauses[10:])


def test_settings_of_kopf_bound_every_wait() -> None:
    """No default of kopf's that lasts for ever, and nothing of kopf's in the objects but the finalizer."""
    settings = handlers.settings()

    assert "archivmail.io/finalizer" == settings.persistence.finalizer
    assert settings.scanning.disabled
    assert settings.peering.standalone
    assert not settings.posting.enabled
    assert isinstance(settings.watching.server_timeout, int)  # the API server refuses 600.0
    assert settings.watching.client_timeout is not None
    assert settings.watching.client_timeout > settings.watching.server_timeout
    assert settings.networking.request_timeout is not None
    assert settings.networking.request_timeout <= 30
    assert settings.background.cancellation_polling <= 5


def test_kopf_is_the_version_that_was_read() -> None:
    """What handlers.py knows of kopf's order of things was read in 1.45."""
    assert kopf.__name__ == "kopf"
    from importlib.metadata import version  # noqa: PLC0415

    assert version("kopf").startswith("1.45.")
