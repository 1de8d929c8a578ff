"""The operator with runs that do what files say: a process of its own, so that signals and crashes are real.

FOLDER holds `fate-NAMESPACE.NAME` for an account (succeed, block, hang, crash, refuse, which a text may follow; without
a file: succeed),
`journal.jsonl`, where each run writes when it begins and ends, and `settings.json`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from archivmail.kube.context import OperatorContext
from archivmail.kube.process import run_operator
from archivmail.model.account import AccountRef
from archivmail.model.folder import FolderName
from archivmail.model.outcome import AccountOutcome, Failure, FolderOutcome, MessageCounts, Result
from archivmail.model.reasons import Reason
from archivmail.observe import logs
from archivmail.observe.metrics import Metrics
from archivmail.sync.account import Job
from archivmail.sync.ports import Watcher

PAUSE_S = 0.02


@dataclass(frozen=True)
class Settings:
    slots: int
    metrics_port: int
    health_port: int
    watch_namespaces: tuple[str, ...]
    watch_secrets: bool = False
    shard: int = 0
    shards: int = 1
    lease_name: str = "archivmail"
    lease_namespace: str = ""
    lease_seconds: int = 15


class Runs:
    """Runs of accounts, told by files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def run(self, job: Job, _: Watcher, should_stop: Callable[[], bool], __: Callable[[], bool]) -> AccountOutcome:
        began = datetime.now(UTC)
        password = job.credentials.password
        self._write("began", job, forced=job.forced, password=password.reveal() if password else "")
        fate = self._fate(job)
        while fate in {"block", "hang"} and not (should_stop() and fate == "block"):
            time.sleep(PAUSE_S)
            fate = self._fate(job)
        is_stopped = should_stop()
        self._write("ended", job, fate=fate, stopped=is_stopped)
        if fate == "crash":
            raise KeyError("a bug")
        return _outcome(job, fate, began, is_stopped=is_stopped)

    def save_status(self, ref: AccountRef, document: dict[str, object]) -> None:
        (self._folder / f"status-{ref.namespace}.{ref.name}.json").write_text(json.dumps(document))

    def _fate(self, job: Job) -> str:
        path = self._folder / f"fate-{job.ref.namespace}.{job.ref.name}"
        return path.read_text().strip() if path.exists() else "succeed"

    def _write(self, event: str, job: Job, **facts: object) -> None:
        line = {
            "event": event,
            "name": job.ref.name,
            "namespace": job.ref.namespace,
            "at": time.time(),
            "pid": os.getpid(),
            **facts,
        }
        with self._lock, (self._folder / "journal.jsonl").open("a") as journal:
            journal.write(json.dumps(line) + "\n")


def _outcome(job: Job, fate: str, began: datetime, *, is_stopped: bool) -> AccountOutcome:
    ended = datetime.now(UTC)
    if is_stopped:
        return AccountOutcome(Result.INTERRUPTED, began, ended, secret_version=job.secret_version)
    if fate.startswith("refuse"):
        text = fate.removeprefix("refuse").strip() or "the server refused the password"
        failure = Failure(Reason.AUTHENTICATION_FAILED, text, needs_user=True)
        return AccountOutcome(Result.FAILED, began, ended, failure=failure, secret_version=job.secret_version)
    counts = MessageCounts(server=3, archived=3)
    inbox = FolderOutcome(FolderName(b"INBOX"), "INBOX", counts, passed_at=ended, added=3, complete=True)
    return AccountOutcome(
        Result.SUCCEEDED, began, ended, folders=(inbox,), selected=1, added=3, secret_version=job.secret_version
    )


def main(folder: Path) -> int:
    logs.configure("json", "info")
    runs = Runs(folder)
    context = OperatorContext(
        settings=Settings(**json.loads((folder / "settings.json").read_text())),
        run_account=runs.run,
        save_status=runs.save_status,
        archive_ready=lambda: None,
        drain_index=lambda _: 0,
        index_backlog=lambda: 0,
        last_verification=lambda: None,
        keep_up=lambda *_: None,
        purge_texts=lambda: 0,
        keep_policy=lambda *_: None,
        account_deleted=lambda _: None,
        metrics=Metrics(),
        clock=lambda: datetime.now(UTC),
        listen_host="127.0.0.1",
    )
    return run_operator(context)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
