"""A manifest's author cannot make the operator connect to what only the operator reaches (decision 0015)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.e2e.operating import Account, Operator, archivmail, condition
from tests.e2e.test_oauth import wait_for_reason

pytestmark = pytest.mark.servers


def denied(account: Account, setting: str) -> None:
    """Stalled, not Ready, and what to correct."""
    body = account.wait_for_condition("Stalled")
    for kind in ("Stalled", "Ready"):
        assert "EgressDenied" == condition(body, kind)["reason"]
    assert setting in condition(body, "Stalled")["message"]
    assert "127.0.0.1 is loopback" in condition(body, "Stalled")["message"]


def test_an_account_is_not_connected_to_the_operators_own_host(
    account: Account, start_operator: Callable[..., Operator]
) -> None:
    """Neither to a mail server there nor to the API server; one Event, and not a single login."""
    operator = start_operator(ARCHIVMAIL_EGRESS_ALLOW="localhost")
    server = Account(account.plane, account.namespace, account.mailbox, name="server")
    api_server = server.manifest(port=account.plane.port, auth={"secretRef": {"name": account.name}}, tls={})
    account.apply_all(*account.secrets(), account.manifest(), api_server)
    denied(account, "spec.host")
    denied(server, "spec.host")
    assert 0 == account.mailbox.server.login_attempts(account.mailbox.user)
    wait_for_reason(account, "EgressDenied")
    assert 1 == sum(each["reason"] == "EgressDenied" for each in account.events())
    assert "Traceback" not in operator.log_text()


def test_whoever_runs_the_command_line_acts_for_themselves(account: Account, tmp_path: Path) -> None:
    """Nothing is refused without the setting; with it, what the operator refuses."""
    manifest = tmp_path / "account.yaml"
    manifest.write_text(yaml.safe_dump_all([*account.secrets(), account.manifest()]))
    archive = ["--archive", str(tmp_path / "archive")]

    archivmail("sync", "-f", manifest, *archive)
    refused = archivmail("sync", "-f", manifest, *archive, expect=3, ARCHIVMAIL_EGRESS_ALLOW="*.example.org")
    archivmail("sync", "-f", manifest, *archive, "--egress-allow", "10.0.0.0/8, 127.0.0.1")

    assert "127.0.0.1 is loopback" in refused.stdout + refused.stderr
