"""What is asked of an OAuth token endpoint, and what its answers mean. Knows no connection and keeps nothing.

The grants are those of RFC 6749: a refresh token (§6), or the client's own credentials (§4.4) where the Secret holds no
refresh token, as for an application of Microsoft 365. oauthlib writes the requests and reads the answers; it does no
IO, so that waiting, sizes and redirects stay in our hands (`tokenendpoint.py`).

No text made here holds a token, a client secret or words of the endpoint but its error code.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from archivmail.decide import tokenreplies
from archivmail.decide.tokenreplies import Answer
from archivmail.imap.tokenendpoint import SETTING, Reply, parsed, unreadable
from archivmail.model.account import Credentials, Secret
from archivmail.model.errors import ArchivmailError, CredentialsRefused, ServerBusy, SpecInvalid

MAX_TOKEN = 64 * 1024
MAX_LIFETIME_S = 1_000_000_000
"""Thirty years; what is more is no number of seconds."""
_ERROR_CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Granted:
    """A token response. `lifetime_s` is what the endpoint says, None where it says nothing of use."""

    token: Secret
    lifetime_s: float | None
    refresh_token: Secret | None


def can_fetch(credentials: Credentials) -> bool:
    """Is there enough in the Secret to fetch a token, so that one in the Secret itself is not looked at?"""
    has_grant = credentials.refresh_token is not None or credentials.client_secret is not None
    return credentials.token_url is not None and credentials.client_id is not None and has_grant


def asked(credentials: Credentials) -> str:
    """The form that asks for a token."""
    # Only here: most accounts do without, and it takes 60 ms to load.
    from oauthlib.oauth2 import BackendApplicationClient, WebApplicationClient  # noqa: PLC0415

    scope = list(credentials.scopes) or None
    secret = credentials.client_secret.reveal() if credentials.client_secret else None
    if credentials.refresh_token is None:
        client = BackendApplicationClient(credentials.client_id)
        return str(client.prepare_request_body(scope=scope, include_client_id=True, client_secret=secret))
    return str(
        WebApplicationClient(credentials.client_id).prepare_refresh_body(
            refresh_token=credentials.refresh_token.reveal(),
            scope=scope,
            client_id=credentials.client_id,
            client_secret=secret,
        )
    )


def granted(reply: Reply, credentials: Credentials) -> Granted:
    """The token response. Any other answer raises CredentialsRefused, SpecInvalid, ServerBusy or ServerViolation."""
    from oauthlib.oauth2 import OAuth2Error, WebApplicationClient  # noqa: PLC0415

    code: str | None = None
    try:
        found = WebApplicationClient(credentials.client_id).parse_request_body_response(reply.body.decode("utf-8"))
    except OAuth2Error as error:
        code = None if error.error == "missing_token" else _shown_code(error.error, credentials)
    except (ValueError, TypeError, AttributeError, KeyError, ArithmeticError, RecursionError, Warning):
        pass  # no token response at all: numbers and nesting without measure among them
    else:
        if reply.status < 300:
            return _usable(found, _host(credentials))
    # `from None`: what the library says repeats the endpoint's words.
    raise _refusal(reply, code, _host(credentials)) from None


def _refusal(reply: Reply, code: str | None, host: str) -> ArchivmailError:
    reading = tokenreplies.read(reply.status, code, reply.retry_after, datetime.now(UTC))
    said = f"{reply.status} {code}" if code else str(reply.status)
    match reading.answer:
        case Answer.REFUSED:
            return CredentialsRefused(
                f"{host} gives no access token for what the Secret holds ({said}); sign in again for a new"
                " refreshToken, or correct clientId and clientSecret"
            )
        case Answer.SCOPE:
            return SpecInvalid(f"{host} does not grant the scopes asked for ({said}); correct spec.auth.oauth2.scopes")
        case Answer.ADDRESS:
            return SpecInvalid(f"{host} is not asked in the way it wants ({said}); correct {SETTING}")
        case Answer.BUSY:
            return ServerBusy(
                f"{host} gives no access token at the moment ({said}); it is tried again by itself",
                retry_after=reading.retry_after,
            )
        case Answer.UNREADABLE:
            return unreadable(host, f"gives an answer that holds no token ({said})")


def _shown_code(code: object, credentials: Credentials) -> str:
    """The error code if it is one; an endpoint may put anything there."""
    held = (credentials.refresh_token, credentials.client_secret, credentials.access_token)
    text = str(code)
    is_harmless = _ERROR_CODE.fullmatch(text) is not None and not any(
        each is not None and each.reveal() in text for each in held
    )
    return text if is_harmless else "unknown_error"


def _usable(found: dict[str, object], host: str) -> Granted:
    """Raises ServerViolation when the token cannot be sent."""
    token, lifetime, successor = found.get("access_token"), found.get("expires_in"), found.get("refresh_token")
    if not isinstance(token, str) or not _is_sendable(token):
        raise unreadable(host, "gives a token that cannot be sent")
    return Granted(
        token=Secret(token),
        lifetime_s=lifetime if isinstance(lifetime, int | float) and 0 < lifetime <= MAX_LIFETIME_S else None,
        refresh_token=Secret(successor) if isinstance(successor, str) and _is_sendable(successor) else None,
    )


def _is_sendable(token: str) -> bool:
    """RFC 6750 §2.1 and what providers really give: printable ASCII without blanks."""
    return 0 < len(token) <= MAX_TOKEN and token.isascii() and token.isprintable() and " " not in token


def _host(credentials: Credentials) -> str:
    return parsed(credentials.token_url or "").hostname or ""
