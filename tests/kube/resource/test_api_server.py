"""The CRD on a real API server: what it stores, and what it tells a person whose object cannot work."""

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from archivmail.kube.crd import GROUP, PLURAL, VERSION
from archivmail.kube.resource import parse
from archivmail.model.errors import SpecInvalid
from archivmail.model.wireform import to_wire
from tests.kube.resource.cases import ACCEPTED, REFUSED, REFUSED_BY_SCHEMA, oauth
from tests.kube.resource.documents import MINIMAL_SPEC, account, merged
from tests.model.test_wireform import FULL
from tests.servers.api import ApiError

pytestmark = pytest.mark.servers

ROOT = Path(__file__).parents[3]
CRD = ROOT / "deploy/crds/archivmail.io_imapaccounts.yaml"
CRD_PATH = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{PLURAL}.{GROUP}"


@pytest.fixture(scope="module")
def cluster(control_plane):
    """The control plane with our CRD, applied as the docs say."""
    control_plane.kubectl("apply", "--server-side", "-f", CRD)
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", f"{PLURAL}.{GROUP}")
    return control_plane


@pytest.fixture
def objects(cluster):
    """Path of the accounts of a fresh namespace."""
    return f"/apis/{GROUP}/{VERSION}/namespaces/{cluster.create_namespace()}/{PLURAL}"


@pytest.fixture(scope="module")
def shared_objects(cluster):
    """One namespace for all rows of the table: nothing of them is stored."""
    return f"/apis/{GROUP}/{VERSION}/namespaces/{cluster.create_namespace()}/{PLURAL}?dryRun=All"


def refusal_of(cluster, path, document):
    with pytest.raises(ApiError) as refused:
        cluster.api.request("POST", path, document)
    assert refused.value.code == 422
    return str(refused.value)


def test_the_crd_is_accepted_without_a_complaint(cluster):
    """Structural, within the budget of CEL costs, all its names and columns usable."""
    conditions = {each["type"]: each for each in cluster.api.get(CRD_PATH)["status"]["conditions"]}
    assert conditions["NamesAccepted"]["status"] == "True"
    assert conditions["Established"]["status"] == "True"
    assert "NonStructuralSchema" not in conditions


def test_what_the_api_server_stores_of_the_crd_is_what_we_wrote(cluster):
    """It would drop in silence what it does not know."""
    stored = cluster.api.get(CRD_PATH)["spec"]
    ours = yaml.safe_load(CRD.read_text(encoding="utf-8"))["spec"]
    assert stored["versions"] == ours["versions"]
    assert stored["names"] == ours["names"]


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_good_spec_is_accepted_and_read_alike(cluster, shared_objects, case):
    """What comes back, defaults filled in, means what the bare manifest means."""
    stored = cluster.api.request("POST", shared_objects, account(case.spec))
    assert parse(stored, strict=True).spec == parse(account(case.spec), strict=True).spec


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_spec_is_refused_with_our_sentence(cluster, shared_objects, case):
    """design §3.5: the sentence is the same as without an API server, at the same field."""
    told = refusal_of(cluster, shared_objects, account(case.spec))
    assert re.search(rf"spec\.{re.escape(case.path)}: Invalid value: .*{re.escape(case.sentence)}", told, re.DOTALL)


def digits(most):
    return st.integers(0, 10**most).map(str)


SPANS = st.lists(
    st.tuples(digits(10), st.sampled_from(["", ".5", "."]), st.sampled_from([*"hmsd", "ms", "us", ""]))
).map(lambda found: "".join("".join(each) for each in found))
HOSTS = st.text("aZ09-_.:%[]", max_size=12) | st.ip_addresses().map(str) | st.text(max_size=5)
TEXTS = {
    "host": HOSTS.map(lambda text: {"host": text}),
    "serverName": HOSTS.map(lambda text: {"tls": {"serverName": text}}),
    "interval": SPANS.map(lambda text: {"interval": text}),
    "timeout": SPANS.map(lambda text: {"timeout": text}),
    "secret": st.text("aA0-._/", max_size=8).map(lambda text: {"auth": {"secretRef": {"name": text}}}),
    "folder": st.text("a\\ *%\n\u65c5\x7f", max_size=6).map(lambda text: {"folders": {"exclude": [text]}}),
    "tokenURL": st.text("a:/?#@[]. ", max_size=8).map(lambda text: {"auth": oauth(tokenURL=f"https://{text}")}),
    "scope": st.text('aZ!"#[\\]~ \x7fé', max_size=4).map(lambda text: {"auth": oauth(scopes=[text])}),
}


def is_accepted(cluster, path, document):
    try:
        cluster.api.request("POST", path, document)
    except ApiError as refused:
        if refused.code != 422:
            raise
        return False
    return True


def is_read(document):
    try:
        parse(document, strict=True)
    except SpecInvalid:
        return False
    return True


@pytest.mark.parametrize("field", TEXTS)
@given(data=st.data())
def test_both_forms_of_a_rule_agree_on_any_text(cluster, shared_objects, field, data):
    """CEL and Python, RE2 and `re`, Go's spans and ours."""
    document = account(merged(MINIMAL_SPEC, data.draw(TEXTS[field])))
    assert is_read(document) is is_accepted(cluster, shared_objects, document)


@pytest.mark.parametrize("case", REFUSED_BY_SCHEMA)
def test_a_wrong_type_or_size_is_refused_at_its_field(cluster, shared_objects, case):
    """Before rules are looked at; these words are the API server's own."""
    told = refusal_of(cluster, shared_objects, account(case.spec))
    assert f"spec.{case.path}: " in told
    assert case.words_of_api_server in told


def test_kubectl_shows_the_sentence(cluster):
    """What the user sees."""
    manifest = json.dumps(account(merged(MINIMAL_SPEC, {"interval": "5s"})))
    done = cluster.kubectl("apply", "-f", "-", stdin=manifest, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        'The ImapAccount "alice" is invalid: spec.interval: Invalid value: "5s": the interval must be 0s (only on'
        " request) or from 30s to 168h; write it like 10m or 1h30m"
    )


def test_kubectl_refuses_an_unknown_field(cluster):
    """kubectl validates strictly; without that, the field is dropped and the rest stored."""
    manifest = json.dumps(account(merged(MINIMAL_SPEC, {"intervall": "5m"})))
    done = cluster.kubectl("apply", "-f", "-", stdin=manifest, check=False)
    assert done.returncode == 1
    assert 'unknown field "spec.intervall"' in done.stderr


def test_an_object_without_spec_is_refused(cluster, objects):
    """Nothing could be done with it."""
    document = account()
    del document["spec"]
    assert "spec: Required value" in refusal_of(cluster, objects, document)


def test_a_minimal_spec_is_stored_with_its_defaults(cluster, objects):
    """design §3.5: all but the port, which follows tls.mode."""
    cluster.api.request("POST", objects, account())
    assert cluster.api.get(f"{objects}/alice")["spec"] == {
        "host": "imap.example.org",
        "tls": {"mode": "Implicit", "serverName": ""},
        "auth": {"mechanism": "Password", "secretRef": {"name": "alice"}},
        "interval": "10m",
        "timeout": "30m",
        "suspend": False,
        "folders": {"include": [], "exclude": []},
        "retention": {},
        "hold": False,
    }


def test_defaults_are_filled_in_below_a_group_that_is_given(cluster, objects):
    """One field of a group does not cost the others."""
    spec = merged(MINIMAL_SPEC, {"tls": {"caSecretRef": {"name": "ca"}}, "folders": {"exclude": ["Trash"]}})
    stored = cluster.api.request("POST", objects, account(spec))["spec"]
    assert stored["tls"] == {"mode": "Implicit", "serverName": "", "caSecretRef": {"name": "ca", "key": "ca.crt"}}
    assert stored["folders"] == {"include": [], "exclude": ["Trash"]}


def test_null_is_stored_as_the_default(cluster, objects):
    """As we read it from a manifest."""
    spec = merged(MINIMAL_SPEC, {"interval": None, "tls": None, "folders": {"include": None}})
    stored = cluster.api.request("POST", objects, account(spec))
    assert parse(stored).spec == parse(account()).spec


def test_a_new_object_is_not_yet_observed(cluster, objects):
    """kstatus takes it for in progress, not for current."""
    stored = cluster.api.request("POST", objects, account())
    assert stored["status"] == {"observedGeneration": -1}


def test_a_full_status_is_stored_as_written(cluster, objects):
    """Nothing is pruned or refused, up to the largest numbers."""
    cluster.api.request("POST", objects, account())
    document = to_wire(FULL)
    document["folders"][0] |= {"uidValidity": 2**32 - 1, "lastUID": 2**32 - 1}
    stored = cluster.api.merge_patch(f"{objects}/alice/status", {"status": document})
    assert stored["status"] == document
    assert stored["metadata"]["generation"] == 1


def test_a_user_who_applies_cannot_write_the_status(cluster, objects):
    """It is a subresource: the operator's word, not the manifest's."""
    stored = cluster.api.request("POST", objects, account() | {"status": {"observedGeneration": 9}})
    assert stored["status"] == {"observedGeneration": -1}


def test_kubectl_get_shows_the_columns(cluster):
    """operator-facts §2.2; Ready's reason stands under Status."""
    namespace = cluster.create_namespace()
    cluster.apply(json.dumps(account()), namespace=namespace)
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}/alice"
    cluster.api.merge_patch(f"{path}/status", {"status": to_wire(FULL)})
    narrow, wide = (
        cluster.kubectl("get", "imap", "-n", namespace, *more).stdout.splitlines() for more in ((), ("-o", "wide"))
    )
    columns = ["NAME", "HOST", "READY", "STATUS", "FOLDERS", "LAST SYNC"]
    assert re.split(r"\s{2,}", narrow[0].strip()) == [*columns, "AGE"]
    assert narrow[1].split()[:5] == ["alice", "imap.example.org", "True", "Succeeded", "411"]
    more = ["COMPLETE", "NEXT SYNC", "SUSPENDED", "INTERVAL", "MESSAGE"]
    assert re.split(r"\s{2,}", wide[0].strip()) == [*columns, *more, "AGE"]
    assert {"2026-11-20T12:10:00Z", "false", "10m", "Done."} <= set(wide[1].split())


def test_accounts_are_found_by_category_host_and_suspension(cluster):
    """`kubectl get mail`, and field selectors that the API server answers by itself."""
    namespace = cluster.create_namespace()
    for name, change in {"a": {}, "b": {"suspend": True}, "c": {"host": "other.example.org"}}.items():
        cluster.apply(json.dumps(account(merged(MINIMAL_SPEC, change), name=name)), namespace=namespace)

    def names(*arguments):
        told = cluster.kubectl("get", *arguments, "-n", namespace, "-o", "name").stdout.split()
        return [each.rpartition("/")[2] for each in told]

    assert names("mail") == ["a", "b", "c"]
    assert names("imap", "--field-selector", "spec.host=other.example.org") == ["c"]
    assert names("imap", "--field-selector", "spec.suspend=true") == ["b"]


def test_applying_again_changes_nothing(cluster):
    """Server-side apply, as GitOps tools do every few minutes: the defaults that were stored make no difference.

    The status is written in between, as the operator does: the API server fills in its default on reading, so that the
    first write of any kind after the creation stores it.
    """
    namespace = cluster.create_namespace()
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}/alice"
    spec = merged(MINIMAL_SPEC, {"folders": {"exclude": ["Trash", "\\Junk"]}, "tls": {"caSecretRef": {"name": "ca"}}})

    def apply():
        cluster.kubectl("apply", "--server-side", "-n", namespace, "-f", "-", stdin=json.dumps(account(spec)))
        return cluster.api.get(path)

    apply()
    before = cluster.api.merge_patch(f"{path}/status", {"status": to_wire(FULL)})
    assert apply() == before
    assert apply() == before
    assert before["metadata"]["generation"] == 1


def test_applying_the_crd_again_changes_nothing(cluster):
    """An upgrade without a change of the CRD writes nothing."""
    before = cluster.api.get(CRD_PATH)["metadata"]["resourceVersion"]
    cluster.kubectl("apply", "--server-side", "-f", CRD)
    assert cluster.api.get(CRD_PATH)["metadata"]["resourceVersion"] == before


@pytest.mark.parametrize("name", ["account.yaml", "quickstart.yaml"])
def test_an_example_is_accepted(cluster, name):
    """By a dry run of kubectl, with all its validation."""
    done = cluster.kubectl("apply", "--dry-run=server", "-f", ROOT / "examples" / name)
    assert len(done.stdout.splitlines()) == 2


def test_the_folder_of_crds_is_a_kustomization(cluster):
    """`kubectl apply -k deploy/crds`."""
    assert PLURAL in cluster.kubectl("apply", "--server-side", "-k", CRD.parent).stdout
