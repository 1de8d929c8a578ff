"""What the chart's pods may do, and what the operator may ask the API server for."""

from __future__ import annotations

import pytest

from .chart import SHAPES, Manifest, of_kind, one, pod_specs, render, shape

pytestmark = pytest.mark.servers

OPERATOR_RULES = {
    ("archivmail.io", "imapaccounts"): {"get", "list", "watch", "patch"},
    ("archivmail.io", "imapaccounts/status"): {"patch"},
    ("", "secrets"): {"get"},
    ("", "events"): {"create"},
}


@pytest.mark.parametrize("name", SHAPES)
def test_pods_run_without_any_privilege(name: str) -> None:
    """Non-root with a fixed user, read-only root, no capabilities, seccomp, no service links."""
    for spec in pod_specs(render(values=shape(name))):
        pod = spec["securityContext"]
        assert pod["runAsNonRoot"] is True
        assert pod["runAsUser"] == pod["runAsGroup"] == pod["fsGroup"] == 65532
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["enableServiceLinks"] is False
        assert isinstance(spec["automountServiceAccountToken"], bool)
        assert "hostNetwork" not in spec
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_operator_is_never_twice_and_has_time_to_end() -> None:
    """A rollout ends the old pod before it starts the new one."""
    deployment = one(render(), "Deployment")["spec"]

    assert deployment["replicas"] == 1
    assert deployment["strategy"] == {"type": "Recreate"}
    assert deployment["template"]["spec"]["terminationGracePeriodSeconds"] == 60


def test_probes_ask_the_health_port() -> None:
    """Liveness and start-up ask whether the process lives, readiness whether it does its work."""
    (spec,) = pod_specs(render())
    container = spec["containers"][0]

    assert container["startupProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "health"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "health"}


def test_cluster_role_has_exactly_what_the_operator_asks_for() -> None:
    """Neither list nor watch of Secrets, no namespaces, no CRDs."""
    manifests = render()
    (role,) = [
        each for each in of_kind(manifests, "ClusterRole") if each["metadata"]["name"] == "mail-archive-archivmail"
    ]
    binding = one(manifests, "ClusterRoleBinding")

    assert _rules(role) == OPERATOR_RULES
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "archive-archivmail", "namespace": "mail"}]
    assert not of_kind(manifests, "Role", "RoleBinding")


@pytest.mark.parametrize("name", ["ClusterRole", "Role"])
def test_secrets_may_be_changed_only_where_it_is_asked_for(name: str) -> None:
    """For new refresh tokens; and the chart asks for nothing else then."""
    values = shape("namespaced") if name == "Role" else None
    roles = of_kind(render("rbac.updateSecrets=true", values=values), name)

    operators = [each for each in roles if ("", "secrets") in _rules(each)]
    assert operators
    for role in operators:
        assert _rules(role) == OPERATOR_RULES | {("", "secrets"): {"get", "patch"}}


def test_watched_namespaces_get_a_role_each_and_the_cluster_none() -> None:
    """A tenant's operator can do nothing outside its namespaces."""
    manifests = render(values=shape("namespaced"))
    roles = of_kind(manifests, "Role")

    assert {each["metadata"]["namespace"] for each in roles} == {"team-a", "team-b"}
    assert all(_rules(each) == OPERATOR_RULES for each in roles)
    bindings = of_kind(manifests, "RoleBinding")
    assert {each["metadata"]["namespace"] for each in bindings} == {"team-a", "team-b"}
    assert {each["subjects"][0]["name"] for each in bindings} == {"archivist"}
    assert not of_kind(manifests, "ClusterRole", "ClusterRoleBinding", "ServiceAccount")


def test_two_releases_share_no_cluster_wide_name() -> None:
    """Equal names in two namespaces do not take each other's rights away."""
    first, second = (
        {each["metadata"]["name"] for each in of_kind(render(namespace=namespace), "ClusterRole", "ClusterRoleBinding")}
        for namespace in ("mail", "other")
    )

    assert first
    assert not first & second


def test_users_of_the_cluster_can_see_and_edit_accounts() -> None:
    """By aggregation; who may view may not write, and nobody may write a status."""
    roles = {each["metadata"]["name"].rsplit("-", 1)[1]: each for each in of_kind(render(), "ClusterRole")}
    aggregate = "rbac.authorization.k8s.io/aggregate-to-"

    assert roles["view"]["metadata"]["labels"][f"{aggregate}view"] == "true"
    assert roles["edit"]["metadata"]["labels"][f"{aggregate}edit"] == "true"
    assert f"{aggregate}view" not in roles["edit"]["metadata"]["labels"]
    reading = {"get", "list", "watch"}
    assert all(verbs <= reading for verbs in _rules(roles["view"]).values())
    assert ("archivmail.io", "imapaccounts/status") not in _rules(roles["edit"])


def test_network_policy_lets_no_more_through_than_needed() -> None:
    """trap 101: In: metrics. Out: DNS, HTTPS and IMAP."""
    policy = one(render("networkPolicy.enabled=true"), "NetworkPolicy")["spec"]
    out = {port["port"] for rule in policy["egress"] for port in rule["ports"]}

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [rule["ports"] for rule in policy["ingress"]] == [[{"port": "metrics"}]]
    assert out == {53, 443, 6443, 993, 143}


def _rules(role: Manifest) -> dict[tuple[str, str], set[str]]:
    return {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
