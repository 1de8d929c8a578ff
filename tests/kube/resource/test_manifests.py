"""YAML files with ImapAccounts and Secrets, read as kubectl reads them."""

import base64
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from archivmail.kube.manifest import MAX_CHARACTERS, read_manifests
from archivmail.model.account import AccountRef
from archivmail.model.errors import SecretMissing, SpecInvalid
from tests.kube.resource.documents import MINIMAL_SPEC, account, merged

ALICE = AccountRef("default", "alice")


def secret(name="alice", **more):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **more}


def text_of(*documents):
    return yaml.safe_dump_all(documents)


def read(*documents):
    return read_manifests([("account.yaml", text_of(*documents))])


def sentence_of(*sources):
    with pytest.raises(SpecInvalid) as refused:
        read_manifests(sources)
    return refused.value.text


def test_accounts_and_secrets_are_read_from_several_files():
    """`-f` may be given several times."""
    found = read_manifests([("a", text_of(account())), ("b", text_of(secret(stringData={"username": "alice"})))])
    assert [each.ref for each in found.accounts] == [ALICE]
    assert found.secrets_for(found.accounts[0]) == ({"username": b"alice"}, None)


def test_data_is_base64_and_string_data_wins():
    """As the API server stores it; line breaks within base64 are those of a folded text."""
    folded = "\n".join(base64.b64encode(b"x" * 100).decode()[at : at + 60] for at in range(0, 136, 60))
    found = read(
        account(),
        secret(data={"username": "YWxpY2U=", "password": "b2xk", "blob": folded}, stringData={"password": "new"}),
    )
    assert found.secrets[ALICE] == {"username": b"alice", "password": b"new", "blob": b"x" * 100}


def test_objects_without_a_namespace_are_in_default():
    """An account and its Secret find each other only within one namespace."""
    found = read(account(namespace="team-a"), secret())
    with pytest.raises(SecretMissing) as missing:
        found.secrets_for(found.accounts[0])
    assert missing.value.text == (
        "the manifests hold no Secret team-a/alice, which spec.auth.secretRef of team-a/alice names; add it to the file"
        " or give its file with -f"
    )


def test_the_secret_of_a_ca_is_given_beside_the_other():
    """Both are looked for."""
    spec = merged(MINIMAL_SPEC, {"tls": {"caSecretRef": {"name": "ca"}}})
    found = read(account(spec), secret(), secret("ca", stringData={"ca.crt": "pem"}))
    assert found.secrets_for(found.accounts[0]) == ({}, {"ca.crt": b"pem"})
    found = read(account(spec), secret())
    with pytest.raises(SecretMissing, match=r"no Secret default/ca, which spec\.tls\.caSecretRef"):
        found.secrets_for(found.accounts[0])


def test_without_tls_the_secret_of_a_ca_is_not_asked_for():
    """Nothing is verified then."""
    spec = merged(MINIMAL_SPEC, {"tls": {"mode": "Disabled", "caSecretRef": {"name": "ca"}}})
    found = read(account(spec), secret())
    assert found.secrets_for(found.accounts[0]) == ({}, None)


@pytest.mark.parametrize("kind", ["List", "ImapAccountList"])
def test_a_list_is_read_item_by_item(kind):
    """`kubectl get imap -o yaml`; items of a typed list may have no kind."""
    items = [account(name="a"), account(name="b")]
    if kind != "List":
        items = [{key: value for key, value in each.items() if key not in {"kind", "apiVersion"}} for each in items]
    found = read({"apiVersion": "archivmail.io/v1alpha1", "kind": kind, "items": items})
    assert [each.ref.name for each in found.accounts] == ["a", "b"]


def test_what_kubectl_prints_can_be_read():
    """An object with all that the API server adds."""
    found = read(
        account(uid="x", resourceVersion="7", generation=2, managedFields=[{"manager": "kubectl", "fieldsV1": {}}])
        | {"status": {"observedGeneration": 2}}
    )
    assert found.accounts[0].generation == 2


def test_other_kinds_are_passed_over_with_a_note():
    """A file may hold the whole of a team's objects."""
    found = read(account(), {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})
    assert found.notes == ("account.yaml, document 2: a ConfigMap is of no use here and was passed over",)
    assert len(found.accounts) == 1


def test_json_is_yaml_and_empty_documents_are_nothing():
    """Templates leave empty documents behind."""
    found = read_manifests([("a", f"---\n---\n# nothing\n---\n{json.dumps(account())}\n---\n")])
    assert [each.ref for each in found.accounts] == [ALICE]


def test_no_text_is_no_account():
    """Whoever calls says so; an empty file is no error of form."""
    assert read_manifests([("a", "")]).accounts == []


def test_unquoted_times_stay_text():
    """kubectl takes them for text, YAML 1.1 would make them a time."""
    manifest = (
        "apiVersion: archivmail.io/v1alpha1\nkind: ImapAccount\n"
        "metadata: {name: alice, annotations: {archivmail.io/requestedAt: 2026-11-20T10:00:00Z}}\n"
        "spec: {host: h, auth: {secretRef: {name: alice}}}\n"
    )
    assert read_manifests([("a", manifest)]).accounts[0].requested_at == "2026-11-20T10:00:00Z"


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        pytest.param(
            account(merged(MINIMAL_SPEC, {"intervall": "5m"})),
            "spec.intervall is not a field of ImapAccount; did you mean spec.interval?",
            id="misspelt-field",
        ),
        pytest.param(
            secret(data={"password": "hunter2!"}),
            "data.password of the Secret default/alice is not base64; put the plain text under stringData instead of"
            " data",
            id="plain-text-under-data",
        ),
        pytest.param(
            secret(stringData={"password": 12345}),
            "stringData.password of the Secret default/alice must be text; put the value in quotes",
            id="password-as-number",
        ),
        pytest.param(
            secret(data="hunter2"),
            "data of the Secret default/alice must be a group of keys with their values",
            id="data-as-text",
        ),
        pytest.param(
            {"apiVersion": "v1", "kind": "Secret"}, "metadata.name is missing; give the object a name", id="no-name"
        ),
        pytest.param(
            ["hunter2"],
            "this is no Kubernetes object; write apiVersion: archivmail.io/v1alpha1 and kind: ImapAccount",
            id="list",
        ),
        pytest.param(account(), "the ImapAccount default/alice is there twice; keep one of them", id="twice"),
    ],
)
def test_a_bad_object_is_named_by_file_and_document(document, sentence):
    """A person finds it without counting lines; the value is not shown."""
    assert sentence_of(("dir/a.yaml", text_of(account(), document))) == f"dir/a.yaml, document 2: {sentence}"


def test_the_item_of_a_list_is_named():
    """One document may hold many."""
    text = text_of({"apiVersion": "v1", "kind": "List", "items": [account(), account({})]})
    assert sentence_of(("a", text)).startswith("a, document 1, item 2: spec.host is missing")


def test_all_objects_are_looked_at_before_anything_is_refused():
    """The number of the others tells how much is left to mend."""
    told = sentence_of(("a", text_of(account({}), account({}, name="b"))), ("b", "x: ["), ("c", text_of(account())))
    assert told.startswith("a, document 1: spec.host is missing")
    assert told.endswith("(and 2 more objects have errors)")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("a: b: hunter2", "a.yaml, line 1: this is no YAML;", id="two-colons"),
        pytest.param("a:\n\tb: hunter2", "a.yaml, line 2: this is no YAML;", id="tab"),
        pytest.param("password: *hunter2", "a.yaml, line 1: this is no YAML;", id="unknown-alias"),
        pytest.param("password: !hunter2 x", "a.yaml, line 1: this is no YAML;", id="tag"),
        pytest.param("a: !!python/name:os.system ''", "a.yaml, line 1: this is no YAML;", id="python-tag"),
        pytest.param("a: !!bool hunter2", "a.yaml: this is no YAML that", id="wrong-bool"),
        pytest.param("a: !!timestamp hunter2", "a.yaml: this is no YAML that", id="wrong-time"),
        pytest.param("a: !!int ''", "a.yaml: this is no YAML that", id="wrong-int"),
        pytest.param(f"a: {'1' * 5000}", "a.yaml: this is no YAML that", id="endless-int"),
        pytest.param("? [hunter2]\n: b", "a.yaml, line 1: this is no YAML", id="list-as-key"),
        pytest.param("a: \x00hunter2", "a.yaml: this is no YAML that a manifest could be;", id="nul"),
        pytest.param("spec:\n  host: a\n  host: b\n", "a.yaml, line 3: the key host stands twice", id="key-twice"),
        pytest.param("a: &a [*a]", "a.yaml: a document is too large or nested too deeply;", id="endless"),
        pytest.param(f"a: {'[' * 200}{']' * 200}", "a.yaml: a document is too large or nested too deeply;", id="deep"),
        pytest.param("[" * 100_000, "a.yaml", id="very-deep"),
        pytest.param(
            "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)),
            "a.yaml: a document is too large or nested too deeply;",
            id="ten-million-by-aliases",
        ),
        pytest.param(
            "m0: &m0 {x: 1}\n" + "".join(f"m{n + 1}: &m{n + 1} {{<<: [*m{n}, *m{n}]}}\n" for n in range(40)),
            "a.yaml, document 1: this is no Kubernetes object;",
            id="a-million-millions-by-merges",
        ),
        pytest.param("x" * (MAX_CHARACTERS + 1), "a.yaml is too large for a manifest;", id="too-large"),
    ],
)
def test_text_that_is_no_manifest_is_refused(text, sentence):
    """With the line, quickly, and without a word of the text, which may be a password."""
    told = sentence_of(("a.yaml", text))
    assert told.startswith(sentence)
    assert "hunter2" not in told


def test_aliases_and_merge_keys_are_followed():
    """People use them; kubectl does, too."""
    text = (
        "apiVersion: archivmail.io/v1alpha1\nkind: ImapAccount\nmetadata: {name: alice}\nspec:\n"
        "  host: h\n  tls: &t {mode: StartTLS}\n  auth: {secretRef: {name: alice}}\n"
    )
    assert read_manifests([("a", text)]).accounts[0].spec.port == 143
    merged_in = text.replace("  tls: &t {mode: StartTLS}\n", "  tls: {<<: {mode: Implicit}, mode: Disabled}\n")
    assert read_manifests([("a", merged_in)]).accounts[0].spec.port == 143


def test_secrets_are_not_shown():
    """Invariant 10."""
    assert "hunter2" not in repr(read(account(), secret(stringData={"password": "hunter2"})))


@given(st.text(st.characters(codec="utf-8"), max_size=60) | st.text(" \n-:[]{}&*!|>'\"%@#ab?,0.<", max_size=60))
def test_every_text_is_either_read_or_refused(text):
    """Nothing but SpecInvalid comes out."""
    try:
        told = str(read_manifests([("a", text)]).accounts)
    except SpecInvalid as refused:
        told = refused.text
    assert told
