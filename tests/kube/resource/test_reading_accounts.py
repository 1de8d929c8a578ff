"""An ImapAccount as a document becomes values, or one sentence."""

from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.kube.resource import parse, parse_head
from archivmail.model.account import AccountRef, AccountSpec, FolderRules, Mechanism, TlsMode
from archivmail.model.errors import SpecInvalid
from archivmail.model.retention import Policy
from archivmail.model.status import AccountStatus
from archivmail.model.wireform import MAX_TOKEN, from_wire, to_wire
from tests.kube.resource.cases import ACCEPTED, REFUSED, REFUSED_BY_SCHEMA
from tests.kube.resource.documents import MINIMAL_SPEC, account, merged

NO_ACCOUNT = "this is no ImapAccount; write apiVersion: archivmail.io/v1alpha1 and kind: ImapAccount"
NAME = "must be made of lower-case letters, digits, '-' and '.', at most 253, with a letter or digit at both ends"
NAMESPACE = "must be made of lower-case letters, digits and '-', at most 63, with a letter or digit at both ends"


def sentence_of(document, *, strict=True):
    with pytest.raises(SpecInvalid) as refused:
        parse(document, strict=strict)
    return refused.value.text


def spec_of(**change):
    return parse(account(merged(MINIMAL_SPEC, change)), strict=True).spec


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_the_api_server_accepts_is_read(case):
    """The same table is put to the API server in test_api_server.py."""
    assert parse(account(case.spec), strict=True).spec.host == case.spec["host"]


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_api_server_refuses_is_refused_with_the_same_sentence(case):
    """One sentence, with the field before it."""
    assert sentence_of(account(case.spec)) == f"spec.{case.path}: {case.sentence}"


@pytest.mark.parametrize("case", REFUSED_BY_SCHEMA)
def test_what_has_the_wrong_type_or_size_is_refused_with_a_sentence(case):
    """Where the API server uses words of its own, we say what to do."""
    assert sentence_of(account(case.spec)).startswith(f"spec.{case.path} {case.sentence}")


def test_a_minimal_spec_has_the_defaults_of_the_design():
    """design §3.1 and §3.5."""
    assert spec_of() == AccountSpec(
        host="imap.example.org",
        port=993,
        secret_name="alice",
        tls=TlsMode.IMPLICIT,
        server_name=None,
        ca_secret_name=None,
        mechanism=Mechanism.PASSWORD,
        interval=timedelta(minutes=10),
        timeout=timedelta(minutes=30),
        suspend=False,
        rules=FolderRules((), ()),
    )


def test_a_full_spec_is_read_whole():
    """Every field of design §3.1 arrives."""
    spec = spec_of(
        port=1993,
        tls={"mode": "Implicit", "serverName": "mail.example.org", "caSecretRef": {"name": "ca", "key": "root.pem"}},
        auth={
            "mechanism": "OAuthBearer",
            "secretRef": {"name": "tokens"},
            "oauth2": {"tokenURL": "https://login.example.org/token", "scopes": ["mail"], "updateSecret": True},
        },
        interval="1h30m",
        timeout="45m",
        suspend=True,
        folders={"include": ["INBOX", "\\Sent"], "exclude": ["Trash"]},
        retention={"keepFor": "87600h"},
        hold=True,
    )
    assert spec == AccountSpec(
        host="imap.example.org",
        port=1993,
        secret_name="tokens",
        tls=TlsMode.IMPLICIT,
        server_name="mail.example.org",
        ca_secret_name="ca",
        ca_secret_key="root.pem",
        mechanism=Mechanism.OAUTH_BEARER,
        token_url="https://login.example.org/token",
        scopes=("mail",),
        update_secret=True,
        interval=timedelta(minutes=90),
        timeout=timedelta(minutes=45),
        suspend=True,
        rules=FolderRules(("INBOX", "\\Sent"), ("Trash",)),
        policy=Policy(timedelta(days=3650), hold=True),
    )


@pytest.mark.parametrize(
    ("mode", "port"),
    [
        pytest.param("Implicit", 993, id="implicit"),
        pytest.param("StartTLS", 143, id="starttls"),
        pytest.param("Disabled", 143, id="disabled"),
    ],
)
def test_the_port_follows_the_tls_mode(mode, port):
    """design §3.5: the one default that is not stored."""
    assert spec_of(tls={"mode": mode}).port == port


@pytest.mark.parametrize(
    ("text", "span"),
    [
        pytest.param("0s", timedelta(0), id="zero"),
        pytest.param("10m", timedelta(minutes=10), id="minutes"),
        pytest.param("1h30m", timedelta(minutes=90), id="hours-and-minutes"),
        pytest.param("1.5h", timedelta(minutes=90), id="fraction"),
        pytest.param("90000ms", timedelta(seconds=90), id="milliseconds"),
        pytest.param("30.0000015s", timedelta(seconds=30, microseconds=1), id="cut-to-microseconds"),
    ],
)
def test_spans_are_read_as_go_writes_them(text, span):
    """Go's time.ParseDuration."""
    assert spec_of(interval=text).interval == span


def test_null_counts_as_absent():
    """`interval:` without a value is the default, as the API server's defaulting has it."""
    assert spec_of(interval=None, tls=None, port=None, folders={"include": None}) == spec_of()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(
            {"intervall": "5m"},
            "spec.intervall is not a field of ImapAccount; did you mean spec.interval?",
            id="misspelt",
        ),
        pytest.param(
            {"serverName": "a"},
            "spec.serverName is not a field of ImapAccount; did you mean spec.tls.serverName?",
            id="in-the-wrong-place",
        ),
        pytest.param(
            {"auth": {"password": "hunter2"}},
            "spec.auth.password is not a field of ImapAccount; remove it, or look at `kubectl explain imapaccount.spec"
            " --recursive`",
            id="unknown",
        ),
    ],
)
def test_an_unknown_field_of_a_manifest_is_refused(change, sentence):
    """As kubectl does; and with the field that was meant, if one is near."""
    assert sentence_of(account(merged(MINIMAL_SPEC, change))) == sentence


def test_an_unknown_field_of_a_stored_object_is_ignored():
    """A newer CRD must not stop an older operator."""
    document = account(merged(MINIMAL_SPEC, {"new": True, "tls": {"new": True}}), newer="yes")
    assert parse(document).spec == spec_of()


def test_a_misspelt_field_is_told_before_the_one_that_is_missing_for_it():
    """`hots` is the cause, the missing host the consequence; nothing is kept back."""
    spec = {"hots": "imap.example.org", "auth": {"secretRef": {"name": "alice"}}}
    assert sentence_of(account(spec)) == (
        "spec.hots is not a field of ImapAccount; did you mean spec.host? (and 1 more error)"
    )


def test_no_sentence_repeats_a_value():
    """A password in the wrong field must not end up in an Event."""
    for wrong in (
        {"host": "hunter2 "},
        {"port": "hunter2"},
        {"tls": "hunter2"},
        {"folders": {"include": ["\\hunter2!"]}},
    ):
        assert "hunter2" not in sentence_of(account(merged(MINIMAL_SPEC, wrong)))


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        pytest.param({}, NO_ACCOUNT, id="{}"),
        pytest.param(
            account() | {"apiVersion": "archivmail.io/v2"},
            NO_ACCOUNT,
            id="other-version",
        ),
        pytest.param(
            account() | {"metadata": None},
            "metadata is missing; give the account a name in metadata.name",
            id="no-metadata",
        ),
        pytest.param(account(name=""), "metadata.name is missing; give the object a name", id="no-name"),
        pytest.param(account(name=7), "metadata.name must be text; put the value in quotes", id="name-as-number"),
        pytest.param(
            account(name="../alice"),
            f"metadata.name {NAME}",
            id="name-as-path",
        ),
        pytest.param(
            account(namespace="team.a"),
            f"metadata.namespace {NAMESPACE}",
            id="namespace-with-dot",
        ),
        pytest.param(
            account(annotations={"archivmail.io/requestedAt": 5}),
            "metadata.annotations.archivmail.io/requestedAt must be text; put the value in quotes",
            id="request-as-number",
        ),
        pytest.param(account() | {"spec": None}, "spec is missing; it says which mailbox to archive", id="no-spec"),
        pytest.param(account() | {"spec": "imap"}, "spec must be a group of fields", id="spec-as-text"),
        pytest.param(
            account({}),
            "spec.host is missing; name the IMAP server, such as imap.example.org (and 1 more error)",
            id="empty",
        ),
        pytest.param(
            account() | {"interval": "5m"},
            "interval is not a field of ImapAccount; is it indented less than it should be?",
            id="field-beside-spec",
        ),
    ],
)
def test_what_is_no_usable_object_is_refused(document, sentence):
    """Names become paths in the archive, so they are looked at, too."""
    assert sentence_of(document) == sentence


def test_the_rest_of_the_object_is_read():
    """What the operator decides by."""
    status = AccountStatus(observed_generation=2, consecutive_failures=1)
    document = account(
        namespace="team-a",
        uid="0a1b",
        generation=3,
        resourceVersion="77",
        creationTimestamp="2026-11-20T10:00:00Z",
        deletionTimestamp="2026-11-21T10:00:00Z",
        annotations={"archivmail.io/requestedAt": "now"},
    ) | {"status": to_wire(status)}
    head = parse_head(document)
    assert head == parse_head(MappingProxyType(document))
    assert (head.ref, head.uid, head.generation) == (AccountRef("team-a", "alice"), "0a1b", 3)
    assert (head.resource_version, head.requested_at) == ("77", "now")
    assert (head.created_at, head.is_deleting) == (datetime(2026, 11, 20, 10, tzinfo=UTC), True)
    assert head.status == status


def test_an_object_of_a_manifest_has_no_history():
    """No namespace means default; what only the API server knows is absent."""
    head = parse_head(account())
    assert (head.ref, head.uid, head.generation) == (AccountRef("default", "alice"), "", 0)
    assert (head.requested_at, head.created_at, head.is_deleting) == (None, None, False)
    assert head.status == AccountStatus()


def test_a_request_is_read_as_the_status_echoes_it():
    """A value too long for the status would otherwise never be answered, and the account would run for ever."""
    head = parse_head(account(annotations={"archivmail.io/requestedAt": "x" * 10_000}))
    echoed = from_wire(to_wire(AccountStatus(last_handled_reconcile_at=head.requested_at)))
    assert head.requested_at == echoed.last_handled_reconcile_at
    assert len(head.requested_at) == MAX_TOKEN


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=15,
)
KEYS = ["host", "port", "tls", "auth", "interval", "timeout", "suspend", "folders", "nonsense"]


@given(spec=st.dictionaries(st.sampled_from(KEYS), JSON), metadata=JSON, strict=st.booleans())
def test_every_document_is_either_read_or_refused(spec, metadata, strict):
    """Nothing but SpecInvalid, and a sentence in it."""
    for document in (account(merged(MINIMAL_SPEC, spec)), account(spec), account() | {"metadata": metadata}):
        try:
            told = str(parse(document, strict=strict).ref)
        except SpecInvalid as refused:
            told = refused.text
        assert told
        assert told.isprintable()


def test_an_endless_document_is_refused():
    """An alias of YAML can make one."""
    spec = dict(MINIMAL_SPEC)
    spec["tls"] = spec
    assert sentence_of(account(spec)).startswith("spec is nested too deeply")
