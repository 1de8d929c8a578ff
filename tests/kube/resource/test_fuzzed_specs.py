"""Whatever stands in an ImapAccount, it is read or refused with a sentence; and the API server says the same."""

import json
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archivmail.kube.crd import GROUP, PLURAL, VERSION
from archivmail.kube.live import seen
from archivmail.kube.manifest import read_manifests
from archivmail.kube.resource import parse
from archivmail.kube.schema import MAX_HOST, MAX_PATTERN, MAX_PATTERNS, MAX_SCOPES, MAX_URL
from archivmail.model.account import AccountSpec
from archivmail.model.errors import SpecInvalid
from tests.kube.resource.documents import account
from tests.kube.resource.fuzzing import ANYTHING, COMPLETED, SPECS
from tests.kube.resource.test_api_server import CRD
from tests.servers.api import ApiError


def read(spec: object, *, strict: bool) -> AccountSpec | str:
    """The values, or the sentence."""
    try:
        return parse(account(spec), strict=strict).spec
    except SpecInvalid as refused:
        return refused.text


def is_within_bounds(spec: AccountSpec) -> bool:
    """What the rest of the program relies on, and has no bounds of its own for."""
    patterns = (*spec.rules.include, *spec.rules.exclude)
    return (
        1 <= spec.port <= 65535
        and len(spec.host) <= MAX_HOST
        and len(spec.token_url or "") <= MAX_URL
        and len(spec.scopes) <= MAX_SCOPES
        and len(spec.rules.include) <= MAX_PATTERNS >= len(spec.rules.exclude)
        and all(len(each) <= MAX_PATTERN for each in patterns)
        and timedelta(0) <= spec.interval <= timedelta(hours=168)
        and timedelta(seconds=10) <= spec.timeout <= timedelta(hours=24)
    )


@settings(max_examples=300)
@given(spec=SPECS | COMPLETED | ANYTHING, strict=st.booleans())
def test_every_spec_is_read_or_refused(spec, strict):
    """Nothing but a sentence that can be printed, of a length that fits an Event; what is read is within bounds."""
    told = read(spec, strict=strict)
    if isinstance(told, AccountSpec):
        assert is_within_bounds(told)
    else:
        assert told.isprintable()
        assert len(told) < 1000


@given(document=ANYTHING | st.fixed_dictionaries({"spec": ANYTHING, "status": ANYTHING, "metadata": ANYTHING}))
def test_every_object_of_the_watch_is_survived(document):
    """What the operator does with each event first; an object without a name is no object of an API server."""
    metadata = {"name": "alice", "namespace": "team-a", "uid": "u", "resourceVersion": "1", "generation": 1}
    body = document if isinstance(document, dict) else {"spec": document}
    body |= {"apiVersion": f"{GROUP}/{VERSION}", "kind": "ImapAccount"}
    body["metadata"] = metadata | {"creationTimestamp": "2026-11-20T10:00:00Z"}
    found, _status = seen(body)
    assert (found.spec is None) is (found.problem is not None)


@given(spec=COMPLETED)
def test_every_manifest_is_survived(spec):
    """The same from a file, of which the command line reads all documents."""
    told = ""
    try:
        read_manifests([("a.yaml", json.dumps(account(spec)))])
    except SpecInvalid as refused:
        told = refused.text
    assert told.isprintable()


@pytest.fixture(scope="module")
def objects(control_plane):
    """Where accounts are tried out; nothing is stored."""
    control_plane.kubectl("apply", "--server-side", "-f", CRD)
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", f"{PLURAL}.{GROUP}")
    namespace = control_plane.create_namespace()
    return control_plane, f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}?dryRun=All&fieldValidation=Strict"


@pytest.mark.servers
def test_api_server_and_reading_agree(objects):
    """What one of them takes the other takes, with the same meaning: a sample of made-up specs."""
    cluster, path = objects
    taken = []

    @settings(max_examples=250, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(spec=COMPLETED.filter(_is_json_of_the_api_server))
    def agree(spec):
        ours = read(spec, strict=True)
        stored, refusal = _tried(cluster, path, spec)
        if stored is None:
            assert isinstance(ours, str), f"the API server refuses what is read: {refusal}"
            return
        assert isinstance(ours, AccountSpec), f"the API server takes what is refused: {ours}"
        assert parse(stored, strict=True).spec == ours
        taken.append(ours)

    agree()
    assert len(set(map(repr, taken))) > 20, "the sample hardly reached the rules"


def _tried(cluster, path, spec):
    """The object as it would be stored, or the refusal."""
    try:
        return cluster.api.request("POST", path, account(spec)), ""
    except ApiError as refused:
        if refused.code not in {400, 422}:
            raise
        return None, str(refused)


def _is_json_of_the_api_server(spec: object) -> bool:
    """Texts that are UTF-8: others do not even reach it."""
    try:
        json.dumps(spec, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
