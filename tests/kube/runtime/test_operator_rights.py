"""Each right in turn is missing: the operator says which, goes on with what it may, and recovers when it is granted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kube.runtime.operating import RULES, Operator, is_ready, wait_until
from tests.servers.controlplane import ControlPlane

pytestmark = pytest.mark.servers


def grant_all_but(operator: Operator, resource: str | None = None, verb: str = "") -> None:
    """Give the operator's Role RULES without one verb; without a resource: all of them."""
    rules = [
        {**rule, "verbs": [each for each in rule["verbs"] if rule["resources"] != [resource] or each != verb]}
        for rule in RULES
    ]
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{operator.namespace}/roles/archivmail-{operator.namespace}"
    operator.plane.api.merge_patch(path, {"rules": [rule for rule in rules if rule["verbs"]]})


@pytest.fixture
def limited(cluster: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[Operator]:
    """An operator that is not started yet, and a Secret `alice`."""
    running = Operator(cluster, namespace, tmp_path)
    running.prepare()
    running.create_secret()
    yield running
    running.close()


def refusals(operator: Operator, resource: str, verb: str) -> float:
    return operator.scrape().get(f'archivmail_kube_requests_total{{code="403",resource="{resource}",verb="{verb}"}}', 0)


def wait_for_refusal(operator: Operator, resource: str, verb: str) -> None:
    wait_until(lambda: refusals(operator, resource, verb) > 0, 30, f"a refusal to {verb} {resource} is counted")


def wait_for_log(operator: Operator, text: str) -> None:
    wait_until(lambda: text in operator.log.read_text(), 30, f"the log says: {text}")


def test_an_operator_that_may_not_list_is_not_ready_and_says_what_to_grant(limited: Operator) -> None:
    """The probe names the right; granted, it goes on without a restart."""
    grant_all_but(limited, "imapaccounts", "list")
    limited.start()
    wait_until(lambda: "may not list imapaccounts" in limited.probe("/readyz")[1], 30, "the probe says so")
    assert refusals(limited, "imapaccounts", "list") > 0
    assert 200 == limited.probe("/healthz")[0]

    grant_all_but(limited)
    limited.wait_ready()
    limited.create_account("alice")
    limited.wait_for("alice", is_ready)


def test_each_right_that_is_missing_is_named_and_made_up_for_when_it_comes(limited: Operator) -> None:
    """S7: one after the other, on one operator; accounts are created while it may not do its work on them."""
    grant_all_but(limited, "imapaccounts", "watch")
    limited.start()
    limited.wait_ready()
    wait_for_log(limited, 'cannot watch resource \\"imapaccounts\\"')
    limited.create_account("unwatched")
    assert [] == limited.journal("unwatched")

    grant_all_but(limited, "imapaccounts", "get")
    wait_for_refusal(limited, "imapaccounts", "get")
    wait_for_log(limited, "account could not be read")

    grant_all_but(limited, "secrets", "get")
    wait_for_refusal(limited, "secrets", "get")

    grant_all_but(limited, "imapaccounts/status", "patch")
    wait_for_refusal(limited, "imapaccounts/status", "patch")
    wait_for_log(limited, "status not written")

    grant_all_but(limited, "imapaccounts", "patch")
    limited.wait_for("unwatched", is_ready, timeout_s=60)
    limited.create_account("unmarked")
    limited.wait_for("unmarked", is_ready)
    wait_for_log(limited, 'cannot patch resource \\"imapaccounts\\"')

    grant_all_but(limited, "events", "create")
    limited.create_account("untold")
    limited.wait_for("untold", is_ready)
    wait_for_refusal(limited, "events", "create")
    wait_for_log(limited, "event not delivered")

    grant_all_but(limited)
    limited.create_account("free")
    limited.wait_for("free", is_ready)
    limited.wait_for_event("free", "Succeeded")
    for name in ("unwatched", "unmarked", "untold", "free"):
        limited.plane.kubectl("delete", "imapaccount", name, "-n", limited.namespace, "--timeout=40s")
        assert 1 == len(limited.journal(name, "began")), name
