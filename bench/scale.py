"""One operator and ten thousand accounts: how soon it serves them, what it takes, and how soon users are heard.

The operator is a process as in a pod, the API server is real, the mailboxes have no news. Most accounts carry the
status of an earlier sync; `--fresh` of them are new, since a first sync of all would take longer than a bench may.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from bench.fleet import Fleet, Requests, due_tomorrow, in_parallel, statuses_with_objects
from bench.mailserver import light_server, served
from tests.e2e.operating import CRD, Operator
from tests.servers.controlplane import ControlPlane
from tests.servers.scripted.conversation import Conversation
from tests.servers.scripted.served import sample
from tests.servers.scripted.server import ScriptedServer

LOOK_S = 1.0
LOOK_AT_METRICS_S = 5.0  # a scrape of ten thousand accounts is a second of the operator's CPU
SCHEDULE_LIMIT_S = 300.0
SYNC_LIMIT_S = 240.0
IDLE_S = 30.0
RATE_ACCOUNTS = 1200
RATE_WARM_UP_S = 15.0
RATE_S = 30.0
GONE_S = 30.0
TICKS = os.sysconf("SC_CLK_TCK")
RESULTS = "archivmail_syncs_total{"


@dataclass(slots=True)
class Report:
    """Rows of the table: reading, value, aim."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, reading: str, value: str, aim: str = "") -> None:
        self.rows.append((reading, value, aim))
        print(f"| {reading} | {value} | {aim} |", flush=True)

    def add_spread(self, reading: str, values: list[float], aim: str) -> None:
        low, high, middle = min(values), max(values), statistics.median(values)
        p95 = statistics.quantiles(values, n=20, method="inclusive")[-1]
        self.add(reading, f"p95 {p95:.2f}, median {middle:.2f} ({low:.2f}-{high:.2f}), {len(values)} times", aim)


class Bench:
    """The operator, its accounts, and the steps of the bench in order."""

    def __init__(self, plane: ControlPlane, folder: Path, port: int, options: argparse.Namespace) -> None:
        namespace = plane.create_namespace("scale")
        self.fleet = Fleet(plane, Requests(plane), namespace, port)
        self.report = Report()
        self._plane = plane
        self._folder = folder
        self._names = [f"account-{number:05}" for number in range(options.accounts)]
        self._fresh = self._names[: options.fresh]
        self._samples: int = options.samples
        self.operator = self._operator("operator", slots=options.slots)

    def _operator(self, name: str, *, slots: int) -> Operator:
        return Operator(
            self._plane.kubeconfig(self._folder / "kubeconfig"),
            self._folder / "archive",
            namespace=self.fleet.namespace,
            log=self._folder / f"{name}.log",
            ARCHIVMAIL_LOG_LEVEL="warning",
            ARCHIVMAIL_SLOTS=str(slots),
            ARCHIVMAIL_EGRESS_ALLOW="127.0.0.0/8",
        )

    # --- steps -------------------------------------------------------------------------------------------------------

    def start_empty(self) -> None:
        """Ready without accounts; and the status of a synced account, for the others to carry."""
        readings = []
        for _ in range(3):
            readings.append(self._start())
            self.operator.terminate(grace_s=10)
        self.report.add_spread("s from start to ready, no accounts", readings, "<= 3")
        self.fleet.create("pattern")
        self._start()
        _until(lambda: self.fleet.status_of("pattern").get("lastResult") == "Succeeded", SYNC_LIMIT_S, "a first sync")
        self.operator.terminate(grace_s=10)

    def create_all(self) -> None:
        began = time.monotonic()
        status = due_tomorrow(self.fleet.status_of("pattern"))
        in_parallel(self.fleet.create, self._fresh)
        with statuses_with_objects(self._plane, yaml.safe_load(CRD.read_text())):
            _until(lambda: self.fleet.keeps_status(status), 30, "statuses are taken with objects")
            in_parallel(lambda name: self.fleet.create(name, status=status), self._names[len(self._fresh) :])
        print(f"  ({len(self._names)} accounts made in {time.monotonic() - began:.0f} s)", flush=True)

    def first_start(self) -> None:
        before = self.fleet.writes()
        began = time.monotonic()
        ready_s = self._start()
        self.report.add(
            f"s from start to ready, {len(self._names)} accounts", f"{ready_s:.1f}, {self._cpu_s():.1f} of CPU"
        )
        everybody = len(self._names) + 1
        # Counting is cheap; a listing of ten thousand objects each second would be half of what is measured.
        _until(
            lambda: (self.fleet.writes() - before)["imapaccounts"] >= len(self._names), SCHEDULE_LIMIT_S, "finalizers"
        )
        _until(lambda: self.fleet.with_finalizer() == everybody, SCHEDULE_LIMIT_S, "every account taken up")
        told = f"{time.monotonic() - began:.0f}, {self._cpu_s():.0f} of CPU"
        self.report.add("s from start to every account scheduled", told, "<= 120")
        _until(lambda: self._synced() >= len(self._fresh), SYNC_LIMIT_S, "every first sync", LOOK_AT_METRICS_S)
        time.sleep(2)  # the last statuses and Events are on their way
        took_s, cpu_s = time.monotonic() - began, self._cpu_s()
        count = len(self._fresh)
        self.report.add(
            "first syncs", f"{count} in {took_s:.0f} s of wall and {cpu_s:.0f} s of CPU, the start included", ""
        )
        writes = self.fleet.writes() - before
        writes["imapaccounts"] -= everybody - count  # the others' finalizers
        told = ", ".join(f"{kind} {number / count:.2f}" for kind, number in sorted(writes.items()))
        self.report.add(
            "API writes for each account at its first start", f"{writes.total() / count:.2f} ({told})", "<= 3"
        )

    def idle(self) -> None:
        cpu_s, writes = self._cpu_s(), self.fleet.writes()
        time.sleep(IDLE_S)
        share = (self._cpu_s() - cpu_s) / IDLE_S * 100
        self.report.add("idle: CPU, % of a core", f"{share:.1f}", "<= 3")
        self.report.add(f"idle: API writes in {IDLE_S:.0f} s", str((self.fleet.writes() - writes).total()), "0")

    def heard(self) -> None:
        """How soon a new account is connected to, and how soon one that is syncing is gone."""
        connected, gone = [], []
        with slow_server() as (server, accepted, fetching):
            for number in range(self._samples):
                name = f"probe-{number}"
                accepted.clear()
                fetching.clear()
                began = time.monotonic()
                self.fleet.create(name, port=server.port)
                assert accepted.wait(GONE_S), "no connection"
                connected.append(time.monotonic() - began)
                assert fetching.wait(GONE_S), "no FETCH"
                began = time.monotonic()
                self.fleet.delete(name)
                self._plane.api.wait_for(self.fleet.path(name), lambda body: not body, timeout_s=GONE_S)
                gone.append(time.monotonic() - began)
        self.report.add_spread("s from apply to the first IMAP connection", connected, "p95 <= 1")
        self.report.add_spread("s from delete to gone, while syncing", gone, "p95 <= 2")

    def rate(self) -> None:
        """Runs without news: accounts that are due more often than can be."""
        names = self._fresh[:RATE_ACCOUNTS]
        in_parallel(lambda name: self.fleet.set_interval(name, "30s"), names)
        time.sleep(RATE_WARM_UP_S)
        syncs, cpu_s, began = self._synced(), self._cpu_s(), time.monotonic()
        time.sleep(RATE_S)
        syncs, cpu_s = self._synced() - syncs, self._cpu_s() - cpu_s
        took_s = time.monotonic() - began
        self.report.add(
            "syncs without news for each s of CPU",
            f"{syncs / cpu_s:.1f} ({syncs:.0f} in {took_s:.0f} s, {cpu_s / took_s:.2f} cores)",
            ">= 20",
        )

    def memory(self) -> None:
        self.report.add("peak RSS, MiB", f"{self._peak_mib():.0f}", "<= 600")

    def restart(self) -> None:
        self.operator.terminate(grace_s=15)
        before = self.fleet.writes()
        ready_s = self._start()
        time.sleep(IDLE_S / 3)
        self.report.add(f"s from a restart to ready, {len(self._names)} accounts", f"{ready_s:.1f}")
        self.report.add("API writes after a restart", str((self.fleet.writes() - before).total()), "0")

    # --- readings ----------------------------------------------------------------------------------------------------

    def _start(self) -> float:
        began = time.monotonic()
        self.operator.start()
        return time.monotonic() - began

    def _synced(self) -> float:
        return sum(value for name, value in self.operator.metrics().items() if name.startswith(RESULTS))

    def _cpu_s(self) -> float:
        fields = Path(f"/proc/{self.operator.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def _peak_mib(self) -> float:
        lines = Path(f"/proc/{self.operator.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


@contextmanager
def slow_server() -> Iterator[tuple[ScriptedServer, threading.Event, threading.Event]]:
    """A mail server that tells when it is connected to and when it is asked for mail, and gives that mail slowly."""
    accepted, fetching = threading.Event(), threading.Event()

    class Greeting(Conversation):
        def send(self, octets: bytes) -> None:
            accepted.set()
            super().send(octets)

    server = light_server(Greeting)
    server.folders[b"INBOX"] = sample(2000)

    def fetch(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes:
        wanted, _, items = arguments.partition(b" ")
        fetching.set()
        folder = server.folders[b"INBOX"]
        for uid in folder.uids_in(wanted):
            time.sleep(0.1)
            server.send_message(talk, uid, folder.messages[uid], items)
        return b"OK done"

    server.on(b"UID FETCH", fetch)
    with server:
        yield server, accepted, fetching


def _until(is_reached: Callable[[], bool], timeout_s: float, what: str, look_s: float = LOOK_S) -> None:
    end = time.monotonic() + timeout_s
    while not is_reached():
        if time.monotonic() > end:
            raise SystemExit(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(look_s)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench operator", description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--fresh", type=int, default=1_200, help="of them, how many were never synced")
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--samples", type=int, default=20, help="accounts that are applied and deleted one by one")
    options = parser.parse_args(arguments)
    with served() as port, ControlPlane() as plane, tempfile.TemporaryDirectory(prefix="archivmail-bench-") as name:
        plane.apply(CRD.read_text())
        plane.kubectl("wait", "--for=condition=Established", "crd/imapaccounts.archivmail.io", "--timeout=30s")
        bench = Bench(plane, Path(name), port, options)
        server = light_server()
        bench.fleet.create_secret(server.username, server.password)
        print(f"\n## Operator: {options.accounts} accounts, {options.fresh} of them new, {options.slots} slots\n")
        print("| reading | value | aim |\n|---|---|---|")
        try:
            for step in (
                bench.start_empty, bench.create_all, bench.first_start, bench.idle, bench.heard, bench.memory,
                bench.restart, bench.rate,
            ):  # fmt: skip
                step()
        finally:
            bench.operator.__exit__(None, None, None)
        print(f"\nload at the end: {', '.join(f'{each:.1f}' for each in os.getloadavg())}")
