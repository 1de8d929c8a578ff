"""ImapAccount objects for the tests: valid ones, of which a test changes only what matters."""

from typing import Any

MINIMAL_SPEC: dict[str, Any] = {"host": "imap.example.org", "auth": {"secretRef": {"name": "alice"}}}

ABSENT: Any = object()
"""In a change: take the field away."""


def account(spec: dict[str, Any] | None = None, *, name: str = "alice", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "archivmail.io/v1alpha1",
        "kind": "ImapAccount",
        "metadata": {"name": name, **metadata},
        "spec": MINIMAL_SPEC if spec is None else spec,
    }


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """`base` with the parts of `change` put in, group by group."""
    result = {key: value for key, value in base.items() if change.get(key) is not ABSENT}
    for key, value in change.items():
        if value is ABSENT:
            continue
        both_groups = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both_groups else value
    return result
