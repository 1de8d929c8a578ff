"""JSON schemas for kubeconform, made from what the API server itself publishes: /openapi/v3, CRDs included.

The schemas that kubeconform downloads by default are made the same way, from the same documents; here they are of
exactly the version that the tests run, and no network is needed.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.servers.api import ApiClient

Schema = dict[str, Any]
REFERENCE = "#/components/schemas/"
LOCATION = "{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json"
PUBLISHED_S = 30.0  # a new CRD appears in the document a moment after it is established


def write_schemas(api: ApiClient, kinds: Iterable[tuple[str, str]], folder: Path) -> str:
    """Write one schema for each (apiVersion, kind); the value for `kubeconform -schema-location`."""
    for api_version, kind in kinds:
        group, _, version = api_version.rpartition("/")
        schema = _closed(_schema(api, group, version, kind))
        # kubeconform takes the version for the group of the core API.
        (folder / f"{group or version}_{version}_{kind.lower()}.json").write_text(json.dumps(schema))
    return str(folder / LOCATION)


def _schema(api: ApiClient, group: str, version: str, kind: str) -> Schema:
    """The schema of a kind with all that it refers to. Raises LookupError."""
    path = f"/openapi/v3/apis/{group}/{version}" if group else f"/openapi/v3/api/{version}"
    wanted = {"group": group, "version": version, "kind": kind}
    deadline = time.monotonic() + PUBLISHED_S
    while time.monotonic() < deadline:
        if path.removeprefix("/openapi/v3/") in api.get("/openapi/v3")["paths"]:
            schemas = api.get(path)["components"]["schemas"]
            for name, schema in schemas.items():
                if wanted in schema.get("x-kubernetes-group-version-kind", []):
                    return {"$ref": f"#/definitions/{name}", "definitions": schemas}
        time.sleep(0.2)  # the document has no watch
    raise LookupError(f"the API server publishes no {kind} of {group}/{version}")


def _closed(node: Any) -> Any:
    """As JSON schema reads it, and strict: an object with named properties has no others."""
    if isinstance(node, list):
        return [_closed(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {key: _closed(value) for key, value in node.items()}
    if isinstance(found.get("$ref"), str):
        found["$ref"] = found["$ref"].replace(REFERENCE, "#/definitions/")
    if isinstance(found.get("properties"), dict) and found.get("type") == "object":
        found.setdefault("additionalProperties", False)
    if found.get("x-kubernetes-int-or-string") is True:
        found.pop("type", None)
        found["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if isinstance(found.get("format"), str):
        del found["format"]  # Go's sizes of numbers
    if found.get("nullable") is True and isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
    return found
