"""Access tokens: fetched, kept, renewed; and what an endpoint can do wrong (trap 90, design §1 invariant 10)."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from archivmail.imap.oauth import EARLY_S, UNKNOWN_LIFETIME_S, Tokens
from archivmail.imap.tokenendpoint import EndpointLimits, parsed
from archivmail.model.account import Credentials, Mechanism, Rotation, Secret
from archivmail.model.errors import (
    Aborted,
    ArchivmailError,
    ConnectionLost,
    CredentialsRefused,
    SecretMissing,
    ServerBusy,
    ServerViolation,
    SpecInvalid,
    TlsRefused,
)
from tests.servers.certificates import authority_of_this_run
from tests.servers.tokens import Answer, TokenServer

QUICK = EndpointLimits(total_s=5, connect_s=5, read_s=5, slice_s=0.02)
HUSHED = ("refresh-0", "client-hush", "stolen-token")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def endpoint() -> Iterator[TokenServer]:
    with TokenServer() as server:
        yield server


def credentials(endpoint: TokenServer) -> Credentials:
    return Credentials(
        Mechanism.XOAUTH2,
        "alice",
        client_id=endpoint.client_id,
        refresh_token=Secret("refresh-0"),
        token_url=endpoint.url,
        scopes=("mail", "offline_access"),
    )


def token(tokens: Tokens, held: Credentials, **more: object) -> str:
    """One login's token."""
    ca_pem = authority_of_this_run().ca_pem
    return tokens.source(held, **{"ca_pem": ca_pem, **more}).token().reveal()  # type: ignore[arg-type]


def refused(endpoint: TokenServer, limits: EndpointLimits = QUICK, **more: object) -> ArchivmailError:
    with pytest.raises(ArchivmailError) as caught:
        token(Tokens(limits=limits), credentials(endpoint), **more)
    return caught.value


# --- what is asked ---------------------------------------------------------------------------------------------------


def test_a_refresh_token_is_exchanged(endpoint: TokenServer) -> None:
    """RFC 6749 §6: a form, the client named in it, the scopes asked for; no password anywhere."""
    assert "access-0" == token(Tokens(), credentials(endpoint))
    assert [
        {
            "grant_type": "refresh_token",
            "refresh_token": "refresh-0",
            "client_id": "archivmail",
            "scope": "mail offline_access",
        }
    ] == endpoint.requests
    assert f"127.0.0.1:{endpoint.port}" == endpoint.headers[0]["Host"]


def test_a_client_secret_goes_along(endpoint: TokenServer) -> None:
    """Optional: public clients have none."""
    token(Tokens(), replace(credentials(endpoint), client_secret=Secret("client-hush")))
    assert "client-hush" == endpoint.requests[0]["client_secret"]


def test_a_client_may_be_let_in_by_itself(endpoint: TokenServer) -> None:
    """RFC 6749 §4.4: applications of Microsoft 365 have no refresh token."""
    held = replace(credentials(endpoint), refresh_token=None, client_secret=Secret("client-hush"))
    assert "access-0" == token(Tokens(), held)
    assert "client_credentials" == endpoint.requests[0]["grant_type"]
    assert "refresh_token" not in endpoint.requests[0]


def test_a_token_in_the_secret_is_used_when_none_can_be_fetched(endpoint: TokenServer) -> None:
    """And it is said when there is neither."""
    held = Credentials(Mechanism.XOAUTH2, "alice", access_token=Secret("held"))
    assert "held" == token(Tokens(), held)
    with pytest.raises(SecretMissing, match="accessToken"):
        token(Tokens(), replace(held, access_token=None))
    assert endpoint.requests == []


def test_what_can_be_fetched_is_fetched(endpoint: TokenServer) -> None:
    """A token in the Secret beside it is stale before long, and nobody knows when."""
    assert "access-0" == token(Tokens(), replace(credentials(endpoint), access_token=Secret("stale")))


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_a_token_is_kept_until_shortly_before_its_end(endpoint: TokenServer) -> None:
    """trap 90: it is looked at before each login, and not used in its last two minutes."""
    clock = Clock()
    tokens = Tokens(clock=clock)
    for after, expected in ((0, "access-0"), (3600 - EARLY_S - 1, "access-0"), (3600 - EARLY_S, "access-1")):
        clock.now = 1000.0 + after
        assert expected == token(tokens, credentials(endpoint))


@pytest.mark.parametrize("told", [None, 0, -5, pytest.param(10**400, id="400-digits")])
def test_a_token_of_unknown_lifetime_is_kept_for_a_while(endpoint: TokenServer, told: float | None) -> None:
    """RFC 6749 §5.1: `expires_in` is only recommended."""
    endpoint.lifetime_s = told
    clock = Clock()
    tokens = Tokens(clock=clock)
    assert "access-0" == token(tokens, credentials(endpoint))
    clock.now += UNKNOWN_LIFETIME_S - EARLY_S - 1
    assert "access-0" == token(tokens, credentials(endpoint))
    clock.now += 1
    assert "access-1" == token(tokens, credentials(endpoint))


@pytest.mark.parametrize("changed", ["username", "client_id", "client_secret", "refresh_token", "scopes"])
def test_a_token_belongs_to_the_whole_of_the_credentials(endpoint: TokenServer, changed: str) -> None:
    """A Secret that changed in any key, and another account, never get the token of the former."""
    other: dict[str, object] = {
        "username": "bob",
        "client_id": "other",
        "client_secret": Secret("x"),
        "refresh_token": Secret("y"),
        "scopes": (),
    }
    tokens = Tokens()
    good = Answer.of({"access_token": "theirs", "token_type": "Bearer"})
    token(tokens, credentials(endpoint))
    endpoint.script(good)
    assert "theirs" == token(tokens, replace(credentials(endpoint), **{changed: other[changed]}))  # type: ignore[arg-type]
    assert 2 == len(endpoint.requests)


def test_no_more_tokens_are_kept_than_is_allowed(endpoint: TokenServer) -> None:
    """Bounded; a refresh token that nobody else has is the last to go."""
    tokens = Tokens(max_accounts=3)
    endpoint.rotates = True
    rare = credentials(endpoint)
    token(tokens, rare)
    endpoint.rotates = False
    for number in range(20):
        token(tokens, replace(rare, username=f"user-{number}", refresh_token=Secret(endpoint.refresh_token)))
    assert 3 == len(tokens._entries)
    assert "access-0" == token(tokens, rare)


def test_tokens_that_rotate_for_ever_take_no_more_room(endpoint: TokenServer) -> None:
    """Microsoft gives a new refresh token every hour; written to the Secret or not, other accounts keep theirs."""
    endpoint.rotates = True
    clock = Clock()
    tokens = Tokens(clock=clock, max_accounts=8)
    in_memory, written = credentials(endpoint), replace(credentials(endpoint), username="bob")
    for _ in range(6):
        token(tokens, in_memory)
        clock.now += 3600
    assert [f"refresh-{n}" for n in range(6)] == [each["refresh_token"] for each in endpoint.requests]

    for _ in range(6):
        written = replace(written, refresh_token=Secret(endpoint.refresh_token))
        token(tokens, written)
        clock.now += 3600
    assert len(tokens._entries) <= 8
    assert 12 == len(endpoint.issued)


def test_a_full_memory_takes_one_more(endpoint: TokenServer) -> None:
    """Also when every entry has a refresh token that nobody else has."""
    endpoint.rotates = True
    tokens = Tokens(max_accounts=2)
    for name in ("alice", "bob", "carol"):
        held = replace(credentials(endpoint), username=name, refresh_token=Secret(endpoint.refresh_token))
        assert token(tokens, held)


def test_sessions_of_one_account_share_one_request(endpoint: TokenServer) -> None:
    """Of two refresh tokens used at once, a provider that rotates them revokes both."""
    endpoint.rotates = True
    tokens = Tokens()
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(token(tokens, credentials(endpoint)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ["access-0"] * 8 == found
    assert 1 == len(endpoint.requests)


def test_a_refused_token_is_renewed_once(endpoint: TokenServer) -> None:
    """trap 90: what was believed valid may have been revoked; what is new cannot be helped by another one."""
    tokens = Tokens()
    token(tokens, credentials(endpoint))
    source = tokens.source(credentials(endpoint), ca_pem=authority_of_this_run().ca_pem)
    assert Secret("access-0") == source.token()
    assert Secret("access-1") == source.renewed()
    assert source.renewed() is None
    assert "access-2" == token(tokens, credentials(endpoint))


def test_another_session_may_have_renewed_it_already(endpoint: TokenServer) -> None:
    """Two connections of one account meet the same end of a token."""
    tokens = Tokens()
    token(tokens, credentials(endpoint))
    first, second = (tokens.source(credentials(endpoint), ca_pem=authority_of_this_run().ca_pem) for _ in range(2))
    assert Secret("access-0") == first.token() == second.token()
    assert Secret("access-1") == first.renewed() == second.renewed()
    second.discard()
    first.discard()
    assert "access-2" == token(tokens, credentials(endpoint))


# --- rotation --------------------------------------------------------------------------------------------------------


def test_a_new_refresh_token_is_used_and_told(endpoint: TokenServer) -> None:
    """RFC 6749 §6; also for a Secret into which it was written meanwhile."""
    endpoint.rotates = True
    clock = Clock()
    learned: list[Secret] = []
    tokens = Tokens(clock=clock, learned=learned.append)
    told: list[Rotation] = []
    for _ in range(3):
        token(tokens, credentials(endpoint), rotated=told.append)
        clock.now += 3600
    assert ["refresh-0", "refresh-1", "refresh-2"] == [each["refresh_token"] for each in endpoint.requests]
    assert [Rotation(*(Secret(f"refresh-{m}") for m in (0, n, n + 1))) for n in range(3)] == told
    assert {f"{kind}-{n}" for kind, n in (("access", 0), ("refresh", 1))} <= {each.reveal() for each in learned}

    clock.now -= 3600
    rewritten = replace(credentials(endpoint), refresh_token=Secret("refresh-3"))
    assert "access-2" == token(tokens, rewritten)


def test_the_same_refresh_token_again_is_no_news(endpoint: TokenServer) -> None:
    """Some providers repeat it in each answer."""
    endpoint.script(Answer.of({"access_token": "a", "refresh_token": "refresh-0", "token_type": "Bearer"}))
    told: list[Rotation] = []
    token(Tokens(), credentials(endpoint), rotated=told.append)
    assert told == []


# --- what can go wrong -----------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\n"
ANSWERS = [
    pytest.param(Answer.of({"error": "invalid_grant"}, 400), CredentialsRefused, id="invalid-grant"),
    pytest.param(Answer.of({"error": "unauthorized_client"}, 400), CredentialsRefused, id="unauthorized-client"),
    pytest.param(Answer.of({"error": "invalid_scope"}, 400), SpecInvalid, id="invalid-scope"),
    pytest.param(Answer.of({"error": "invalid_grant"}, 500), ServerBusy, id="500-with-code"),
    pytest.param(Answer(503, b"<html>Down</html>"), ServerBusy, id="503-page"),
    pytest.param(Answer(429), ServerBusy, id="429"),
    pytest.param(Answer(404, b"not here"), SpecInvalid, id="404"),
    pytest.param(Answer(307, headers={"Location": "https://evil.example.org/"}), SpecInvalid, id="redirect"),
    pytest.param(Answer(200, b"<html>Log in to the hotel</html>"), ServerViolation, id="captive-portal"),
    pytest.param(Answer(200, b"[1]"), ServerViolation, id="json-list"),
    pytest.param(Answer(200, b"null"), ServerViolation, id="json-null"),
    pytest.param(Answer(200, b"\xff\xfe"), ServerViolation, id="not-utf-8"),
    pytest.param(Answer(200), ServerViolation, id="empty"),
    pytest.param(Answer.of({"access_token": {"a": 1}}), ServerViolation, id="token-is-no-text"),
    pytest.param(Answer.of({"access_token": "a\r\nb"}), ServerViolation, id="token-with-line-break"),
    pytest.param(Answer.of({"access_token": "x", "expires_in": "soon"}), ServerViolation, id="odd-lifetime"),
    pytest.param(Answer(200, b" " * 1_000_000 + b'{"access_token": "x"}'), ServerViolation, id="endless"),
    pytest.param(Answer(200, b"[" * 200_000), ServerViolation, id="nested-too-deep"),
    pytest.param(Answer(200, b'{"access_token": "x", "expires_in": Infinity}'), ServerViolation, id="endless-lifetime"),
    pytest.param(Answer(raw=HEAD + b"Content-Length: %d\r\n\r\n{" % 10**30), ServerViolation, id="length-of-30-digits"),
    pytest.param(Answer(raw=HEAD + b"Content-Length: %d\r\n\r\n{" % 10**18), ServerViolation, id="length-of-exabytes"),
    pytest.param(
        Answer(raw=HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n{" % 10**18),
        ServerViolation,
        id="chunk-of-exabytes",
    ),
    pytest.param(
        Answer(503, headers={"Retry-After": f"Mon, 1 Jan {10**20} 00:00:00 GMT"}), ServerBusy, id="retry-in-ages"
    ),
    pytest.param(Answer(raw=b"* OK IMAP4rev1 ready\r\n" * 9), ServerViolation, id="not-http"),
    pytest.param(Answer(raw=b"HTTP/1.1 200 OK\r\nX: " + b"y" * 99_999), ServerViolation, id="endless-header"),
    pytest.param(Answer(raw=b""), ConnectionLost, id="closed"),
    pytest.param(Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), ConnectionLost, id="cut"),
]


@pytest.mark.parametrize(("answer", "kind"), ANSWERS)
def test_a_bad_answer_is_told_for_what_it_is(
    endpoint: TokenServer, answer: Answer, kind: type[ArchivmailError]
) -> None:
    """An outage of the token endpoint never looks like a wrong password (finding 5)."""
    endpoint.script(answer)
    error = refused(endpoint)
    assert kind is type(error)
    assert 1 == len(endpoint.requests)


def test_the_endpoint_may_say_when_to_come_back(endpoint: TokenServer) -> None:
    """Retry-After (RFC 9110 §10.2.3)."""
    endpoint.script(Answer(503, headers={"Retry-After": "77"}))
    error = refused(endpoint)
    assert isinstance(error, ServerBusy)
    assert timedelta(seconds=77) == error.retry_after


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(stall=True), id="silent"),
        pytest.param(Answer(200, b"x" * 1000, drip_s=0.05), id="drips"),
    ],
)
def test_a_slow_endpoint_is_given_up(endpoint: TokenServer, answer: Answer) -> None:
    """trap 82: each octet in time is not enough."""
    endpoint.script(answer)
    error = refused(endpoint, replace(QUICK, total_s=0.6, read_s=0.4))
    assert isinstance(error, ConnectionLost)
    assert "no access token from 127.0.0.1" in error.text


def test_a_wait_for_the_endpoint_ends_when_the_run_should(endpoint: TokenServer) -> None:
    """S3: also while another session of the account holds the request."""
    endpoint.script(Answer(stall=True))
    tokens = Tokens()
    stop = threading.Event()
    caught: list[type[BaseException]] = []

    def asked() -> None:
        try:
            token(tokens, credentials(endpoint), should_stop=stop.is_set)
        except ArchivmailError as error:
            caught.append(type(error))

    threads = [threading.Thread(target=asked) for _ in range(2)]
    for thread in threads:
        thread.start()
    stop.set()
    for thread in threads:
        thread.join(10)
    assert [Aborted, Aborted] == caught


def test_an_endpoint_that_is_not_there_is_an_outage() -> None:
    """And it says which setting to look at."""
    with TokenServer() as gone:
        pass
    error = refused(gone)
    assert isinstance(error, ConnectionLost)
    assert "spec.auth.oauth2.tokenURL" in error.text


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer.of({"error": "refresh-0"}, 400), id="refresh-token-as-code"),
        pytest.param(Answer.of({"error": "Client-Hush is wrong"}, 401), id="words-as-code"),
        pytest.param(
            Answer.of({"error": "invalid_grant", "error_description": "refresh-0 of client-hush"}, 400),
            id="description",
        ),
        pytest.param(Answer(200, b'{"access_token": "stolen-token'), id="cut-token"),
        pytest.param(Answer(raw=b"HTTP/1.1 refresh-0 client-hush\r\n\r\n"), id="status-line"),
        pytest.param(Answer(raw=b"refresh-0 client-hush\r\n\r\n"), id="no-http"),
        pytest.param(Answer(200, b"access_token=stolen-token&error=client-hush"), id="form"),
        pytest.param(Answer(400, b"refresh-0"), id="body"),
    ],
)
def test_no_error_repeats_a_secret(endpoint: TokenServer, answer: Answer) -> None:
    """Design §1 invariant 10: not even when the endpoint does, and not in the causes either."""
    endpoint.script(answer)
    held = replace(credentials(endpoint), client_secret=Secret("client-hush"))
    with pytest.raises(ArchivmailError) as caught:
        token(Tokens(limits=QUICK), held)
    error: BaseException | None = caught.value
    while error is not None:
        text = f"{error} {error!r} {error.args}".lower()
        assert not any(secret in text for secret in HUSHED), text
        assert error.__suppress_context__ or error.__context__ is error.__cause__
        error = error.__cause__


# --- TLS and addresses -----------------------------------------------------------------------------------------------


def test_the_certificate_of_the_endpoint_is_verified(endpoint: TokenServer) -> None:
    """trap 98: before a word of the refresh token is sent."""
    error = refused(endpoint, ca_pem=None)
    assert isinstance(error, TlsRefused)
    assert "token endpoint" in error.text
    assert endpoint.requests == []


def test_the_endpoint_must_be_the_host_of_its_certificate() -> None:
    """trap 98."""
    with TokenServer(certificate=authority_of_this_run().issue("login.example.org")) as endpoint:
        error = refused(endpoint)
    assert isinstance(error, TlsRefused)
    assert "spec.auth.oauth2.tokenURL" in error.text


def test_an_expired_certificate_of_the_endpoint_is_told() -> None:
    """trap 100."""
    with TokenServer(certificate=authority_of_this_run().issue("127.0.0.1", lifetime=timedelta(days=-1))) as endpoint:
        error = refused(endpoint)
    assert isinstance(error, TlsRefused)
    assert "expired" in error.text


def test_an_endpoint_with_old_tls_is_refused() -> None:
    """TLS 1.2 at least."""
    with TokenServer(tls_version=ssl.TLSVersion.TLSv1_1) as endpoint:
        error = refused(endpoint)
    assert isinstance(error, TlsRefused)
    assert "TLS 1.2" in error.text


def test_plain_http_reaches_this_machine_only() -> None:
    """A refresh token is never sent in the clear over a network."""
    with TokenServer(is_encrypted=False) as endpoint:
        assert "access-0" == token(Tokens(), credentials(endpoint))
    for url in ("http://login.example.org/token", "http://10.0.0.1/", "http://127.0.0.1.example.org/"):
        with pytest.raises(SpecInvalid, match="https"):
            parsed(url)


@pytest.mark.parametrize(
    "url",
    ["", "login", "ftp://a/b", "https://", "https://user@a/", "https://a:x/", "https://a:99999/", "https://a/b c",
     "https://a/\r\nHost: b", "https://ä.example/", "file:///etc/passwd"],
)  # fmt: skip
def test_what_is_no_url_of_an_endpoint_is_refused(url: str) -> None:
    """The CRD says so first; a URL that came another way is no better."""
    with pytest.raises(SpecInvalid, match=r"spec\.auth\.oauth2\.tokenURL"):
        parsed(url)
