"""Requests to the API server as RBAC sees them, and what the roles of the chart grant."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.servers.api import ApiError

if TYPE_CHECKING:
    from tests.servers.api import ApiClient
    from tests.servers.controlplane import ControlPlane

Role = dict[str, Any]
METHODS = {"get": "GET", "list": "GET", "watch": "GET", "create": "POST", "update": "PUT", "patch": "PATCH"}
METHODS |= {"delete": "DELETE", "deletecollection": "DELETE"}
KNOWN_S = 15.0  # the authorizer follows a watch of roles and bindings


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}.{self.group}".rstrip(".")


def granted(role: Role) -> set[Right]:
    """Everything that the role grants; a rule that grants what another has is a mistake."""
    found = [
        Right(group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]
    assert len(found) == len(set(found)), "a right is granted twice"
    return set(found)


def without(role: Role, right: Right) -> Role:
    """The role without that one right."""
    reduced = copy.deepcopy(role)
    rules = []
    for rule in reduced["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                verbs = [verb for verb in rule["verbs"] if Right(group, resource, verb) != right]
                if verbs:
                    rules.append({"apiGroups": [group], "resources": [resource], "verbs": verbs})
    return reduced | {"rules": rules}


def asked_for(requests: Iterable[dict[str, Any]]) -> dict[Right, str]:
    """From audit events: what was asked for, and the address of one such request. Discovery is no resource."""
    found = {}
    for each in requests:
        what = each.get("objectRef", {})
        if "resource" not in what:
            continue
        resource = "/".join(filter(None, (what["resource"], what.get("subresource"))))
        found[Right(what.get("apiGroup", ""), resource, each["verb"])] = each["requestURI"]
    return found


def is_refused(client: ApiClient, right: Right, uri: str) -> bool:
    """Send the request again, with nothing in it: who may not is told so before anybody looks at what it says."""
    # A watch from the first version ends at once: that is too old.
    address = f"{uri.partition('?')[0]}?watch=1&resourceVersion=1" if right.verb == "watch" else uri
    content_type = "application/merge-patch+json" if right.verb == "patch" else "application/json"
    body = {} if right.verb in {"create", "update", "patch"} else None
    try:
        client.raw(METHODS[right.verb], address, body, content_type=content_type)
    except ApiError as error:
        return error.code == 403
    return False


class Bench:
    """ServiceAccounts with reduced roles, side by side."""

    def __init__(self, plane: ControlPlane, kind: str = "ClusterRole") -> None:
        self._plane = plane
        self._kind = kind
        self.namespace = plane.create_namespace("rights")

    def clients(self, roles: dict[str, Role], where: str | None = None) -> Iterator[tuple[str, ApiClient]]:
        """A client for each role, in effect in the namespace `where` (None: everywhere), by the role's key."""
        names = {key: f"{self.namespace}-{number}" for number, key in enumerate(roles)}
        documents = [each for key, role in roles.items() for each in self._documents(names[key], role["rules"], where)]
        self._plane.apply("\n---\n".join(json.dumps(each) for each in documents))
        for key, role in roles.items():
            client = self._plane.client(self._token(names[key]))
            self._wait_until_known(client, role, where or self.namespace)
            yield key, client

    def _token(self, name: str) -> str:
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts"
        self._plane.api.request("POST", path, {"metadata": {"name": name}})
        answer = self._plane.api.request("POST", f"{path}/{name}/token", {"spec": {"expirationSeconds": 3600}})
        token: str = answer["status"]["token"]
        return token

    def _documents(self, name: str, rules: list[Role], where: str | None) -> list[Role]:
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}
        group = "rbac.authorization.k8s.io"
        scope = {"namespace": where} if where else {}
        role, binding = ("Role", "RoleBinding") if where else ("ClusterRole", "ClusterRoleBinding")
        return [
            {"apiVersion": f"{group}/v1", "kind": role, "metadata": {"name": name, **scope}, "rules": rules},
            {
                "apiVersion": f"{group}/v1",
                "kind": binding,
                "metadata": {"name": name, **scope},
                "roleRef": {"apiGroup": group, "kind": role, "name": name},
                "subjects": [subject],
            },
        ]

    def _wait_until_known(self, client: ApiClient, role: Role, namespace: str) -> None:
        """Until the authorizer has seen role and binding: it says yes to something that the role grants."""
        if not role["rules"]:
            return
        right = min(granted(role))
        resource, _, subresource = right.resource.partition("/")
        attributes = {"namespace": namespace, "verb": right.verb, "group": right.group, "resource": resource}
        attributes |= {"subresource": subresource} if subresource else {}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        deadline = time.monotonic() + KNOWN_S
        while time.monotonic() < deadline:
            answer = client.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
            if answer["status"]["allowed"]:
                return
            time.sleep(0.05)  # the authorizer's cache has no watch of its own
        raise TimeoutError(f"the API server does not know a role after {KNOWN_S:g} s")
