"""The roles of the chart grant what is needed and nothing else, shown by the requests that are really made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.operating import Account

from .chart import of_kind, render
from .release import SERVICE_ACCOUNT, Release
from .rights import Bench, Right, Role, asked_for, granted, is_refused, without
from .story import Story

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.controlplane import ControlPlane
    from tests.servers.fixtures import Mailbox

pytestmark = pytest.mark.servers

ACCOUNTS = "/apis/archivmail.io/v1alpha1/namespaces/{namespace}/imapaccounts"
OPTIONAL = {Right("discovery.k8s.io", "endpointslices", "list")}
"""Asked for in case the role lets it, which the chart's does not (docs/decisions/0015-egress.md)."""
USERS = {
    "view": {
        Right("archivmail.io", "imapaccounts", "get"): f"{ACCOUNTS}/nobody",
        Right("archivmail.io", "imapaccounts", "list"): ACCOUNTS,
        Right("archivmail.io", "imapaccounts", "watch"): f"{ACCOUNTS}?watch=1&timeoutSeconds=1",
        Right("archivmail.io", "imapaccounts/status", "get"): f"{ACCOUNTS}/nobody/status",
    },
    "edit": {
        Right("archivmail.io", "imapaccounts", "create"): ACCOUNTS,
        Right("archivmail.io", "imapaccounts", "update"): f"{ACCOUNTS}/nobody",
        Right("archivmail.io", "imapaccounts", "patch"): f"{ACCOUNTS}/nobody",
        Right("archivmail.io", "imapaccounts", "delete"): f"{ACCOUNTS}/nobody",
        Right("archivmail.io", "imapaccounts", "deletecollection"): ACCOUNTS,
    },
}
"""What people do with kubectl: get, get --watch, get --subresource=status; apply, replace, edit, delete."""


def _role_of(release: Release, kind: str = "ClusterRole") -> Role:
    roles = of_kind([each for each in yaml.safe_load_all(release.manifest()) if each], kind)
    (role,) = [each for each in roles if each["metadata"]["name"] == f"{release.namespace}-archive-archivmail"]
    return role


def _needed(requests: list[dict[str, Any]]) -> dict[Right, str]:
    return {right: uri for right, uri in asked_for(requests).items() if right not in OPTIONAL}


def _refused(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in requests if each["annotations"]["authorization.k8s.io/decision"] != "allow"]


def test_operator_asks_for_what_it_is_granted_and_nothing_else(story: Story) -> None:
    """In a life of several accounts: no right is unused, and no request was refused but what may be."""
    assert granted(_role_of(story.release)) == set(asked_for(story.requests)) - OPTIONAL
    assert set(asked_for(_refused(story.requests))) <= OPTIONAL


def test_operator_fails_without_any_single_right(story: Story) -> None:
    """Each of its own requests sent again: refused where the role lacks that right, and only there."""
    role, requests = _role_of(story.release), _needed(story.requests)
    reduced = {str(right): without(role, right) for right in requests}

    refused = {
        missing: {str(right) for right, uri in requests.items() if is_refused(client, right, uri)}
        for missing, client in Bench(story.release.plane).clients(reduced)
    }

    assert refused == {str(right): {str(right)} for right in requests}


@pytest.mark.parametrize("name", ["view", "edit"])
def test_users_need_every_right_of_their_role(release: Release, namespace: str, name: str) -> None:
    """As above, for the roles that the cluster's own are made of."""
    roles = {each["metadata"]["name"].rsplit("-", 1)[1]: each for each in of_kind(render(), "ClusterRole")}
    requests = {right: uri.format(namespace=namespace) for right, uri in USERS[name].items()}
    reduced = {str(right): without(roles[name], right) for right in requests}

    refused = {
        missing: {str(right) for right, uri in requests.items() if is_refused(client, right, uri)}
        for missing, client in Bench(release.plane).clients(reduced, where=namespace)
    }

    assert granted(roles[name]) == set(requests)
    assert refused == {str(right): {str(right)} for right in requests}


def test_operator_of_a_tenant_asks_for_what_it_is_granted(
    control_plane: ControlPlane, release: Release, lasting_mailbox: Mailbox, namespace: str, tmp_path: Path
) -> None:
    """With `watchNamespaces`: one account from its creation to its deletion on Roles alone, and nothing outside."""
    tenant = Release(control_plane)
    tenant.install(
        'egressAllow=["127.0.0.0/8"]', f'watchNamespaces=["{namespace}"]', "crds.install=false",
        "rbac.aggregateClusterRoles=false",
    )  # fmt: skip
    account = Account(control_plane, namespace, lasting_mailbox)
    with tenant.operator(tmp_path) as operator:
        account.apply(interval="1h")
        account.wait_for_condition("Complete")
        control_plane.kubectl("delete", "imap", account.name, "-n", namespace, "--timeout=30s")
        assert operator.is_ready()

    requests = control_plane.requests_of(tenant.namespace, SERVICE_ACCOUNT)
    assert granted(_role_of(tenant, "Role")) == set(_needed(requests))
    assert set(asked_for(_refused(requests))) <= OPTIONAL
    needed = [each for each in requests if set(asked_for([each])) & set(_needed(requests))]
    assert {each["objectRef"]["namespace"] for each in needed} == {namespace}


def test_watching_secrets_needs_its_rights() -> None:
    """`secrets.watch`: with it Secrets can be listed and watched, and nothing else has come with it."""
    plain, watching = (
        next(each for each in of_kind(render(*sets), "ClusterRole") if each["metadata"]["name"].endswith("archivmail"))
        for sets in ([], ["secrets.watch=true"])
    )

    assert granted(watching) - granted(plain) == {Right("", "secrets", verb) for verb in ("list", "watch")}


def test_writing_refresh_tokens_needs_its_right(release: Release, namespace: str) -> None:
    """`rbac.updateSecrets`: with it a Secret can be patched, and nothing else has come with it."""
    plain, writing = (
        next(each for each in of_kind(render(*sets), "ClusterRole") if each["metadata"]["name"].endswith("archivmail"))
        for sets in ([], ["rbac.updateSecrets=true"])
    )
    right = Right("", "secrets", "patch")
    uri = f"/api/v1/namespaces/{namespace}/secrets/none"

    refused = {
        key: is_refused(client, right, uri)
        for key, client in Bench(release.plane).clients({"plain": plain, "writing": writing}, where=namespace)
    }

    assert granted(writing) - granted(plain) == {right}
    assert refused == {"plain": True, "writing": False}
