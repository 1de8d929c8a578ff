"""Several replicas on one archive, as a StatefulSet runs them: processes with an ordinal each, and a witness of what
they commit."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from archivmail.archive.archive import Archive
from archivmail.archive.opening import open_archive
from archivmail.decide.sharding import owner
from archivmail.model.account import AccountRef
from archivmail.model.foldernames import display
from tests.e2e.archives import Placements, on_server
from tests.e2e.operating import Account, Operator
from tests.servers.fixtures import Mailbox

if TYPE_CHECKING:
    from tests.servers.controlplane import ControlPlane
    from tests.servers.dovecot import Dovecot
    from tests.servers.postgresql import PostgreSqlDatabase
    from tests.servers.s3 import S3Bucket

LEASE_S = 4
PAUSE_S = 0.02

# Who commits a pack of an account, by its name as a client of the server, and under which taking of the account.
WITNESS = """
    CREATE TABLE witness (at SERIAL PRIMARY KEY, account BIGINT, replica TEXT, token TEXT);
    CREATE FUNCTION witnessed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO witness (account, replica, token)
        SELECT NEW.account_id, current_setting('application_name'), token FROM fences
        WHERE account_id = NEW.account_id;
        RETURN NULL;
    END $$;
    CREATE TRIGGER witness AFTER INSERT ON packs FOR EACH ROW EXECUTE FUNCTION witnessed();
"""


class Shards:
    """The replicas of one release. A context manager."""

    def __init__(
        self,
        plane: ControlPlane,
        namespace: str,
        folder: Path,
        *,
        catalog: PostgreSqlDatabase,
        bucket: S3Bucket,
        dovecot: Dovecot,
    ) -> None:
        self._plane, self._namespace, self._folder = plane, namespace, folder
        self._catalog, self._bucket, self._dovecot = catalog, bucket, dovecot
        self._kubeconfig = plane.kubeconfig(folder / "kubeconfig")
        self._started: list[Operator] = []
        self.running: dict[int, Operator] = {}
        self.accounts: list[Account] = []
        with catalog.connect() as connection:
            connection.execute(WITNESS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._started:
            with suppress(ProcessLookupError):
                each.process.resume()
            each.__exit__(None, None, None)

    def start(self, ordinal: int, shards: int, *, wait: bool = True, lease_s: int = LEASE_S) -> Operator:
        """A pod of that ordinal: another process than any before it."""
        name = f"replica-{ordinal}-{len(self._started)}"
        operator = Operator(
            self._kubeconfig,
            self._bucket.url,
            namespace=self._namespace,
            log=self._folder / f"{name}.log",
            ARCHIVMAIL_CATALOG=f"{self._catalog.url}?application_name={name}",
            ARCHIVMAIL_SHARD=str(ordinal),
            ARCHIVMAIL_SHARDS=str(shards),
            ARCHIVMAIL_LEASE_NAMESPACE=self._namespace,
            ARCHIVMAIL_LEASE_SECONDS=str(lease_s),
            HOSTNAME=f"archivmail-{ordinal}",
        )
        self._started.append(operator)
        operator.start(wait=wait)
        self.running[ordinal] = operator
        return operator

    def start_all(self, shards: int) -> None:
        """In parallel, as podManagementPolicy says."""
        self.start_in_parallel(range(shards), shards)

    def start_in_parallel(self, ordinals: range, shards: int) -> None:
        for ordinal in ordinals:
            self.start(ordinal, shards, wait=False)
        for ordinal in ordinals:
            self.running[ordinal].process.wait_until(self.running[ordinal].is_ready, deadline_s=60)

    def roll(self, ordinal: int, shards: int) -> None:
        """Replace a pod as an update does: the old one ends, then the new one starts and becomes ready."""
        self.stop(ordinal)
        self.start(ordinal, shards)

    def stop(self, ordinal: int) -> None:
        self.running.pop(ordinal).terminate(grace_s=15)

    def application(self, operator: Operator) -> str:
        return operator.log.stem

    # --- accounts ----------------------------------------------------------------------------------------------------

    def add_accounts(self, *names: str, messages: list[bytes]) -> None:
        for name, password in self._dovecot.add_users(*names).items():
            self._dovecot.bulk_append(name, "INBOX", messages)
            account = Account(self._plane, self._namespace, Mailbox(self._dovecot, name, password), name=name)
            account.apply(interval="0s")
            self.accounts.append(account)

    def names(self, *counts: int, per_shard: int = 1) -> list[str]:
        """Names such that each shard serves so many accounts at least, whatever the count of shards is."""
        wanted = {(count, ordinal): per_shard for count in counts for ordinal in range(count)}
        names = []
        for name in (f"user{number}" for number in itertools.count()):
            served = [(count, owner(AccountRef(self._namespace, name), count)) for count in counts]
            if any(wanted[each] > 0 for each in served):
                names.append(name)
                for each in served:
                    wanted[each] -= 1
            if max(wanted.values()) <= 0:
                return names
        raise AssertionError

    def of_shard(self, ordinal: int, shards: int) -> list[Account]:
        return [each for each in self.accounts if owner(AccountRef(self._namespace, each.name), shards) == ordinal]

    def deliver(self, octets: bytes) -> None:
        """One new message for everybody."""
        for account in self.accounts:
            self._dovecot.append(account.name, "INBOX", octets + account.name.encode())

    def sync_all(self, request: str, *, timeout_s: float = 60) -> None:
        """Ask for a run of each account and wait until each was acted on and is complete."""
        for account in self.accounts:
            account.request(request)
        self.wait_for_all(request, timeout_s=timeout_s)

    def wait_for_all(self, request: str, *, timeout_s: float = 60) -> None:
        end = time.monotonic() + timeout_s
        for account in self.accounts:
            body = account.wait(
                lambda body: body.get("status", {}).get("lastHandledReconcileAt") == request,
                timeout_s=max(1.0, end - time.monotonic()),
            )
            assert "Succeeded" == body["status"]["lastResult"], body["status"]

    # --- what they did -----------------------------------------------------------------------------------------------

    def packs_of(self, account: Account) -> int:
        with self._catalog.connect() as connection:
            question = "SELECT count(*) FROM packs JOIN accounts ON accounts.id = account_id WHERE accounts.name = %s"
            row = connection.execute(question, [account.name]).fetchone()
        assert row is not None
        return int(row[0])

    def wait_for_packs(self, account: Account, count: int = 1) -> None:
        end = time.monotonic() + 60
        while self.packs_of(account) < count:
            assert time.monotonic() < end, "nothing was archived"
            time.sleep(PAUSE_S)

    def cut_off(self, operator: Operator) -> None:
        """The server of the catalog gives up the sessions of a replica, as when its machine does not answer."""
        end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = %s"
        with self._catalog.connect() as connection:
            connection.execute(end, [self.application(operator)])

    def commits(self) -> dict[str, list[tuple[str, str]]]:
        """Replica and taking of each commit, in their order, by account."""
        question = """SELECT name, replica, token FROM witness JOIN accounts ON accounts.id = account ORDER BY at"""
        found: dict[str, list[tuple[str, str]]] = {}
        with self._catalog.connect() as connection:
            for name, replica, token in connection.execute(question).fetchall():
                found.setdefault(name, []).append((replica, token))
        return found

    @contextmanager
    def archive(self) -> Iterator[Archive]:
        with open_archive(self._bucket.url, self._catalog.url, create=False, read_only=True) as opened:
            yield opened

    def assert_nothing_lost_nothing_twice(self) -> None:
        """Invariants 1, 2 and 3: the archive holds what the mailboxes hold, octet for octet, each placement once."""
        with self.archive() as archive:
            assert archive.verify(full=True).is_clean
            for account in self.accounts:
                held: Placements = {}
                for row in archive.placements(namespace=self._namespace, account=account.name):
                    key = display(row.folder), row.uid_validity, row.uid
                    assert key not in held, "a message stands twice"
                    held[key] = row.content_id
                assert on_server(self._dovecot, account.name) == held

    def assert_runs_never_overlapped(self) -> None:
        """Invariant 8: between two commits of one taking of an account nobody else committed anything for it."""
        for name, commits in self.commits().items():
            takings = [token for _, token in commits]
            assert takings == sorted(takings, key=takings.index), f"two runs of {name} took turns"
            for token in set(takings):
                assert 1 == len({replica for replica, each in commits if each == token}), f"two replicas for {name}"
