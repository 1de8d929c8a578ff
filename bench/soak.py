"""One operator, many mailboxes, all that goes wrong in a cluster, at random: is the archive equal to the mail?

Mail arrives all the time. Meanwhile the operator is ended (SIGTERM) and killed (SIGKILL), the API server falls silent
or is killed for up to a minute, manifests are applied again as GitOps tools do, unchanged and changed, and accounts are
deleted and come back. At the end each account must be Complete, its archive equal to its mailbox octet for octet, and
nothing in it twice. `python -m bench.soak --minutes 10`; the exit code is 0 when that is so. A seed gives the same
faults in the same order; their moments depend on the machine.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.corpus.realistic import messages
from tests.e2e.archives import contents_stored, on_server, placements
from tests.e2e.operating import CRD, Account, Operator, archivmail, condition
from tests.servers.controlplane import ControlPlane
from tests.servers.dovecot import Dovecot
from tests.servers.fixtures import Mailbox

FOLDERS = ("INBOX", "Sent", "Projekte/Übersicht")
ARRIVAL_S = 0.3
"""Mean time between arrivals of mail."""
END_S = 300.0
"""How long the last runs may take."""


@dataclass(frozen=True, slots=True)
class Options:
    minutes: float = 10.0
    accounts: int = 50
    seed: int = 20261128
    outage_s: float = 60.0
    """Of the API server, at most."""
    calm_s: float = 8.0
    """Between two faults, at most."""
    first: int = 20
    """Messages in each folder at the start."""


@dataclass(slots=True)
class Found:
    """What the soak did and saw."""

    faults: Counter[str] = field(default_factory=Counter)
    arrived: int = 0
    messages: int = 0
    problems: list[str] = field(default_factory=list)


class Arrivals(threading.Thread):
    """Puts new mail into random folders until it is told to stop."""

    def __init__(self, server: Dovecot, users: list[str], chance: random.Random) -> None:
        super().__init__(name="arrivals", daemon=True)
        self._server, self._users, self._chance = server, users, chance
        self._over = threading.Event()
        self.count = 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            while not self._over.wait(self._chance.expovariate(1 / ARRIVAL_S)):
                user, folder = self._chance.choice(self._users), self._chance.choice(FOLDERS)
                count = self._chance.randint(1, 4)
                self._server.bulk_append(user, folder, messages(count, seed=self._chance.getrandbits(48), small=True))
                self.count += count
        except Exception as error:
            self.error = error

    def end(self) -> int:
        """No more mail; how much has come."""
        self._over.set()
        self.join(60)
        if self.error is not None:
            raise self.error
        return self.count


class Soak:
    """The cluster, the mailboxes and the operator of one soak."""

    def __init__(self, plane: ControlPlane, server: Dovecot, folder: Path, options: Options) -> None:
        self._plane, self._server, self._options = plane, server, options
        self._chance = random.Random(options.seed)
        self._began = time.monotonic()
        self.found = Found()
        namespace = plane.create_namespace("soak")
        names = [f"user-{number:02}" for number in range(options.accounts)]
        passwords = server.add_users(*names)
        self._accounts = [
            Account(plane, namespace, Mailbox(server, name, passwords[name]), name=name) for name in names
        ]
        self._intervals = dict.fromkeys(names, "30s")
        self._operator = Operator(
            plane.kubeconfig(folder / "kubeconfig"),
            folder / "archive",
            namespace=namespace,
            log=folder / "operator.log",
            ARCHIVMAIL_LOG_LEVEL="info",
            ARCHIVMAIL_EGRESS_ALLOW="127.0.0.0/8",
        )

    def run(self) -> Found:
        """Everything, in order."""
        self._fill()
        arrivals = Arrivals(self._server, [each.name for each in self._accounts], random.Random(self._chance.random()))
        with self._operator:
            self._apply()
            arrivals.start()
            end = time.monotonic() + self._options.minutes * 60
            while time.monotonic() < end:
                time.sleep(self._chance.uniform(0.2, self._options.calm_s))
                self._one_fault()
            self.found.arrived = arrivals.end()
            self._say(f"calm: {self.found.arrived} messages have arrived")
            self._finish()
            self._operator.terminate(grace_s=15)
        self._compare()
        return self.found

    # --- what goes wrong ---------------------------------------------------------------------------------------------

    def _one_fault(self) -> None:
        fault = self._chance.choice(
            (self._terminate, self._kill, self._silence, self._crash, self._apply, self._change, self._recreate)
        )
        name = fault.__name__.strip("_")
        self._say(name)
        self.found.faults[name] += 1
        if not self._operator.is_running():
            self.found.problems.append(f"the operator had ended by itself before {name}")
            self._operator.start()
        fault()

    def _terminate(self) -> None:
        took_s = self._operator.terminate(grace_s=20)
        if took_s > 10:
            self.found.problems.append(f"SIGTERM took {took_s:.0f} s")
        self._operator.start()

    def _kill(self) -> None:
        self._operator.kill()
        self._operator.start()

    def _silence(self) -> None:
        self._plane.pause()
        try:
            self._outage()
        finally:
            self._plane.resume()

    def _crash(self) -> None:
        self._plane.stop(grace_s=0)
        try:
            self._outage()
        finally:
            self._plane.start()

    def _outage(self) -> None:
        """Now and then the operator is killed in it, and starts without an API server."""
        lasts_s = self._chance.uniform(1, self._options.outage_s)
        is_killed = self._chance.random() < 0.3
        time.sleep(lasts_s / 2)
        if is_killed:
            self._operator.kill()
            self._operator.start(wait=False)
        time.sleep(lasts_s / 2)

    def _apply(self) -> None:
        """All manifests, as they were or new."""
        before = self._generations()
        documents = [document for each in self._accounts for document in self._manifests(each)]
        self._plane.apply(yaml.safe_dump_all(documents))
        after = self._generations()
        changed = [name for name in before if name in after and before[name] != after[name]]
        if changed:
            self.found.problems.append(f"applied again, and another generation: {', '.join(changed)}")

    def _change(self) -> None:
        account = self._chance.choice(self._accounts)
        self._intervals[account.name] = f"{self._chance.randint(30, 90)}s"
        account.apply_all(*self._manifests(account))

    def _recreate(self) -> None:
        account = self._chance.choice(self._accounts)
        self._plane.kubectl("delete", "imap", account.name, "-n", account.namespace, "--timeout=40s")
        account.apply_all(*self._manifests(account))

    # --- the rest ----------------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        for number, account in enumerate(self._accounts):
            for place, folder in enumerate(FOLDERS):
                if folder != "INBOX":
                    self._server.create_folder(account.name, folder)
                seed = self._options.seed + 1000 * number + place
                self._server.bulk_append(account.name, folder, messages(self._options.first, seed=seed, small=True))

    def _manifests(self, account: Account) -> list[dict[str, object]]:
        return [*account.secrets(), account.manifest(interval=self._intervals[account.name])]

    def _generations(self) -> dict[str, int]:
        collection = self._accounts[0].path.rpartition("/")[0]
        listed = self._plane.api.get(collection)["items"]
        return {each["metadata"]["name"]: each["metadata"]["generation"] for each in listed}

    def _finish(self) -> None:
        """One more run of each account; then each must be Complete."""
        value = "the end of the soak"
        for account in self._accounts:
            account.request(value)
        for account in self._accounts:
            body = account.wait(
                lambda body: body.get("status", {}).get("lastHandledReconcileAt") == value, timeout_s=END_S
            )
            if condition(body, "Complete").get("status") != "True":
                self.found.problems.append(f"{account.name} is not Complete: {json.dumps(body['status'])[:600]}")

    def _compare(self) -> None:
        archive = self._operator.archive
        for account in self._accounts:
            held, listed = placements(archive, account=account.name), on_server(self._server, account.name)
            self.found.messages += len(listed)
            if held != listed:
                self.found.problems.append(
                    f"{account.name}: {len(listed.keys() - held.keys())} missing, {len(held.keys() - listed.keys())} "
                    f"foreign, {sum(held[key] != listed[key] for key in held.keys() & listed.keys())} with other octets"
                )
        # What upkeep has merged stays for a day of grace, and is not a second copy: without grace it goes.
        for _ in range(2):
            archivmail("upkeep", "--grace", "0s", "--archive", archive)
        twice = sum(count > 1 for count in contents_stored(archive).values())
        if twice:
            self.found.problems.append(f"{twice} messages are stored twice")
        verified = archivmail("verify", "--full", "--json", "--archive", archive, expect=None)
        if verified.returncode:
            self.found.problems.append(f"verify: {verified.stdout.strip()[:500]} {verified.stderr.strip()[:300]}")

    def _say(self, what: str) -> None:
        print(f"  {time.monotonic() - self._began:6.1f} s  {what}", flush=True)


def soak(options: Options) -> Found:
    """Start the servers, soak, and tell what was found."""
    with ControlPlane() as plane, Dovecot() as server, tempfile.TemporaryDirectory(prefix="archivmail-soak-") as name:
        plane.apply(CRD.read_text())
        plane.kubectl("wait", "--for=condition=Established", "crd/imapaccounts.archivmail.io", "--timeout=30s")
        return Soak(plane, server, Path(name), options).run()


def main() -> int:
    usual = Options()
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=usual.minutes)
    parser.add_argument("--accounts", type=int, default=usual.accounts)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--outage", type=float, default=usual.outage_s, help="of the API server, seconds at most")
    given = parser.parse_args()
    print(f"soak: {given.minutes:g} minutes, {given.accounts} accounts, seed {given.seed}", flush=True)
    found = soak(Options(given.minutes, given.accounts, given.seed, given.outage))
    faults = ", ".join(f"{name} {count}" for name, count in sorted(found.faults.items()))
    print(f"faults: {faults}\nmessages: {found.messages}, of them {found.arrived} arrived meanwhile")
    for problem in found.problems:
        print(f"PROBLEM: {problem}")
    print("FAILED" if found.problems else f"every account Complete, {found.messages} messages equal, none twice")
    return bool(found.problems)


if __name__ == "__main__":
    sys.exit(main())
