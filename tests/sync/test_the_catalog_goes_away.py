"""The catalog can no longer be read in mid-run: the run fails for that reason, and the next one has everything."""

from __future__ import annotations

from typing import Any

from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchiveUnavailable
from archivmail.model.outcome import Result
from archivmail.model.reasons import Reason
from tests.sync.conftest import World
from tests.sync.mailserver import FakeFolder


class Leaving:
    """An account's archive that refuses everything but `close` once it is gone."""

    def __init__(self, archive: Any) -> None:
        self._archive, self.is_gone = archive, False

    def __getattr__(self, name: str) -> Any:
        if self.is_gone and name != "close":
            raise ArchiveUnavailable("The catalog database on db cannot be used: there is no connection.")
        return getattr(self._archive, name)


def test_a_catalog_that_goes_away_fails_the_run_and_nothing_else(world: World) -> None:
    """Folders that were not reached cannot be asked for: the status keeps what it showed of them (no folders)."""
    world.server.inbox.append(b"one", b"two")
    world.server.folders["Sent"] = FakeFolder()
    world.server.folders["Sent"].append(b"three")
    take, taken = world.archive.take, []

    def take_leaving(ref: AccountRef) -> Leaving:
        taken.append(Leaving(take(ref)))
        return taken[-1]

    def leave(_: int) -> None:
        taken[-1].is_gone = True

    world.archive.take = take_leaving  # type: ignore[method-assign]
    world.server.on_message = leave
    outcome = world.sync()

    assert outcome.failure is not None
    assert Reason.ARCHIVE_UNAVAILABLE is outcome.failure.reason
    assert (Result.FAILED, 0, ()) == (outcome.result, outcome.added, outcome.folders)

    world.archive.take = take  # type: ignore[method-assign]
    world.server.on_message = lambda _: None
    assert Result.SUCCEEDED is world.sync().result
    assert {b"one", b"two", b"three"} == set(world.placements().values())
