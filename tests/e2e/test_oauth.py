"""OAuth from the manifest to the archive, on a real mail server that asks the issuer about each token."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.corpus.realistic import messages
from tests.e2e.archives import assert_equal_to_server
from tests.e2e.operating import Account, Operator, archivmail, condition
from tests.kube.runtime.operating import SERVICE_ACCOUNT, allow_changing_secrets, grant
from tests.servers.controlplane import ControlPlane
from tests.servers.dovecot import Dovecot
from tests.servers.dovecot_oauth import dovecot_with_tokens
from tests.servers.fixtures import Mailbox
from tests.servers.tokens import TokenServer

pytestmark = pytest.mark.servers


@dataclass(frozen=True)
class Provider:
    """A mail server and who gives the tokens for it."""

    issuer: TokenServer
    dovecot: Dovecot

    def account(self, plane: ControlPlane, namespace: str) -> OAuthAccount:
        return OAuthAccount(plane, namespace, Mailbox(self.dovecot, "alice", ""), self.issuer)


class OAuthAccount(Account):
    """Alice with a refresh token."""

    def __init__(self, plane: Any, namespace: str, mailbox: Mailbox, issuer: TokenServer) -> None:
        super().__init__(plane, namespace, mailbox)
        self.issuer = issuer

    def secrets(self, password: str | None = None) -> list[dict[str, Any]]:
        grant_ = {"clientId": self.issuer.client_id, "refreshToken": password or self.issuer.refresh_token}
        authority = {"ca.crt": self.mailbox.server.ca_pem}
        return [self._secret(self.name, {"username": "alice", **grant_}), self._secret(f"{self.name}-ca", authority)]

    def oauth(self, mechanism: str = "XOAuth2", **oauth2: Any) -> dict[str, Any]:
        return {
            "auth": {
                "mechanism": mechanism,
                "secretRef": {"name": self.name},
                "oauth2": {"tokenURL": self.issuer.url, **oauth2},
            }
        }

    def held(self) -> str:
        """The refresh token that the Secret holds."""
        found = self.plane.api.get(f"/api/v1/namespaces/{self.namespace}/secrets/{self.name}")
        return base64.b64decode(found["data"]["refreshToken"]).decode()


@pytest.fixture
def provider() -> Iterator[Provider]:
    """Each refresh token is good for one use."""
    with TokenServer() as issuer, TokenServer(is_encrypted=False) as asked, dovecot_with_tokens(asked) as dovecot:
        issuer.rotates = True
        asked.users = issuer.users
        dovecot.add_user("alice")
        dovecot.bulk_append("alice", "INBOX", messages(20, seed=1, small=True))
        yield Provider(issuer, dovecot)


@contextmanager
def operator(cluster: ControlPlane, namespace: str, folder: Path, **settings: str) -> Iterator[Operator]:
    """With the rights of the chart and no more."""
    folder.mkdir(exist_ok=True)
    kubeconfig = cluster.service_account_kubeconfig(namespace, SERVICE_ACCOUNT, folder / "kubeconfig")
    log = folder / "operator.log"
    with Operator(kubeconfig, folder / "archive", namespace=namespace, log=log, **settings) as running:
        yield running


def reasons(account: Account) -> set[str]:
    return {each["reason"] for each in account.events()}


def wait_for_reason(account: Account, reason: str) -> None:
    end = time.monotonic() + 30
    while reason not in reasons(account):
        assert time.monotonic() < end, f"no Event {reason}"
        time.sleep(0.1)


@pytest.mark.parametrize("mechanism", ["XOAuth2", "OAuthBearer"])
def test_the_command_line_archives_with_a_refresh_token(mechanism: str, provider: Provider, tmp_path: Path) -> None:
    """Equal to the server; one line tells of the new refresh token, without showing it."""
    account = provider.account(None, "team-a")  # type: ignore[arg-type] # no cluster here
    manifest = tmp_path / "account.yaml"
    manifest.write_text(yaml.safe_dump_all([*account.secrets(), account.manifest(**account.oauth(mechanism))]))

    ended = archivmail("sync", "-f", manifest, "--archive", tmp_path / "archive")

    assert_equal_to_server(tmp_path / "archive", provider.dovecot, "alice")
    told = [line for line in ended.stderr.splitlines() if "refresh token" in line]
    assert 1 == len(told)
    assert "spec.auth.oauth2.updateSecret" in told[0]
    assert not any(token in ended.stdout + ended.stderr for token in ("refresh-", "access-"))


def test_the_command_line_says_that_the_token_is_void(provider: Provider, tmp_path: Path) -> None:
    """Exit 3, one sentence; the mail server is not asked."""
    account = provider.account(None, "team-a")  # type: ignore[arg-type] # no cluster here
    manifest = tmp_path / "account.yaml"
    documents = [*account.secrets("revoked"), account.manifest(**account.oauth())]
    manifest.write_text(yaml.safe_dump_all(documents))

    ended = archivmail("sync", "-f", manifest, "--archive", tmp_path / "archive", expect=3)

    assert "invalid_grant" in ended.stdout + ended.stderr
    assert "revoked" not in ended.stdout + ended.stderr
    assert 0 == provider.dovecot.login_attempts("alice")


def test_new_refresh_tokens_survive_a_restart(
    provider: Provider, cluster: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """trap 90: an Event says what to grant; once it is granted the Secret is written, and another process logs in."""
    account = provider.account(cluster, namespace)
    grant(cluster, namespace)
    with operator(cluster, namespace, tmp_path / "first") as first:
        account.apply(interval="168h", **account.oauth(updateSecret=True))
        account.wait_for_condition("Complete")
        assert_equal_to_server(first.archive, provider.dovecot, "alice")
        wait_for_reason(account, "RefreshTokenNotKept")
        assert "refresh-0" == account.held()

        allow_changing_secrets(cluster, namespace)
        account.sync_now("one")
        wait_for_reason(account, "RefreshTokenRotated")
        assert "refresh-1" == account.held()
        assert 1 == len(provider.issuer.requests), "the access token of the first run served the second"
        shown = first.log_text() + str(account.events()) + str(account.get())
        assert not any(token in shown for token in ("refresh-0", "refresh-1", "access-0"))

    with operator(cluster, namespace, tmp_path / "second"):
        body = account.sync_now("two")
        assert "Succeeded" == body["status"]["lastResult"]
    assert ["refresh-0", "refresh-1"] == [each["refresh_token"] for each in provider.issuer.requests]


def test_a_void_refresh_token_is_stalled_until_the_secret_changes(
    provider: Provider, cluster: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """S5, trap 87: six hours, or a new Secret; an outage of the issuer is not that."""
    account = provider.account(cluster, namespace)
    grant(cluster, namespace)
    with operator(cluster, namespace, tmp_path / "operator"):
        account.apply_all(*account.secrets("revoked"), account.manifest(interval="1h", **account.oauth()))
        body = account.wait_for_condition("Stalled")
        assert "AuthenticationFailed" == condition(body, "Stalled")["reason"]
        status = account.wait_for_result("Failed")["status"]
        pause = datetime.fromisoformat(status["nextSyncTime"]) - datetime.fromisoformat(status["lastAttemptTime"])
        assert timedelta(hours=5, minutes=30) < pause < timedelta(hours=6, minutes=30)

        account.apply_all(*account.secrets())
        body = account.wait_for_condition("Complete")
        assert not condition(body, "Stalled")
    assert ["revoked", "refresh-0"] == [each["refresh_token"] for each in provider.issuer.requests]


def test_a_token_endpoint_on_the_operators_own_host_gets_no_secret(
    provider: Provider, cluster: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """decision 0015: the mail server is allowed, by name, and greets; the endpoint is asked nothing."""
    account = provider.account(cluster, namespace)
    grant(cluster, namespace)
    with operator(cluster, namespace, tmp_path / "operator", ARCHIVMAIL_EGRESS_ALLOW="localhost"):
        account.apply(host="localhost", **account.oauth())
        body = account.wait_for_condition("Stalled")
    assert "EgressDenied" == condition(body, "Stalled")["reason"]
    assert "spec.auth.oauth2.tokenURL" in condition(body, "Stalled")["message"]
    assert [] == provider.issuer.requests
