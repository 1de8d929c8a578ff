"""Any history of a mailbox, with runs anywhere in it and the world going on within the runs (Hypothesis, Dovecot).

After every run: what a pass called complete is in the archive octet for octet, for ever; nothing stands there that was
never on the server; no octets are fetched or stored twice; nobody's flags changed. A failure prints the whole history.
To have it made short, add Phase.shrink to the settings: it takes minutes.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from archivmail.model.outcome import AccountOutcome, Result
from tests.e2e.archives import contents_stored
from tests.engine.world import World
from tests.servers.dovecot import Dovecot
from tests.servers.fixtures import Mailbox

pytestmark = [pytest.mark.servers, pytest.mark.slow]

EXAMPLES = 12
STEPS = 25
FOLDERS = ("INBOX", "A", "B", "A/C")
STEPS_OF_A_RUN = ("status", "examine", "uids", "fetch", "fetch", "message", "message")  # some more often than others
FRESH_VALIDITY = 3_000_000_000  # beyond what Dovecot gives by itself, and beyond 31 bits (trap 15)

Key: TypeAlias = tuple[str, int, int]


# --- what happens to a mailbox ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Append:
    folder: str
    count: int
    is_copy: bool = False
    """Octets that were appended before, as of a message that is in two folders."""


@dataclass(frozen=True)
class Expunge:
    folder: str
    nth: int


@dataclass(frozen=True)
class ExpungeAll:
    folder: str


@dataclass(frozen=True)
class Flag:
    folder: str
    nth: int


@dataclass(frozen=True)
class Delete:
    folder: str


@dataclass(frozen=True)
class Rename:
    folder: str
    to: str


@dataclass(frozen=True)
class NewValidity:
    folder: str


@dataclass(frozen=True)
class CutSession:
    """The server ends the run's connection."""


Event: TypeAlias = Append | Expunge | ExpungeAll | Flag | Delete | Rename | NewValidity | CutSession

folders = st.sampled_from(FOLDERS)
quiet_events = st.one_of(
    st.builds(Append, folders, st.integers(1, 5), st.booleans()),
    st.builds(Append, folders, st.integers(1, 5)),
    st.builds(Expunge, folders, st.integers(0, 9)),
    st.builds(ExpungeAll, folders),
    st.builds(Flag, folders, st.integers(0, 9)),
    st.builds(Delete, st.sampled_from(FOLDERS[1:])),
    st.builds(Rename, folders, st.sampled_from(FOLDERS[1:])),
    st.builds(NewValidity, folders),
)
events_in_a_run = st.tuples(
    st.sampled_from(STEPS_OF_A_RUN),
    st.sampled_from((1, 1, 1, 2, 3)),
    st.booleans().flatmap(lambda is_cut: st.just(CutSession()) if is_cut else quiet_events),
)


class History(RuleBasedStateMachine):
    """One mailbox and its archive."""

    server: ClassVar[Dovecot]
    passwords: ClassVar[Iterator[tuple[str, str]]]
    within: ClassVar[Counter[type]] = Counter()
    """What happened in the middle of runs."""

    def __init__(self) -> None:
        super().__init__()
        user, password = next(self.passwords)
        self.place = Path(tempfile.mkdtemp(prefix="archivmail-history-"))
        self.user = user
        self.world = World(Mailbox(self.server, user, password), self.place / "archive")
        self.numbers = itertools.count(1)
        self.validities = itertools.count(FRESH_VALIDITY)
        self.known: dict[Key, bytes] = {}
        """Whatever stood anywhere at any time."""
        self.promised: dict[Key, bytes] = {}
        """What a complete pass must have archived."""

    def teardown(self) -> None:
        try:
            assert set(contents_stored(self.world.folder).values()) <= {1}, "octets are stored twice"
            assert self.world.archive.verify(full=True).is_clean
        finally:
            self.world.close()
            shutil.rmtree(self.place)

    # --- rules -------------------------------------------------------------------------------------------------------

    @initialize(inbox=st.integers(3, 9), other=st.integers(0, 5))
    def begin(self, inbox: int, other: int) -> None:
        self.act(Append("INBOX", inbox))
        self.act(Append("A", other))

    @rule(event=quiet_events)
    def happens(self, event: Event) -> None:
        self.act(event)

    @rule(is_next_day=st.booleans())
    def quiet_run(self, is_next_day: bool) -> None:
        """Nobody interferes: it must succeed, and say of every folder what is so."""
        self.world.later(hours=25 if is_next_day else 0.1)
        before, states = self.world.held(), self.server.states(self.user)
        listed = self.world.listed()

        outcome = self.world.sync(forced=True)

        assert states == self.server.states(self.user), "the mailbox was changed by looking"
        self.world.assert_complete(outcome)
        missing = Counter(listed[key] for key in listed.keys() - before.keys())
        assert len(missing) <= len(self.world.watcher.stored) == outcome.added == missing.total(), "fetched again"
        self.settle(outcome, listed)

    @rule(
        news=st.lists(st.builds(Append, folders, st.integers(1, 5)), min_size=1, max_size=2),
        events=st.lists(events_in_a_run, min_size=1, max_size=3),
    )
    def run_meanwhile(self, news: list[Append], events: list[tuple[str, int, Event]]) -> None:
        """There is something to do, and the events happen before the n-th step of their kind, or after the n-th
        message."""
        self.world.later(hours=0.1)
        for each in news:
            self.act(each)
        seen: Counter[str] = Counter()
        before = self.world.listed()

        def moment(step: str) -> None:
            seen[step] += 1
            for at, nth, event in events:
                if (at, nth) == (step, seen[step]):
                    self.within[type(event)] += 1
                    self.act(event)

        self.world.moment = moment
        outcome = self.world.sync()
        self.world.quietly()
        after = self.world.listed()

        self.settle(outcome, {key: sha for key, sha in before.items() if after.get(key) == sha})

    # --- within ------------------------------------------------------------------------------------------------------

    def settle(self, outcome: AccountOutcome, throughout: dict[Key, bytes]) -> None:
        """`throughout`: what stood on the server from the beginning of the run to its end."""
        is_through = outcome.result is Result.SUCCEEDED
        assert all(each.complete for each in outcome.folders) or not is_through
        # A folder that a failed run did not get to is told as its last pass left it.
        reached = [each for each in outcome.folders if is_through or each.passed_at == self.world.now]
        complete = {each.display for each in reached if each.complete}
        self.promised |= {key: sha for key, sha in throughout.items() if key[0] in complete}
        for states in self.server.states(self.user).values():
            assert not any("\\Seen" in flags for flags in states.flags.values()), "a message was marked as read"
        held = self.world.held()
        assert self.promised.items() <= held.items(), "a message that was called archived is not there"
        assert held.items() <= self.known.items(), "the archive has what was never on the server"

    def act(self, event: Event) -> None:
        """What cannot happen (no such folder, no such message) does not."""
        server, user, present = self.server, self.user, self.server.folders(self.user)
        match event:
            case Append(folder, count, is_copy):
                if folder not in present:
                    server.create_folder(user, folder)
                first = 1 if is_copy else next(self.numbers)
                server.bulk_append(user, folder, [_octets(first * 100 + each) for each in range(count)])
            case Expunge(folder, nth) if folder in present and (uids := server.uids(user, folder)):
                server.expunge(user, folder, [uids[nth % len(uids)]])
            case ExpungeAll(folder) if folder in present and (uids := server.uids(user, folder)):
                server.expunge(user, folder, uids)
            case Flag(folder, nth) if folder in present and (uids := server.uids(user, folder)):
                server.set_flags(user, folder, [uids[nth % len(uids)]], ["\\Flagged", f"$n{nth}"])
            case Delete(folder) if folder in present and not self._is_open(folder):
                server.delete_folder(user, folder)
            case Rename(folder, to) if folder in present and to not in present and not self._is_open(folder):
                if not to.startswith(f"{folder}/"):
                    server.rename_folder(user, folder, to)
            case NewValidity(folder) if folder in present:
                server.reset_uidvalidity(user, folder, next(self.validities))
            case CutSession():
                with suppress(subprocess.CalledProcessError):  # there is none yet
                    server.doveadm("kick", user)
            case _:
                pass
        self.known |= self.world.listed()

    def _is_open(self, folder: str) -> bool:
        """Dovecot 2.3.19 damages a folder that is moved or made anew while another session has it open."""
        return any(name == folder or name.startswith(f"{folder}/") for name in self.world.opened)


def _octets(number: int) -> bytes:
    return b"Message-ID: <%d@example.org>\r\nSubject: %d\r\n\r\n%b\r\n" % (number, number, b"x" * (number % 7 * 30))


def test_any_history_leaves_a_true_archive() -> None:
    """Trap 2, 3, 5, 7, 11, 12, 15, 30, 32, 40, 58, 106; S14, S15, S17."""
    with Dovecot() as server:
        History.server = server
        History.passwords = iter(server.add_users(*(f"user{number}" for number in range(EXAMPLES * 3))).items())
        run_state_machine_as_test(
            History,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                derandomize=True,
                deadline=None,
                phases=(Phase.explicit, Phase.generate),
                suppress_health_check=list(HealthCheck),
            ),
        )
    seen = History.within
    assert seen[CutSession] > EXAMPLES, "the histories have lost their teeth: see how runs are reached into"
    assert seen.total() > 3 * EXAMPLES
