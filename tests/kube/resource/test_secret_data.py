"""What the data of the Secrets means, and the sentence when it cannot be used."""

import traceback
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.kube.resource import parse
from archivmail.kube.secretdata import credentials, endpoint
from archivmail.model.account import Credentials, Endpoint, Mechanism, Secret, TlsMode
from archivmail.model.errors import SecretMissing
from archivmail.model.reasons import Reason
from tests.kube.resource.documents import MINIMAL_SPEC, account, merged

PASSWORD = parse(account()).spec
OAUTH = replace(PASSWORD, mechanism=Mechanism.XOAUTH2)
REFRESH = replace(OAUTH, token_url="https://login.example.org/token", scopes=("mail",))
WITH_CA = parse(account(merged(MINIMAL_SPEC, {"tls": {"caSecretRef": {"name": "ca"}}}))).spec
PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
LOGIN = {"username": b"alice@example.org", "password": b" pass wort\t"}
MEND = "write it anew without one, with stringData or with `printf %s VALUE | base64` instead of echo"


def sentence_of(spec, data):
    with pytest.raises(SecretMissing) as refused:
        credentials(spec, data)
    assert refused.value.reason is Reason.SECRET_KEY_MISSING
    return refused.value.text


def test_a_password_is_taken_exactly():
    """Blanks at its ends may be meant."""
    assert credentials(PASSWORD, LOGIN) == Credentials(
        Mechanism.PASSWORD, "alice@example.org", password=Secret(" pass wort\t")
    )


@pytest.mark.parametrize("end", [pytest.param(b"\n", id="lf"), pytest.param(b"\r\n", id="crlf")])
def test_one_line_break_is_taken_from_the_user_name(end):
    """`echo alice | base64` puts it there; no user name has one."""
    assert credentials(PASSWORD, LOGIN | {"username": b"alice" + end}).username == "alice"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param({}, "the Secret alice has no key username; add it", id="empty-secret"),
        pytest.param({"username": b"a"}, "the Secret alice has no key password; add it", id="no-password"),
        pytest.param({"password": b"p"}, "the Secret alice has no key username; add it", id="no-user"),
        pytest.param(
            {"username": b"a", "password": b""},
            "the key password of the Secret alice is empty; put a value there",
            id="empty-password",
        ),
        pytest.param(
            {"username": b"\n", "password": b"p"},
            "the key username of the Secret alice is empty; put a value there",
            id="user-of-a-line-break",
        ),
        pytest.param(
            {"username": b"a", "password": b"hunter2\n"},
            f"the key password of the Secret alice ends with a line break; {MEND}",
            id="password-from-echo",
        ),
        pytest.param(
            {"username": b"a", "password": b"hunter\r2"},
            f"the key password of the Secret alice has a line break or NUL in it; {MEND}",
            id="carriage-return",
        ),
        pytest.param(
            {"username": b"a", "password": b"hunter\x002"},
            f"the key password of the Secret alice has a line break or NUL in it; {MEND}",
            id="nul",
        ),
        pytest.param(
            {"username": b"a\n\n", "password": b"p"},
            f"the key username of the Secret alice ends with a line break; {MEND}",
            id="user-with-two-line-breaks",
        ),
        pytest.param(
            {"username": b"a", "password": b"\xffhunter2"},
            "the key password of the Secret alice is not UTF-8 text; write it anew as UTF-8",
            id="latin-1",
        ),
    ],
)
def test_a_secret_that_cannot_be_used_is_refused(data, sentence):
    """Secret and key are named, the value never."""
    assert sentence_of(PASSWORD, data) == sentence


@given(password=st.binary(max_size=12), username=st.binary(max_size=12))
def test_no_refusal_shows_a_value(password, username):
    """Invariant 10: whatever the octets are, no sentence and no chained error holds them."""
    secret = b"SECRET" + password
    try:
        told = repr(credentials(PASSWORD, {"username": username, "password": secret}))
    except SecretMissing as refused:
        told = "".join(traceback.format_exception(refused))
    assert "SECRET" not in told


def test_an_access_token_is_enough():
    """OAuth with tokens that somebody else renews."""
    data = {"username": b"alice", "accessToken": b"ya29.x"}
    assert credentials(OAUTH, data) == Credentials(Mechanism.XOAUTH2, "alice", access_token=Secret("ya29.x"))


def test_a_refresh_token_comes_with_its_client_and_its_endpoint():
    """OAuth with tokens that we renew; the client secret is optional."""
    data = {"username": b"alice", "clientId": b"app\n", "refreshToken": b"1//x"}
    expected = Credentials(
        Mechanism.XOAUTH2,
        "alice",
        client_id="app",
        refresh_token=Secret("1//x"),
        token_url="https://login.example.org/token",
        scopes=("mail",),
    )
    assert credentials(REFRESH, data) == expected
    assert credentials(REFRESH, data | {"clientSecret": b"s"}) == replace(expected, client_secret=Secret("s"))
    assert credentials(REFRESH, data | {"accessToken": b"t"}) == replace(expected, access_token=Secret("t"))


def test_a_client_may_come_without_a_refresh_token():
    """RFC 6749 §4.4: an application that is let in by itself."""
    data = {"username": b"alice", "clientId": b"app", "clientSecret": b"s"}
    found = credentials(REFRESH, data)
    assert (found.client_id, found.client_secret, found.refresh_token) == ("app", Secret("s"), None)
    assert found.token_url == REFRESH.token_url


def test_a_refresh_token_without_endpoint_does_not_spoil_an_access_token():
    """The spec asks for no renewal, so none is tried."""
    data = {"username": b"alice", "accessToken": b"t", "refreshToken": b"r"}
    assert credentials(OAUTH, data) == Credentials(Mechanism.XOAUTH2, "alice", access_token=Secret("t"))


@pytest.mark.parametrize(
    ("spec", "data", "sentence"),
    [
        pytest.param(
            OAUTH,
            {"password": b"p"},
            "the Secret alice has neither accessToken nor refreshToken; add accessToken, or clientId and refreshToken",
            id="password-only",
        ),
        pytest.param(
            OAUTH,
            {"clientId": b"c", "refreshToken": b"r"},
            "the Secret alice has a refreshToken but nothing says where to use it; set spec.auth.oauth2.tokenURL to the"
            " provider's token endpoint",
            id="no-token-url",
        ),
        pytest.param(REFRESH, {"refreshToken": b"r"}, "the Secret alice has no key clientId; add it", id="no-client"),
        pytest.param(
            OAUTH,
            {"accessToken": b"t\n"},
            f"the key accessToken of the Secret alice ends with a line break; {MEND}",
            id="token-from-echo",
        ),
    ],
)
def test_oauth_data_that_cannot_be_used_is_refused(spec, data, sentence):
    """The keys of OAuth are named as in the docs."""
    assert sentence_of(spec, {"username": b"alice"} | data) == sentence


def test_the_endpoint_is_that_of_the_spec():
    """No CA asked for: those of the system."""
    assert endpoint(PASSWORD, None) == Endpoint("imap.example.org", 993, TlsMode.IMPLICIT)


def test_the_ca_comes_from_its_secret():
    """Key ca.crt unless the spec names another."""
    assert endpoint(WITH_CA, {"ca.crt": PEM}).ca_pem == PEM.decode()
    assert endpoint(replace(WITH_CA, ca_secret_key="root.pem"), {"root.pem": PEM}).ca_pem == PEM.decode()


@pytest.mark.parametrize(
    ("data", "reason", "sentence"),
    [
        pytest.param(
            None,
            Reason.SECRET_NOT_FOUND,
            "the Secret ca of spec.tls.caSecretRef is not there; create it in the namespace of the ImapAccount",
            id="no-secret",
        ),
        pytest.param(
            {"tls.crt": PEM}, Reason.SECRET_KEY_MISSING, "the Secret ca has no key ca.crt; add it", id="no-key"
        ),
        pytest.param(
            {"ca.crt": b"MIIB"},
            Reason.SECRET_KEY_MISSING,
            "the key ca.crt of the Secret ca holds no certificate in PEM form; put the certificate of the authority"
            " there, from BEGIN CERTIFICATE to END CERTIFICATE",
            id="no-pem",
        ),
    ],
)
def test_a_ca_that_cannot_be_used_is_refused(data, reason, sentence):
    """Never is the connection made without the CA that was asked for."""
    with pytest.raises(SecretMissing) as refused:
        endpoint(WITH_CA, data)
    assert (refused.value.reason, refused.value.text) == (reason, sentence)


def test_without_tls_no_ca_is_needed():
    """Nothing is verified then."""
    assert endpoint(replace(WITH_CA, tls=TlsMode.DISABLED, port=143), None).ca_pem is None
