"""An account as the user declared it, and what is needed to log in."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NewType
from urllib.parse import quote, unquote

from archivmail.model.retention import Policy

ObjectUid = NewType("ObjectUid", str)
"""`metadata.uid` of a Kubernetes object; never an IMAP UID."""


@dataclass(frozen=True, slots=True, order=True)
class AccountRef:
    """Names one account: the namespace and name of its ImapAccount."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class TlsMode(StrEnum):
    IMPLICIT = "Implicit"
    START_TLS = "StartTLS"
    DISABLED = "Disabled"


class Mechanism(StrEnum):
    PASSWORD = "Password"  # noqa: S105 - the name of a mechanism
    XOAUTH2 = "XOAuth2"
    OAUTH_BEARER = "OAuthBearer"


class Secret:
    """A string that never shows itself: `repr`, `str` and format give a placeholder."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the server is and how TLS is used.

    `ca_pem` are certificates to trust besides the system's; `server_name` replaces `host` in their check.
    """

    host: str
    port: int
    tls: TlsMode = TlsMode.IMPLICIT
    server_name: str | None = None
    ca_pem: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the Secret holds. Which fields are set depends on the mechanism."""

    mechanism: Mechanism
    username: str = field(repr=False)
    password: Secret | None = None
    access_token: Secret | None = None
    client_id: str | None = field(default=None, repr=False)
    client_secret: Secret | None = None
    refresh_token: Secret | None = None
    token_url: str | None = None
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rotation:
    """The provider gave a new refresh token in place of the one that was used (RFC 6749 §6)."""

    held: Secret
    """What the Secret held when the run began."""
    used: Secret
    given: Secret


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose UIDs these are: UIDs of another host, port or user have nothing in common with them."""

    host: str
    port: int
    user: str

    def __str__(self) -> str:
        """`imap://user@host:port` with the user percent-encoded (RFC 5092 §3)."""
        return _url_of(self)

    @classmethod
    def parse(cls, text: str) -> "Origin":
        """Inverse of `str()`. Raises ValueError when the text has another form."""
        scheme, _, rest = text.partition("://")
        user, at, address = rest.rpartition("@")
        host, colon, port = address.rpartition(":")
        if scheme != "imap" or not at or not colon:
            raise ValueError(f"not an origin: {text!r}")
        return cls(host=host, port=int(port), user=unquote(user))


@lru_cache(maxsize=64)  # asked for every message of an account
def _url_of(origin: Origin) -> str:
    return f"imap://{quote(origin.user, safe='')}@{origin.host.lower()}:{origin.port}"


@dataclass(frozen=True, slots=True)
class FolderRules:
    """Which folders are archived. Empty `include` means all; `exclude` wins."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """`.spec` of an ImapAccount with its defaults filled in. Holds no secret, only its Secret's name."""

    host: str
    port: int
    secret_name: str
    tls: TlsMode = TlsMode.IMPLICIT
    server_name: str | None = None
    ca_secret_name: str | None = None
    ca_secret_key: str = "ca.crt"  # noqa: S105 - the name of a key
    mechanism: Mechanism = Mechanism.PASSWORD
    token_url: str | None = None
    scopes: tuple[str, ...] = ()
    update_secret: bool = False
    interval: timedelta = timedelta(minutes=10)
    timeout: timedelta = timedelta(minutes=30)
    suspend: bool = False
    rules: FolderRules = FolderRules()
    policy: Policy = Policy()  # noqa: RUF009 - frozen
