"""A quirk as a row of a table, and what must come of it: the others archived, the truth told, nothing lost."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from archivmail.imap.limits import Limits
from archivmail.model.outcome import Result
from archivmail.model.reasons import Reason
from tests.imap.sessions import QUICK
from tests.quirks.engine import Engine
from tests.servers.scripted import Folder, ScriptedServer, Transcript, sample


@dataclass(frozen=True)
class Quirk:
    """`missing`: UIDs of INBOX that cannot be archived meanwhile; `says`: why the account is not complete, then.

    `failure`: the session ends by this reason in each of the runs.
    """

    transcript: str
    missing: tuple[int, ...] = ()
    says: Reason | None = None
    failure: Reason | None = None
    runs: int = 1
    messages: int = 3
    others: dict[bytes, Folder] = field(default_factory=dict)
    capabilities: str = "IMAP4rev1"
    limits: Limits = QUICK


def quirk(name: str, transcript: str, **more: object) -> object:
    """A row; the name holds the number of the trap."""
    return pytest.param(replace(Quirk(transcript), **more), id=name)  # type: ignore[arg-type]


def survive(case: Quirk, folder: Path) -> None:
    """Run under the quirk, then without it."""
    folders = {b"INBOX": sample(case.messages), **case.others}
    with (
        ScriptedServer(folders, capabilities=case.capabilities) as server,
        Engine(folder, server, limits=case.limits) as engine,
    ):
        Transcript(case.transcript).play(server)
        for _ in range(case.runs):
            outcome = engine.sync(forced=True)
            assert (outcome.failure.reason if outcome.failure else None) == case.failure, outcome.failure
        missing = engine.truth().keys() - engine.held().keys()
        assert {(name, uid) for name, _, uid in missing} == {(b"INBOX", uid) for uid in case.missing}
        assert engine.is_complete is (case.says is None and case.failure is None)
        if case.says is not None:
            assert engine.reason is case.says

        server.mend()
        server.capabilities = "IMAP4rev1"
        outcome = engine.sync(forced=True)
        assert outcome.result is Result.SUCCEEDED, outcome
        engine.require_all()
