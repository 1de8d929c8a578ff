"""A JSON schema as pydantic makes it, turned into a structural schema as a CRD needs it.

Without references, alternatives and titles: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/
custom-resource-definitions/#specifying-a-structural-schema. Knows neither pydantic nor the resource.
"""

from collections.abc import Mapping
from typing import Any, Final

Schema = dict[str, Any]

# How a person reads a schema: what it is for first, the machinery last.
ORDER: Final = (
    "description",
    "type",
    "format",
    "default",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "maxItems",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "required",
    "properties",
    "items",
    "x-kubernetes-validations",
)


def structural(schema: Schema, *, with_defaults: bool = True) -> Schema:
    """The structural schema. Raises KeyError on a JSON schema keyword that no CRD of ours was thought to have."""
    return _converted(schema, schema.get("$defs", {}), with_defaults=with_defaults)


def _converted(schema: Schema, definitions: Mapping[str, Schema], *, with_defaults: bool) -> Schema:
    merged = _without_null(_without_reference(schema, definitions), definitions)
    for noise in ("title", "$defs", "additionalProperties"):
        merged.pop(noise, None)
    if "default" in merged and (not with_defaults or merged["default"] is None):
        del merged["default"]
    if "properties" in merged:
        merged["properties"] = {
            name: _converted(part, definitions, with_defaults=with_defaults)
            for name, part in merged["properties"].items()
        }
        if "default" in merged:
            # The API server fills in the defaults of the parts, so they stand in one place only.
            merged["default"] = {}
    if "items" in merged:
        merged["items"] = _converted(merged["items"], definitions, with_defaults=with_defaults)
    unknown = merged.keys() - set(ORDER)
    if unknown:
        raise KeyError(f"JSON schema keywords that need a thought: {sorted(unknown)}")
    return {key: merged[key] for key in ORDER if key in merged}


def _without_reference(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    if "$ref" not in schema:
        return dict(schema)
    target = definitions[schema["$ref"].removeprefix("#/$defs/")]
    return _joined(_without_reference(target, definitions), {key: schema[key] for key in schema if key != "$ref"})


def _without_null(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """`X | None` becomes X: in a Kubernetes object an absent key says None."""
    if "anyOf" not in schema:
        return schema
    (kept,) = (each for each in schema["anyOf"] if each != {"type": "null"})
    return _joined(_without_reference(kept, definitions), {key: schema[key] for key in schema if key != "anyOf"})


def _joined(inner: Schema, outer: Schema) -> Schema:
    """The place where a type is used speaks last, but rules of both count."""
    joined = inner | outer
    rules = [*inner.get("x-kubernetes-validations", []), *outer.get("x-kubernetes-validations", [])]
    return joined | {"x-kubernetes-validations": rules} if rules else joined
