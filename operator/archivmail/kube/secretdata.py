"""What the Secrets of an account mean: pure functions from their data to credentials and an endpoint.

Keys, as in Secrets of the type kubernetes.io/basic-auth: `username`, `password`. OAuth: `username` and `accessToken`,
or `username`, `clientId`, `clientSecret` (optional) and `refreshToken`, or `username`, `clientId` and `clientSecret`
where the client itself is let in (an application of Microsoft 365). What can be fetched is fetched: an `accessToken`
beside it is not looked at.

`echo alice | base64` leaves a line break at the end, the commonest mistake with Secrets. One such line break is taken
from `username` and `clientId`, which never have one. Passwords and tokens are taken exactly as they are, because what
we would cut might be meant; a line break or NUL in them cannot be sent (RFC 9051 §4.3, RFC 4616 §2) and is refused with
the way to mend it, instead of a login that fails for no visible reason.

Sentences name the Secret and the key, never a value.
"""

from collections.abc import Mapping
from typing import Final

from archivmail.model.account import AccountSpec, Credentials, Endpoint, Mechanism, Secret, TlsMode
from archivmail.model.errors import SecretMissing
from archivmail.model.reasons import Reason

USERNAME: Final = "username"
PASSWORD: Final = "password"  # noqa: S105 - the name of a key
ACCESS_TOKEN: Final = "accessToken"  # noqa: S105 - the name of a key
CLIENT_ID: Final = "clientId"
CLIENT_SECRET: Final = "clientSecret"  # noqa: S105 - the name of a key
REFRESH_TOKEN: Final = "refreshToken"  # noqa: S105 - the name of a key
UNSENDABLE: Final = frozenset("\0\r\n")

Data = Mapping[str, bytes]


def credentials(spec: AccountSpec, data: Data) -> Credentials:
    """Who logs in, from the data of `spec.auth.secretRef`. Raises SecretMissing (SecretKeyMissing) naming the key."""
    name = spec.secret_name
    username = _identifier(name, data, USERNAME)
    if spec.mechanism is Mechanism.PASSWORD:
        return Credentials(mechanism=spec.mechanism, username=username, password=_secret(name, data, PASSWORD))
    access_token = _secret(name, data, ACCESS_TOKEN) if data.get(ACCESS_TOKEN) else None
    # RFC 6749 §6; without a refresh token the client itself may be what is let in (§4.4).
    grant = next((key for key in (REFRESH_TOKEN, CLIENT_SECRET) if data.get(key)), None)
    if grant is None or spec.token_url is None:
        if access_token is None:
            raise _no_token(name, grant)
        return Credentials(mechanism=spec.mechanism, username=username, access_token=access_token)
    return Credentials(
        mechanism=spec.mechanism,
        username=username,
        access_token=access_token,
        client_id=_identifier(name, data, CLIENT_ID),
        client_secret=_secret(name, data, CLIENT_SECRET) if data.get(CLIENT_SECRET) else None,
        refresh_token=_secret(name, data, REFRESH_TOKEN) if data.get(REFRESH_TOKEN) else None,
        token_url=spec.token_url,
        scopes=spec.scopes,
    )


def _no_token(name: str, grant: str | None) -> SecretMissing:
    if grant is None:
        return _missing(
            f"the Secret {name} has neither {ACCESS_TOKEN} nor {REFRESH_TOKEN}; add {ACCESS_TOKEN}, or {CLIENT_ID}"
            f" and {REFRESH_TOKEN}"
        )
    return _missing(
        f"the Secret {name} has a {grant} but nothing says where to use it; set"
        " spec.auth.oauth2.tokenURL to the provider's token endpoint"
    )


def endpoint(spec: AccountSpec, ca: Data | None) -> Endpoint:
    """Where to connect; `ca` is the data of `spec.tls.caSecretRef`, None when there is no such Secret.

    Raises SecretMissing when the spec names a Secret that is not there, or whose key holds no certificate.
    """
    ca_pem = None
    # Without TLS nothing is verified, so a missing CA is no reason to refuse.
    if spec.ca_secret_name is not None and spec.tls is not TlsMode.DISABLED:
        if ca is None:
            raise SecretMissing(
                f"the Secret {spec.ca_secret_name} of spec.tls.caSecretRef is not there; create it in the namespace of"
                " the ImapAccount"
            )
        ca_pem = _text(spec.ca_secret_name, ca, spec.ca_secret_key)
        if "-----BEGIN CERTIFICATE-----" not in ca_pem:
            raise _missing(
                f"the key {spec.ca_secret_key} of the Secret {spec.ca_secret_name} holds no certificate in PEM form;"
                " put the certificate of the authority there, from BEGIN CERTIFICATE to END CERTIFICATE"
            )
    return Endpoint(host=spec.host, port=spec.port, tls=spec.tls, server_name=spec.server_name, ca_pem=ca_pem)


def _identifier(name: str, data: Data, key: str) -> str:
    """A user name or client id: one line break at the end is not part of it."""
    text = _text(name, data, key).removesuffix("\n").removesuffix("\r")
    if not text:
        raise _missing(f"the key {key} of the Secret {name} is empty; put a value there")
    return _sendable(name, key, text)


def _secret(name: str, data: Data, key: str) -> Secret:
    return Secret(_sendable(name, key, _text(name, data, key)))


def _sendable(name: str, key: str, text: str) -> str:
    if not UNSENDABLE.isdisjoint(text):
        is_at_end = UNSENDABLE.isdisjoint(text.rstrip("\r\n"))
        what = "ends with a line break" if is_at_end else "has a line break or NUL in it"
        raise _missing(
            f"the key {key} of the Secret {name} {what}; write it anew without one, with stringData or with"
            " `printf %s VALUE | base64` instead of echo"
        )
    return text


def _text(name: str, data: Data, key: str) -> str:
    octets = data.get(key)
    if octets is None:
        raise _missing(f"the Secret {name} has no key {key}; add it")
    if not octets:
        raise _missing(f"the key {key} of the Secret {name} is empty; put a value there")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        # `from None`: the original error shows the octets.
        raise _missing(f"the key {key} of the Secret {name} is not UTF-8 text; write it anew as UTF-8") from None


def _missing(sentence: str) -> SecretMissing:
    return SecretMissing(sentence, reason=Reason.SECRET_KEY_MISSING)
