"""Log in once, with the strongest way that the server offers and the account's Secret allows.

One attempt a run (lock-out): a second way is tried only when the server refused the first way and not the credentials.
"""

import binascii
import imaplib
import json
from contextlib import suppress
from typing import Protocol

from archivmail.decide.replies import Meaning, read, refuses_mechanism
from archivmail.imap.faults import violation
from archivmail.imap.replies import Status
from archivmail.imap.wire import Client
from archivmail.model.account import Credentials, Mechanism, Secret
from archivmail.model.errors import ArchivmailError, CredentialsRefused, SecretMissing, ServerUnsuitable
from archivmail.model.reasons import Reason


class TokenSource(Protocol):
    """Access tokens for one login; asked right before it (trap 90)."""

    def token(self) -> Secret:
        """One that is believed to be valid."""
        ...

    def renewed(self) -> Secret | None:
        """Another one, for the server refused the last; None when there is none, or the last was new already."""
        ...

    def discard(self) -> None:
        """The last one has run out, whatever was believed: the next login gets another one."""
        ...


class HeldToken:
    """The access token of the Secret itself. Satisfies TokenSource."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def token(self) -> Secret:
        if self._credentials.access_token:
            return self._credentials.access_token
        raise SecretMissing(
            "the Secret holds no accessToken, and not what is needed to fetch one; put an accessToken there, or"
            " clientId and refreshToken, and set spec.auth.oauth2.tokenURL",
            reason=Reason.SECRET_KEY_MISSING,
        )

    def renewed(self) -> None:
        """Nobody can renew it but a person."""

    def discard(self) -> None:
        """It stays in the Secret."""


def log_in(client: Client, credentials: Credentials, tokens: TokenSource) -> None:
    """Raises CredentialsRefused, ServerUnsuitable, SecretMissing, ServerBusy, ConnectionLost, ServerViolation.

    For OAuth also what fetching a token raises, and SessionExpired.
    """
    try:
        match credentials.mechanism:
            case Mechanism.PASSWORD:
                _with_password(client, credentials)
            case Mechanism.XOAUTH2:
                _with_token(client, credentials, "XOAUTH2", tokens)
            case Mechanism.OAUTH_BEARER:
                _with_token(client, credentials, "OAUTHBEARER", tokens)
    except (imaplib.IMAP4.error, binascii.Error, UnicodeError):
        # Their texts may hold what was sent, so they are not even kept as the cause.
        raise violation("answered the login in a way that cannot be read") from None


# --- with a password -------------------------------------------------------------------------------------------------


def _with_password(client: Client, credentials: Credentials) -> None:
    if not credentials.password:
        raise SecretMissing(
            "the Secret holds no password; put one under the key password", reason=Reason.SECRET_KEY_MISSING
        )
    user, password = credentials.username, credentials.password.reveal()
    if any(char in "\0\r\n" for char in user + password):
        raise SecretMissing(
            "the user name or the password in the Secret holds a line break or a NUL; "
            "write it without (echo -n instead of echo)",
            reason=Reason.SECRET_KEY_MISSING,
        )
    offered = client.wire.capabilities
    can_login = "LOGINDISABLED" not in offered and (user + password).isascii() and (user + password).isprintable()
    if "AUTH=PLAIN" in offered:
        refusal = _authenticate(client, "PLAIN", _Once(f"\0{user}\0{password}".encode()))
        if refusal is None:
            return
        if not can_login or not refusal.is_of_mechanism:
            raise refusal.error
    elif not can_login:
        raise _no_way_in(client)
    _login(client, user, password)


def _login(client: Client, user: str, password: str) -> None:
    wire = client.wire
    with suppress(imaplib.IMAP4.error):  # BAD; the answer is told by what was heard
        wire.login(user, password)
    if wire.state != "AUTH":
        raise wire.faults.login_refused(_answer(client)) from None


def _no_way_in(client: Client) -> ServerUnsuitable:
    if "LOGINDISABLED" not in client.wire.capabilities:
        return ServerUnsuitable(
            "the user name or the password has characters outside printable ASCII, and the server offers no AUTH=PLAIN "
            "to send them; change the password"
        )
    if client.wire.stream.is_encrypted:
        return ServerUnsuitable(
            "the server lets nobody in with a password (LOGINDISABLED); use XOAuth2 or OAuthBearer in "
            "spec.auth.mechanism"
        )
    return ServerUnsuitable(
        "the server lets nobody in without TLS (LOGINDISABLED); set spec.tls.mode to Implicit or StartTLS"
    )


# --- with a token ----------------------------------------------------------------------------------------------------


def _with_token(client: Client, credentials: Credentials, mechanism: str, tokens: TokenSource) -> None:
    """One attempt, and a second one with a new token when the server refused one that was believed to be valid."""
    if f"AUTH={mechanism}" not in client.wire.capabilities:
        client.wire.ask_capabilities()  # they may be those of a short greeting
    if f"AUTH={mechanism}" not in client.wire.capabilities:
        raise ServerUnsuitable(f"the server does not offer AUTH={mechanism}; choose another way in spec.auth.mechanism")
    refusal = _present(client, credentials, mechanism, tokens.token())
    if refusal is not None and isinstance(refusal.error, CredentialsRefused):
        another = tokens.renewed()
        if another is not None:
            refusal = _present(client, credentials, mechanism, another)
    if refusal is not None:
        raise refusal.error


def _present(client: Client, credentials: Credentials, mechanism: str, token: Secret) -> "_Refusal | None":
    client.wire.faults.learn(token)
    bearer = token.reveal()
    if mechanism == "XOAUTH2":
        first, last = f"user={credentials.username}\1auth=Bearer {bearer}\1\1", b""
    else:
        who = credentials.username.replace("=", "=3D").replace(",", "=2C")
        first, last = f"n,a={who},\1auth=Bearer {bearer}\1\1", b"\1"  # RFC 7628 §3.1, §3.2.3
    return _authenticate(client, mechanism, _Once(first.encode(), last))


class _Once:
    """Answers the first challenge with the credentials and a further one, which tells of an error, with `last`."""

    def __init__(self, first: bytes, last: bytes | None = None) -> None:
        self._first = first
        self._last = last
        self.is_sent = False
        self.error_status: str | None = None

    def __call__(self, challenge: bytes) -> bytes | None:
        if not self.is_sent:
            self.is_sent = True
            return self._first
        with suppress(ValueError, RecursionError):  # RFC 7628 §3.2.2: {"status":"invalid_token",…}; XOAUTH2 gives "401"
            document = json.loads(challenge[:4096])
            if isinstance(document, dict):
                self.error_status = str(document.get("status", ""))[:40]
        return self._last


class _Refusal:
    def __init__(self, error: ArchivmailError, *, is_of_mechanism: bool) -> None:
        self.error = error
        self.is_of_mechanism = is_of_mechanism


def _authenticate(client: Client, mechanism: str, answers: _Once) -> _Refusal | None:
    """AUTHENTICATE (RFC 9051 §6.2.2); None when it succeeded."""
    try:
        client.sasl_login(mechanism, answers)
    except imaplib.IMAP4.error:
        pass  # NO or BAD; the answer is told by what was heard
    else:
        return None
    answer = _answer(client)
    if answers.error_status and not answer.text:
        answer = Status(answer.word, answer.code, answer.argument, f"status {answers.error_status}")
    has_passed_on = read(answer.code, answer.text).meaning not in {Meaning.UNKNOWN, Meaning.CREDENTIALS}
    is_of_mechanism = not has_passed_on and (not answers.is_sent or refuses_mechanism(answer.code, answer.text))
    error = client.wire.faults.login_refused(answer)
    if is_of_mechanism:
        said = client.wire.faults.said(answer)
        error = ServerUnsuitable(f"the server offers AUTH={mechanism} and refuses it: {said}; ask who runs the server")
    return _Refusal(error, is_of_mechanism=is_of_mechanism)


def _answer(client: Client) -> Status:
    answer = client.wire.tagged
    if answer is None or answer.is_ok:  # imaplib stumbled over something else
        raise violation("answered the login in a way that cannot be read")
    return answer
