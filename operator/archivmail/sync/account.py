"""One run over one account: connect, log in, list, select, then folder by folder.

A failing folder does not stop the others; a failing session does. Whatever ends the run, what was archived until then
is made durable first, and the outcome says how far it got. `run` raises only for bugs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from archivmail.decide.fetching import UpToDate
from archivmail.decide.limited import limit_in_force
from archivmail.decide.selection import Selection, select, unmatched
from archivmail.model.account import AccountRef, AccountSpec, Credentials, Endpoint
from archivmail.model.errors import (
    Aborted,
    ArchiveUnavailable,
    ArchivmailError,
    FolderRefused,
    GaveWay,
    NeedsTime,
    NeedsUser,
    SessionExpired,
)
from archivmail.model.folder import Folder, FolderName, Snapshot
from archivmail.model.notices import AuditEvent
from archivmail.model.outcome import AccountOutcome, Failure, FolderOutcome, Result
from archivmail.model.reasons import Reason
from archivmail.sync.folder import FolderPass, joined, not_listed, outcome_of_state, planned, unvisited
from archivmail.sync.gathering import Surroundings, checkpoint
from archivmail.sync.measure import Measured
from archivmail.sync.ports import AccountArchive, Clock, Connect, MailServer, OpenAccount, Watcher
from archivmail.sync.tally import Tally

SHORTEST_SESSION = timedelta(minutes=5)
"""Access tokens live for an hour or so, and a first sync for longer: each session that lasted may have a successor in
the same run. One that ends sooner, and not for the first time, has another trouble."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to archive. A forced job (a request) tries every ledger entry again, quarantined ones too."""

    ref: AccountRef
    spec: AccountSpec
    endpoint: Endpoint
    credentials: Credentials
    secret_version: str = ""
    forced: bool = False


def run(
    job: Job,
    *,
    connect: Connect,
    open_account: OpenAccount,
    watcher: Watcher,
    clock: Clock,
    should_stop: Callable[[], bool],
    should_give_way: Callable[[], bool] = lambda: False,
) -> AccountOutcome:
    """Bring the account's archive up to date and say how complete it is.

    `should_stop` ends the run at the next message, `should_give_way` between two batches.
    """
    started_at = clock()
    deadline = started_at + job.spec.timeout

    def is_over() -> bool:
        return should_stop() or clock() >= deadline

    the_run = _Run(job, Measured(watcher), clock, started_at, is_over=is_over, should_give_way=should_give_way)
    try:
        archive = open_account(job.ref)
    except ArchivmailError as error:
        the_run.fail(error, is_timeout=False)
        return the_run.outcome(())
    try:
        folders = the_run.in_archive(archive, connect, is_timeout=lambda: not should_stop() and clock() >= deadline)
        outcome = the_run.outcome(folders)
        the_run.record(archive, outcome)
    finally:
        archive.close()
    return outcome


class _Run:
    """The steps of one run and what they found."""

    def __init__(
        self,
        job: Job,
        watcher: Measured,
        clock: Clock,
        started_at: datetime,
        *,
        is_over: Callable[[], bool],
        should_give_way: Callable[[], bool],
    ) -> None:
        self._job = job
        self._watcher = watcher
        self._clock = clock
        self._is_over = is_over
        self._should_give_way = should_give_way
        self._started_at = started_at
        self._tally = Tally(checkpointed_at=started_at)
        self._stage = "archive"
        self._failure: Failure | None = None
        self._result: Result | None = None
        self._selection = Selection((), 0)
        self._passed: dict[FolderName, FolderOutcome] = {}
        self._finished: set[FolderName] = set()
        self._reconnected_at: datetime | None = None
        self._missing: list[FolderOutcome] = []
        self._alerts: tuple[str, ...] = ()

    def in_archive(
        self, archive: AccountArchive, connect: Connect, *, is_timeout: Callable[[], bool]
    ) -> tuple[FolderOutcome, ...]:
        """Run the session; every selected folder is in the answer, those not reached as their last pass left them."""
        try:
            self._sessions(archive, connect)
        except ArchivmailError as error:
            self.fail(error, is_timeout=is_timeout())
        try:
            checkpoint(archive, self._watcher, self._clock)
        except ArchivmailError as error:
            self._stage = "archive"
            self.fail(error, is_timeout=False)
        reached = self._passed
        try:
            rest = [reached.get(folder.name) or unvisited(folder, archive) for folder in self._selection.selected]
        except ArchivmailError as error:  # the catalog went away: the status keeps what it showed before
            self._stage = "archive"
            self.fail(error, is_timeout=False)
            return ()
        return (*rest, *self._missing)

    def _sessions(self, archive: AccountArchive, connect: Connect) -> None:
        """One session, and another one where its access token ran out on the way (trap 90)."""
        while True:
            try:
                return self._session(archive, connect)
            except SessionExpired as error:
                now = self._clock()
                if self._reconnected_at is not None and now - self._reconnected_at < SHORTEST_SESSION:
                    raise
                self._reconnected_at = now
                self._watcher.imap_failed(self._stage, error.reason)

    def _session(self, archive: AccountArchive, connect: Connect) -> None:
        self._stage = "login"
        server = connect(
            self._job.endpoint,
            self._job.credentials,
            should_stop=self._is_over,
            rotated=self._watcher.token_rotated,
        )
        try:
            self._select(server)
            self._stage = "status"
            snapshots = server.status(self._selection.selected)
            self._stage = "fetch"
            view_limit = limit_in_force(server.view_limits, (each.messages for each in snapshots.values()))
            around = Surroundings(
                server, archive, self._watcher, self._clock, self._tally, self._should_give_way, view_limit
            )
            for folder in self._selection.selected:
                if folder.name not in self._finished:
                    self._visit(folder, snapshots.get(folder.name), around)
                    self._finished.add(folder.name)
        finally:
            self._alerts = tuple(dict.fromkeys((*self._alerts, *server.alerts)))
            server.close()

    def _select(self, server: MailServer) -> None:
        self._stage = "list"
        rules = self._job.spec.rules
        listed = server.folders()
        self._selection = select(listed, rules)
        self._tally.folders_selected = len(self._selection.selected)
        self._missing = [not_listed(name) for name in unmatched(listed, rules)]
        if not self._selection.selected:
            raise NeedsUser(
                f"of {len(listed)} folders on the server the rules of spec.folders select none; change them",
                reason=Reason.NO_FOLDER_SELECTED,
            )

    def _visit(self, folder: Folder, snapshot: Snapshot | None, around: Surroundings) -> None:
        if self._is_over():
            raise Aborted("the run was told to stop")
        around.give_way()
        step = None
        if snapshot is not None:
            step = planned(folder, around.viewed(snapshot), around, is_forced=self._job.forced)
        if isinstance(step, UpToDate):  # STATUS alone shows that nothing can have changed: no EXAMINE
            self._passed[folder.name] = outcome_of_state(folder, step.state)
        else:
            before = self._passed.get(folder.name)  # left by a session whose token ran out in this folder
            self._passed[folder.name] = joined(before, self._pass_over(folder, around))
        self._tally.folders_done += 1
        self._watcher.progressed(self._tally.progress)

    def _pass_over(self, folder: Folder, around: Surroundings) -> FolderOutcome:
        archive = around.archive
        the_pass = FolderPass(self._job.ref, folder, around, self._job.forced)
        try:
            return the_pass.run()
        except FolderRefused as error:  # S11: the others go on
            self._watcher.imap_failed("folder", error.reason)
            reached = the_pass.outcome() or unvisited(folder, archive)
            return replace(reached, failure=_failure(error, "folder"), complete=False)
        except ArchiveUnavailable:
            raise  # what the pass counted is not in the archive
        except ArchivmailError:
            reached_until_now = the_pass.outcome()
            if reached_until_now is not None:
                self._passed[folder.name] = joined(self._passed.get(folder.name), reached_until_now)
            raise

    # --- the end -----------------------------------------------------------------------------------------------------

    def fail(self, error: ArchivmailError, *, is_timeout: bool) -> None:
        """The session is over because of this; the first failure is the one that counts."""
        if self._failure is not None or self._result is not None:
            return
        if isinstance(error, Aborted):
            self._result = Result.INTERRUPTED
            if isinstance(error, GaveWay):
                self._failure = _failure(error, self._stage)
            elif is_timeout:
                limit = self._job.spec.timeout
                text = (
                    f"the run was ended after its timeout of {limit}; what it archived is kept and the next run goes on"
                )
                self._failure = Failure(Reason.TIMED_OUT, text, stage=self._stage)
            return
        self._failure = _failure(error, self._stage)
        self._watcher.imap_failed(self._stage, error.reason)

    def outcome(self, folders: tuple[FolderOutcome, ...]) -> AccountOutcome:
        measured = self._watcher
        return AccountOutcome(
            result=self._result or self._verdict(folders),
            started_at=self._started_at,
            ended_at=self._clock(),
            folders=folders,
            selected=len(self._selection.selected),
            excluded=self._selection.excluded,
            failure=self._failure,
            added=measured.added,
            fetched_bytes=measured.fetched_bytes,
            stored_bytes=measured.stored_bytes,
            deduplicated=measured.deduplicated,
            secret_version=self._job.secret_version,
            alerts=self._alerts,
        )

    def _verdict(self, folders: tuple[FolderOutcome, ...]) -> Result:
        if self._failure is not None:
            return Result.PARTIAL if self._watcher.added else Result.FAILED
        return Result.SUCCEEDED if all(folder.complete for folder in folders) else Result.PARTIAL

    def record(self, archive: AccountArchive, outcome: AccountOutcome) -> None:
        """Put the run into the audit trail; an archive that cannot take it has failed the run already."""
        facts: dict[str, str | int | bool] = {
            "result": outcome.result,
            "added": outcome.added,
            "fetchedBytes": outcome.fetched_bytes,
            "folders": outcome.selected,
        }
        if outcome.failure is not None:
            facts["reason"] = outcome.failure.reason
        for folder in outcome.folders:
            if folder.quarantined and folder.passed_at is not None and folder.passed_at >= self._started_at:
                facts["quarantined"] = sum(each.counts.quarantined for each in outcome.folders)
                break
        try:
            archive.record(AuditEvent("run", self._job.ref.namespace, self._job.ref.name, facts))
        except ArchivmailError:
            if outcome.failure is None:
                raise


def _failure(error: ArchivmailError, stage: str) -> Failure:
    return Failure(
        reason=error.reason,
        text=error.text,
        retry_after=error.retry_after if isinstance(error, NeedsTime) else None,
        needs_user=isinstance(error, NeedsUser),
        stage=stage,
    )
