"""A small fleet on real parts in which everything goes wrong that dashboards and alerts tell of.

API server, Dovecot, a server that refuses a message, the operator as a process, Prometheus scraping it.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, Any, Self

import yaml

from tests.corpus.realistic import messages
from tests.deploy.chart import one, render
from tests.e2e.operating import CRD, Account, Operator, archivmail, condition
from tests.servers.dovecot import Dovecot
from tests.servers.fixtures import Mailbox
from tests.servers.prometheus import Prometheus
from tests.servers.scripted import Conversation, ScriptedServer, sample

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.controlplane import ControlPlane

RELEASE_NAMESPACE = "mail"
JOB = "mail/archive-archivmail"
GRACE = "1m"
INTERVAL = "30s"  # the shortest that there is
POISON = 2
HEALTHY = ("alice", "bob")
ACCOUNTS = (*HEALTHY, "locked-out", "no-secret", "parked", "refused-mail", "full-disk")
NOT_READY = {"locked-out", "no-secret", "full-disk"}


class Fleet:
    """A context manager: started, and not yet in trouble."""

    def __init__(self, plane: ControlPlane, folder: Path, *, slots: int = 1, prefix: str = "test") -> None:
        self.plane = plane
        self.namespace = ""
        self.archive = folder / "archive"
        self._folder = folder
        self._slots = slots
        self._prefix = prefix
        self._stack = contextlib.ExitStack()
        self._requests = itertools.count(1)
        self.rules = rules()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.plane.apply(CRD.read_text())
            self.plane.kubectl("wait", "--for=condition=Established", "crd/imapaccounts.archivmail.io", "--timeout=30s")
            self.namespace = self.plane.create_namespace(self._prefix)
            self.dovecot = stack.enter_context(Dovecot())
            self.refusing = stack.enter_context(ScriptedServer({b"INBOX": sample(3)}))
            self.refusing.on(b"UID FETCH", _refuse)
            kubeconfig = self.plane.kubeconfig(self._folder / "kubeconfig")
            log = self._folder / "operator.log"
            self.operator = stack.enter_context(
                Operator(kubeconfig, self.archive, namespace=self.namespace, log=log, ARCHIVMAIL_SLOTS=str(self._slots))
            )
            pod = {"namespace": RELEASE_NAMESPACE, "pod": "archive-archivmail-0"}
            self.prometheus = stack.enter_context(
                Prometheus(JOB, self.operator.metrics_port, pod, rules={"groups": self.rules["groups"]})
            )
            passwords = self.dovecot.add_users("alice", "bob", "parked", "locked-out", "full-disk")
            self.accounts = {
                name: Account(self.plane, self.namespace, Mailbox(self.dovecot, name, password), name=name)
                for name, password in passwords.items()
            }
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    # --- the situations ----------------------------------------------------------------------------------------------

    def begin(self, *, mails: int = 20) -> None:
        """Every account is created and has had its first attempt."""
        for number, account in enumerate(self.accounts.values()):
            self.dovecot.bulk_append(account.mailbox.user, "INBOX", messages(mails, seed=number, small=True))
        for name in (*HEALTHY, "parked"):
            self.accounts[name].apply(interval=INTERVAL)
        locked_out, full_disk = self.accounts["locked-out"], self.accounts["full-disk"]
        locked_out.apply_all(*locked_out.secrets("not the password"), locked_out.manifest(interval=INTERVAL))
        self._break_store_of("full-disk")
        full_disk.apply(interval=INTERVAL)
        self.plane.apply(yaml.safe_dump_all([*self._refused_mail(), self._no_secret()]))
        for name in (*HEALTHY, "parked"):
            self.accounts[name].wait_for_condition("Complete")
        locked_out.wait_for_condition("Stalled")

    def fail_to_write(self, times: int = 4) -> None:
        """The store of one account is not there, again and again."""
        for _ in range(times):
            self.sync("full-disk")

    def renumber(self) -> None:
        """The server gives alice's INBOX another UIDVALIDITY, and the operator sees it."""
        self.dovecot.reset_uidvalidity("alice", "INBOX")
        self.sync("alice")

    def damage(self) -> None:
        """A pack of an account that is suspended loses an octet, so no run repairs it; a verification finds out."""
        self.accounts["parked"].apply(interval=INTERVAL, suspend=True)
        pack = min((self.archive / "packs" / self.namespace / "parked").glob("*.tar.zst"))
        octets = bytearray(pack.read_bytes())
        octets[len(octets) // 3] ^= 0xFF
        pack.chmod(0o600)
        pack.write_bytes(octets)
        archivmail("verify", "--full", "--archive", self.archive, expect=1)
        self.sync("bob")  # the operator looks at verifications after a run

    def receive(self, name: str, *, seed: int, mails: int = 3) -> None:
        """New mail, fetched at once."""
        self.dovecot.bulk_append(name, "INBOX", messages(mails, seed=seed, small=True))
        self.sync(name)

    def sync(self, name: str) -> None:
        self.accounts[name].sync_now(f"request {next(self._requests)}")

    def troubled(self) -> set[str]:
        """The accounts that are not Ready, as the API server has it."""
        listed = self.plane.api.get(f"/apis/archivmail.io/v1alpha1/namespaces/{self.namespace}/imapaccounts")["items"]
        return {each["metadata"]["name"] for each in listed if condition(each, "Ready").get("status") != "True"}

    # --- their making ------------------------------------------------------------------------------------------------

    def _break_store_of(self, name: str) -> None:
        """A file where the folder of its packs should be: nothing can be written there, not even by root."""
        folder = self.archive / "packs" / self.namespace
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("in the way")

    def _refused_mail(self) -> list[dict[str, Any]]:
        server = self.refusing
        login = {"username": server.username, "password": server.password}
        spec = {
            "host": "127.0.0.1",
            "port": server.port,
            "tls": {"mode": "Disabled"},
            "auth": {"secretRef": {"name": "refused-mail"}},
            "interval": INTERVAL,
        }
        metadata = {"name": "refused-mail", "namespace": self.namespace}
        return [
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": login},
            {"apiVersion": "archivmail.io/v1alpha1", "kind": "ImapAccount", "metadata": metadata, "spec": spec},
        ]

    def _no_secret(self) -> dict[str, Any]:
        return {
            "apiVersion": "archivmail.io/v1alpha1",
            "kind": "ImapAccount",
            "metadata": {"name": "no-secret", "namespace": self.namespace},
            "spec": {
                "host": "127.0.0.1",
                "auth": {"secretRef": {"name": "forgotten"}},
                "interval": INTERVAL,
            },
        }


def rules() -> dict[str, Any]:
    """The chart's alerts, as the release in RELEASE_NAMESPACE has them."""
    enabled = ("metrics.prometheusRule.enabled=true", f'metrics.prometheusRule.staleGrace="{GRACE}"')
    spec: dict[str, Any] = one(render(*enabled, namespace=RELEASE_NAMESPACE), "PrometheusRule")["spec"]
    return spec


def _refuse(server: ScriptedServer, talk: Conversation, arguments: bytes) -> bytes | None:
    if POISON in server.folders[b"INBOX"].uids_in(arguments.partition(b" ")[0]):
        return b"NO [SERVERBUG] cannot read that message"
    return server.correct(b"UID FETCH", talk, arguments)
