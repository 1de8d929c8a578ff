"""`.spec` of an ImapAccount as pydantic models (design §3.1): fields, defaults, bounds, rules and their sentences.

The CRD, the reference in the docs and the reading of manifests are all made from these models. They are strict, as the
API server is: a number in quotes is no number. Knows no other field of the object and no Kubernetes client.
"""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from archivmail.kube.durations import MAX_CHARACTERS, span_rule
from archivmail.kube.rules import DNS_SUBDOMAIN, Rule, host_form, in_range, matches, one_of
from archivmail.model.account import Mechanism, TlsMode

MAX_HOST: Final = 253  # RFC 1035 §2.3.4 as written without the final dot; also the bound of Kubernetes names
MAX_URL: Final = 2048
MAX_SCOPES: Final = 50
MAX_SCOPE: Final = 256
MAX_PATTERNS: Final = 200
MAX_PATTERN: Final = 512

ATOMIC: Final[dict[str, Any]] = {"x-kubernetes-list-type": "atomic"}

SECRET_NAME = matches(
    DNS_SUBDOMAIN,
    "this must be the name of a Secret in the namespace of the ImapAccount: lower-case letters, digits, '-' and '.'",
)


class Part(BaseModel):
    """An object within the resource."""

    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)


class SecretReference(Part):
    """Names a Secret in the same namespace."""

    name: Annotated[str, Field(max_length=MAX_HOST), SECRET_NAME] = Field(
        description="Name of the Secret. It is looked for in the namespace of the ImapAccount, nowhere else."
    )


class SecretKeyReference(SecretReference):
    """Names one key of a Secret in the same namespace."""

    key: Annotated[
        str,
        Field(max_length=MAX_HOST),
        matches(r"[-._A-Za-z0-9]+", "this must be a key of the Secret: letters, digits, '-', '_' and '.'"),
    ] = Field(default="ca.crt", description="Key of the Secret that holds the certificates in PEM form.")


class Tls(Part):
    """How the connection is encrypted and whose certificate is accepted."""

    mode: Annotated[
        str,
        Field(max_length=32),
        one_of(tuple(TlsMode), "the TLS mode must be Implicit (port 993), StartTLS (port 143) or Disabled"),
    ] = Field(
        default=TlsMode.IMPLICIT.value,
        description="Implicit: TLS from the first octet, as on port 993. StartTLS: the connection begins in the clear "
        "and is encrypted before the login, as on port 143; a server that does not offer it is refused. Disabled: "
        "no TLS; the password goes over the network in the clear, so this is for loopback and tests.",
    )
    server_name: Annotated[
        str,
        Field(max_length=MAX_HOST),
        host_form("the server name must be a host name or an IP address; leave it empty to use host", or_empty=True),
    ] = Field(
        default="",
        description="Name that the server's certificate must carry, when it is another one than host. Empty: host.",
    )
    ca_secret_ref: SecretKeyReference | None = Field(
        default=None,
        description="Certificates to trust besides those of the system, for a server with a certificate of a private "
        "authority. Verification cannot be turned off.",
    )


class OAuth2(Part):
    """Where access tokens come from."""

    token_url: Annotated[
        str,
        Field(max_length=MAX_URL),
        matches(
            r"(https://([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])|http://(localhost|127\.0\.0\.1|\[::1\]))"
            r'(:[0-9]{1,5})?([/?][!-"$-~]*)?',
            "the token URL must begin with https:// (http:// is for localhost alone) and have neither user, spaces nor"
            " fragment, such as https://login.example.org/oauth2/token",
        ),
    ] = Field(
        alias="tokenURL",
        description="Token endpoint of the provider (RFC 6749, section 3.2), asked for a new access token with the "
        "refresh token of the Secret, or with clientId and clientSecret where it holds no refresh token. The "
        "certificates of tls.caSecretRef are trusted here too.",
    )
    scopes: Annotated[
        list[
            Annotated[
                str,
                Field(max_length=MAX_SCOPE),
                # RFC 6749 §3.3: scope-token
                matches(r"[!#-\[\]-~]+", "a scope must be one word without spaces; write several as a list"),
            ]
        ],
        Field(max_length=MAX_SCOPES),
    ] = Field(default=[], description="Scopes to ask for. Empty: those of the refresh token.", json_schema_extra=ATOMIC)
    update_secret: bool = Field(
        default=False,
        description="True: when the provider gives a new refresh token in place of the one that was used, write it to "
        "the key refreshToken of the Secret. The operator needs leave to patch Secrets for that (chart value "
        "rbac.updateSecrets). False: it is used from memory until the operator restarts, and an Event says so.",
    )


OAUTH2_FOR_OAUTH = Rule(
    cel="!has(self.oauth2) || self.mechanism != 'Password'",
    sentence="oauth2 has no use with the mechanism Password; set mechanism to XOAuth2 or OAuthBearer, or remove oauth2",
    holds=lambda auth: auth.oauth2 is None or auth.mechanism != Mechanism.PASSWORD.value,
    field="mechanism",
)


class Auth(Part):
    """Who logs in, and how."""

    mechanism: Annotated[
        str,
        Field(max_length=32),
        one_of(tuple(Mechanism), "the mechanism must be Password, XOAuth2 or OAuthBearer"),
    ] = Field(
        default=Mechanism.PASSWORD.value,
        description="Password: user name and password, by the strongest way the server offers. XOAuth2, OAuthBearer: "
        "an access token; XOAuth2 for Google and Microsoft, OAuthBearer (RFC 7628) for others.",
    )
    secret_ref: SecretReference = Field(
        description="The Secret with the credentials. Password: keys username and password, as in the type "
        "kubernetes.io/basic-auth. OAuth: username and accessToken, or username, clientId, clientSecret (optional) and "
        "refreshToken, or username, clientId and clientSecret for an application that is let in by itself. It is read "
        "again at every run, so a new password needs no restart."
    )
    oauth2: OAuth2 | None = Field(
        default=None, description="Where to get access tokens; not needed with an accessToken in the Secret."
    )


FolderPattern = Annotated[
    str,
    Field(max_length=MAX_PATTERN),
    matches(
        r"[^\\\x00-\x1f\x7f][^\x00-\x1f\x7f]*|\\[A-Za-z]+",
        "a folder must be a name, a pattern (* for anything, % for anything within one level) or a special use such as"
        r" \Sent; it cannot be empty",
    ),
]


class Folders(Part):
    """Which folders are archived."""

    include: Annotated[list[FolderPattern], Field(max_length=MAX_PATTERNS)] = Field(
        default=[],
        description="Folders to archive. Empty: all. An entry is a name, a pattern (* stands for anything, % for "
        r"anything within one level) or a special use such as \Sent. Names are matched as the server writes them, "
        "decoded, with their delimiter; a plain name matches that folder alone, INBOX in any case.",
        json_schema_extra=ATOMIC,
    )
    exclude: Annotated[list[FolderPattern], Field(max_length=MAX_PATTERNS)] = Field(
        default=[],
        description="Folders to leave out, written as in include. Wins over include.",
        json_schema_extra=ATOMIC,
    )


class Retention(Part):
    """How long mail is kept."""

    keep_for: (
        Annotated[
            str,
            Field(max_length=MAX_CHARACTERS),
            span_rule(
                "24h",
                "876000h",
                "keepFor must be from 24h to 876000h (100 years); write years in hours, 8760h each, or leave it out to "
                "keep mail for ever",
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="A message is removed from the archive when this time has passed since the date at which the "
        "server received it (INTERNALDATE), in every folder where it was seen. From 24h to 876000h; a year is 8760h, "
        "so ten are 87600h. A message without a readable date is kept. Absent: for ever.",
    )


class Spec(Part):
    """The mailbox to archive and how."""

    host: Annotated[
        str,
        Field(max_length=MAX_HOST),
        host_form(
            "the host must be a host name or an IP address without scheme, port or path, such as imap.example.org; an"
            " international name is written in its xn-- form"
        ),
    ] = Field(
        description="Host name or IP address of the IMAP server. Another host, port or user is another mailbox: "
        "everything is compared anew, nothing is stored twice."
    )
    port: Annotated[int, in_range(1, 65535, "the port must be a number from 1 to 65535")] | None = Field(
        default=None, description="Port of the IMAP server. Absent: 993, or 143 when tls.mode is StartTLS or Disabled."
    )
    tls: Tls = Field(default=Tls(), description="How the connection is encrypted and whose certificate is accepted.")
    auth: Annotated[Auth, OAUTH2_FOR_OAUTH] = Field(description="Who logs in, and how.")
    interval: Annotated[
        str,
        Field(max_length=MAX_CHARACTERS),
        span_rule(
            "30s",
            "168h",
            "the interval must be 0s (only on request) or from 30s to 168h; write it like 10m or 1h30m",
            or_zero=True,
        ),
    ] = Field(
        default="10m",
        description="Time from the end of one run to the start of the next, about: from 30s to 168h, such as 10m. "
        "0s: no run but on request (annotation archivmail.io/requestedAt).",
    )
    timeout: Annotated[
        str,
        Field(max_length=MAX_CHARACTERS),
        span_rule("10s", "24h", "the timeout must be from 10s to 24h; write it like 30m or 1h30m"),
    ] = Field(
        default="30m",
        description="Longest time of one run, from 10s to 24h. What it archived until then stays archived, and the "
        "next run goes on from there.",
    )
    suspend: bool = Field(
        default=False, description="True: no runs; a run that is going on is ended. What is archived stays."
    )
    folders: Folders = Field(default=Folders(), description="Which folders are archived. Absent: all.")
    retention: Retention = Field(
        default=Retention(), description="How long mail is kept in the archive. Absent: for ever."
    )
    hold: bool = Field(
        default=False,
        description="True: nothing of this account is removed from the archive, neither by retention nor by archivmail "
        "erase, until this is false again.",
    )


SPEC_RULES: Final = (
    Rule(
        cel="!has(self.port) || self.port != 993 || self.tls.mode == 'Implicit'",
        sentence="port 993 expects TLS from the first octet; set tls.mode to Implicit, or use port 143",
        holds=lambda spec: spec.port != 993 or spec.tls.mode == TlsMode.IMPLICIT.value,
        field="port",
    ),
    Rule(
        cel="!has(self.port) || self.port != 143 || self.tls.mode != 'Implicit'",
        sentence="port 143 begins without TLS; set tls.mode to StartTLS, or use port 993",
        holds=lambda spec: spec.port != 143 or spec.tls.mode != TlsMode.IMPLICIT.value,
        field="port",
    ),
)
CheckedSpec = Annotated[Spec, *SPEC_RULES]
