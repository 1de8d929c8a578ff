"""The CRD as text: what `deploy/crds` holds, and what reviewers of a CRD look for."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given

from archivmail.kube.crd import definition, object_schema, render
from archivmail.kube.schema_status import Status
from archivmail.kube.structural import structural
from archivmail.model.outcome import Result
from archivmail.model.status import ConditionStatus
from archivmail.model.wireform import to_wire
from tests.model.statuses import statuses

CRD = Path(__file__).parents[3] / "deploy/crds/archivmail.io_imapaccounts.yaml"


def parts(schema, path=""):
    """Every schema within a schema, with its path."""
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from parts(part, f"{path}.{name}")
    if "items" in schema:
        yield from parts(schema["items"], f"{path}[]")


SCHEMAS = [pytest.param(path, schema, id=path) for path, schema in parts(object_schema()) if path]
OURS = [each for each in SCHEMAS if each.id != ".metadata"]
TYPES = {"object", "array", "string", "integer", "boolean"}


def test_the_file_is_what_the_models_say():
    """`make crds` writes it anew; the change is read in review."""
    assert CRD.read_text(encoding="utf-8") == render()


def test_the_text_is_the_definition():
    """The YAML is read back as the same object."""
    assert yaml.safe_load(render()) == definition()


@pytest.mark.parametrize(("path", "schema"), OURS)
def test_every_field_has_a_type_and_a_description(path, schema):
    """Structural, and fit for `kubectl explain`."""
    assert schema["type"] in TYPES
    assert not schema.keys() & {"$ref", "anyOf", "oneOf", "allOf", "title", "nullable"}
    assert schema.get("description") or path.endswith("[]")


@pytest.mark.parametrize(("path", "schema"), OURS)
def test_every_text_and_list_has_a_bound(path, schema):
    """Or the API server could not tell what a rule costs, and a status could outgrow etcd."""
    if schema["type"] == "string" and path not in {".apiVersion", ".kind"}:
        assert "maxLength" in schema or "enum" in schema or schema.get("format") == "date-time"
    if schema["type"] == "array":
        assert schema["maxItems"] <= 200
        assert "x-kubernetes-list-type" in schema


@pytest.mark.parametrize(("path", "schema"), [each for each in SCHEMAS if each.id.startswith(".spec")])
def test_refusals_of_a_spec_are_sentences_of_ours(path, schema):
    """No pattern, enum or range, whose refusals say what is wrong but not what to do (design §3.5)."""
    assert not schema.keys() & {"pattern", "enum", "format", "minimum", "maximum", "minLength"}
    for rule in schema.get("x-kubernetes-validations", []):
        assert len(rule["message"].split()) > 5
        assert rule["rule"]


def test_numbers_of_imap_have_the_range_of_imap():
    """design §3.1: uidValidity and lastUID are 32 bits without a sign, so int64."""
    folder = dict(parts(object_schema()))[".status.folders[]"]["properties"]
    for name in ("uidValidity", "lastUID"):
        assert {key: folder[name][key] for key in ("type", "format", "minimum", "maximum")} == {
            "type": "integer",
            "format": "int64",
            "minimum": 0,
            "maximum": 4294967295,
        }


@pytest.mark.slow
@given(statuses())
def test_every_status_fits_the_schema(status):
    """What model/wireform writes has no field that the API server would prune, and no value it would refuse."""
    Status.model_validate(to_wire(status))


def test_words_of_the_status_are_those_of_the_model():
    """The schema lists them again, as it must not import what has no business there."""
    schema = dict(parts(object_schema()))
    assert schema[".status.lastResult"]["enum"] == [each.value for each in Result]
    assert schema[".status.conditions[].status"]["enum"] == [each.value for each in ConditionStatus]


def test_conditions_are_a_map_by_type():
    """Kubernetes API conventions, for server-side apply and kubectl wait."""
    conditions = dict(parts(object_schema()))[".status.conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_a_keyword_nobody_thought_of_is_an_error():
    """A new kind of field in the models must not lose its meaning on the way into the CRD."""
    with pytest.raises(KeyError, match="uniqueItems"):
        structural({"type": "array", "uniqueItems": True})


def test_a_used_type_keeps_its_rules_beside_those_of_the_place():
    """A reference and what stands beside it are one schema."""
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A", "description": "here", "x-kubernetes-validations": [{"rule": "2"}]}},
        "$defs": {"A": {"type": "string", "description": "there", "x-kubernetes-validations": [{"rule": "1"}]}},
    }
    assert structural(schema)["properties"]["a"] == {
        "description": "here",
        "type": "string",
        "x-kubernetes-validations": [{"rule": "1"}, {"rule": "2"}],
    }
