"""One table of specs: what is accepted, what is refused, at which field and with which sentence.

The reading of manifests and the API server are both held to it, so that their rules cannot drift apart.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.kube.resource.documents import ABSENT, MINIMAL_SPEC, merged

HOST = (
    "the host must be a host name or an IP address without scheme, port or path, such as imap.example.org; an"
    " international name is written in its xn-- form"
)
SERVER_NAME = "the server name must be a host name or an IP address; leave it empty to use host"
PORT = "the port must be a number from 1 to 65535"
PORT_993 = "port 993 expects TLS from the first octet; set tls.mode to Implicit, or use port 143"
PORT_143 = "port 143 begins without TLS; set tls.mode to StartTLS, or use port 993"
MODE = "the TLS mode must be Implicit (port 993), StartTLS (port 143) or Disabled"
MECHANISM = "the mechanism must be Password, XOAuth2 or OAuthBearer"
OAUTH2 = "oauth2 has no use with the mechanism Password; set mechanism to XOAuth2 or OAuthBearer, or remove oauth2"
SECRET = (
    "this must be the name of a Secret in the namespace of the ImapAccount: lower-case letters, digits, '-' and '.'"
)
KEY = "this must be a key of the Secret: letters, digits, '-', '_' and '.'"
TOKEN_URL = (
    "the token URL must begin with https:// (http:// is for localhost alone) and have neither user, spaces nor"
    " fragment, such as https://login.example.org/oauth2/token"
)
SCOPE = "a scope must be one word without spaces; write several as a list"
INTERVAL = "the interval must be 0s (only on request) or from 30s to 168h; write it like 10m or 1h30m"
TIMEOUT = "the timeout must be from 10s to 24h; write it like 30m or 1h30m"
KEEP_FOR = (
    "keepFor must be from 24h to 876000h (100 years); write years in hours, 8760h each, or leave it out to keep mail"
    " for ever"
)
FOLDER = (
    "a folder must be a name, a pattern (* for anything, % for anything within one level) or a special use such as"
    r" \Sent; it cannot be empty"
)


@dataclass(frozen=True)
class Case:
    """A minimal spec with `change` put in. `path` and `sentence` are of the refusal; accepted when absent."""

    change: dict[str, Any]
    path: str = ""
    sentence: str = ""
    words_of_api_server: str = ""
    """What the API server says where the schema itself refuses, before any rule of ours."""

    @property
    def spec(self) -> dict[str, Any]:
        return merged(MINIMAL_SPEC, self.change)


def accepted(case_id: str, **change: Any) -> Any:
    return pytest.param(Case(change), id=case_id)


def refused(case_id: str, path: str, sentence: str, **change: Any) -> Any:
    return pytest.param(Case(change, path, sentence), id=case_id)


def oauth(**oauth2: Any) -> dict[str, Any]:
    return {"mechanism": "XOAuth2", "oauth2": {"tokenURL": "https://login.example.org/token", **oauth2}}


ACCEPTED = [
    accepted("minimal"),
    accepted("host-of-one-label", host="dovecot"),
    accepted("host-in-capitals", host="IMAP.Example.ORG"),
    accepted("host-with-underscore", host="mail_1.compose"),
    accepted("host-xn", host="imap.xn--r8jz45g.jp"),
    accepted("host-with-label-of-63", host="a" * 63 + ".org"),
    accepted("host-of-253", host=".".join(["a" * 61] * 4) + ".abcde"),
    accepted("host-ipv4", host="127.0.0.1"),
    accepted("host-ipv6", host="2001:db8::1"),
    accepted("port-1", port=1),
    accepted("port-65535", port=65535),
    accepted("port-993-implicit", port=993),
    accepted("port-143-starttls", port=143, tls={"mode": "StartTLS"}),
    accepted("port-143-disabled", port=143, tls={"mode": "Disabled"}),
    accepted("starttls-without-port", tls={"mode": "StartTLS"}),
    accepted("tls-of-defaults", tls={}),
    accepted("server-name", tls={"serverName": "mail.example.org"}),
    accepted("server-name-empty", tls={"serverName": ""}),
    accepted("server-name-address", tls={"serverName": "::1"}),
    accepted("ca-secret", tls={"caSecretRef": {"name": "ca"}}),
    accepted("ca-secret-with-key", tls={"caSecretRef": {"name": "ca.example.org", "key": "Root_CA.pem"}}),
    accepted("oauth-with-access-token", auth={"mechanism": "OAuthBearer"}),
    accepted("oauth-with-refresh-token", auth=oauth(scopes=["https://mail.example.org/", "offline_access"])),
    accepted("oauth-that-writes-the-secret", auth=oauth(updateSecret=True)),
    accepted("token-url-http-to-localhost", auth=oauth(tokenURL="http://localhost:8080/token")),
    accepted("token-url-http-to-ipv6-loopback", auth=oauth(tokenURL="http://[::1]/")),
    accepted("token-url-with-port-and-query", auth=oauth(tokenURL="https://[2001:db8::1]:8443/token?x=1&y=%20")),
    accepted("interval-0s", interval="0s"),
    accepted("interval-0", interval="0"),
    accepted("interval-0h0m0s", interval="0h0m0s"),
    accepted("interval-30s", interval="30s"),
    accepted("interval-29.5s-and-500ms", interval="29.5s500ms"),
    accepted("interval-30000ms", interval="30000ms"),
    accepted("interval-168h", interval="168h"),
    accepted("interval-604800s", interval="604800s"),
    accepted("interval-1.5h", interval="1.5h"),
    accepted("interval-1h30m", interval="1h30m"),
    accepted("timeout-10s", timeout="10s"),
    accepted("timeout-24h", timeout="24h"),
    accepted("timeout-23h59m60s", timeout="23h59m60s"),
    accepted("suspended", suspend=True),
    accepted("folders-of-defaults", folders={}),
    accepted("folders", folders={"include": ["INBOX", "旅行/*", "Lists/%", "\\Sent"], "exclude": ["Trash", "\\Junk"]}),
    accepted("folder-of-a-space", folders={"include": [" "]}),
    accepted("folder-with-backslash-within", folders={"include": ["a\\b"]}),
    accepted("folder-of-512", folders={"exclude": ["é" * 512]}),
    accepted("retention-of-defaults", retention={}),
    accepted("keep-for-a-day", retention={"keepFor": "24h"}),
    accepted("keep-for-ten-years", retention={"keepFor": "87600h"}),
    accepted("keep-for-a-hundred-years", retention={"keepFor": "876000h"}),
    accepted("keep-for-1440m", retention={"keepFor": "1440m"}),
    accepted("hold", hold=True, retention={"keepFor": "8760h"}),
    accepted("200-folders", folders={"exclude": [f"Folder {number}" for number in range(200)]}),
]

REFUSED = [
    refused("host-empty", "host", HOST, host=""),
    refused("host-with-scheme", "host", HOST, host="imaps://imap.example.org"),
    refused("host-with-port", "host", HOST, host="imap.example.org:993"),
    refused("host-with-path", "host", HOST, host="imap.example.org/"),
    refused("host-with-space", "host", HOST, host="imap.example.org "),
    refused("host-with-line-break", "host", HOST, host="imap.example.org\n"),
    refused("host-with-user", "host", HOST, host="alice@example.org"),
    refused("host-international", "host", HOST, host="imap.例え.jp"),
    refused("host-with-final-dot", "host", HOST, host="imap.example.org."),
    refused("host-with-empty-label", "host", HOST, host="imap..example.org"),
    refused("host-with-hyphen-first", "host", HOST, host="-imap.example.org"),
    refused("host-with-label-of-64", "host", HOST, host="a" * 64 + ".org"),
    refused("host-ipv4-of-3", "host", HOST, host="10.1.2"),
    refused("host-ipv4-beyond", "host", HOST, host="10.1.2.256"),
    refused("host-ipv4-octal", "host", HOST, host="010.1.2.3"),
    refused("host-ipv6-in-brackets", "host", HOST, host="[::1]"),
    refused("host-ipv6-with-zone", "host", HOST, host="fe80::1%eth0"),
    refused("host-ipv4-in-ipv6", "host", HOST, host="::ffff:10.1.2.3"),
    refused("port-0", "port", PORT, port=0),
    refused("port-65536", "port", PORT, port=65536),
    refused("port-negative", "port", PORT, port=-1),
    refused("port-beyond-int32", "port", PORT, port=2**40),
    refused("port-993-starttls", "port", PORT_993, port=993, tls={"mode": "StartTLS"}),
    refused("port-993-disabled", "port", PORT_993, port=993, tls={"mode": "Disabled"}),
    refused("port-143-implicit", "port", PORT_143, port=143),
    refused("mode-unknown", "tls.mode", MODE, tls={"mode": "SSL"}),
    refused("mode-in-small-letters", "tls.mode", MODE, tls={"mode": "implicit"}),
    refused("mode-empty", "tls.mode", MODE, tls={"mode": ""}),
    refused("server-name-with-wildcard", "tls.serverName", SERVER_NAME, tls={"serverName": "*.example.org"}),
    refused("server-name-of-a-space", "tls.serverName", SERVER_NAME, tls={"serverName": " "}),
    refused("ca-secret-in-capitals", "tls.caSecretRef.name", SECRET, tls={"caSecretRef": {"name": "CA"}}),
    refused("ca-secret-empty", "tls.caSecretRef.name", SECRET, tls={"caSecretRef": {"name": ""}}),
    refused("ca-key-with-slash", "tls.caSecretRef.key", KEY, tls={"caSecretRef": {"name": "ca", "key": "../ca"}}),
    refused("ca-key-empty", "tls.caSecretRef.key", KEY, tls={"caSecretRef": {"name": "ca", "key": ""}}),
    refused("mechanism-unknown", "auth.mechanism", MECHANISM, auth={"mechanism": "PLAIN"}),
    refused("secret-with-namespace", "auth.secretRef.name", SECRET, auth={"secretRef": {"name": "team-b/alice"}}),
    refused("secret-empty", "auth.secretRef.name", SECRET, auth={"secretRef": {"name": ""}}),
    refused("secret-with-line-break", "auth.secretRef.name", SECRET, auth={"secretRef": {"name": "alice\n"}}),
    refused("secret-with-hyphen-last", "auth.secretRef.name", SECRET, auth={"secretRef": {"name": "alice-"}}),
    refused("oauth2-with-password", "auth.mechanism", OAUTH2, auth=oauth() | {"mechanism": "Password"}),
    refused("token-url-http", "auth.oauth2.tokenURL", TOKEN_URL, auth=oauth(tokenURL="http://login.example.org/token")),
    refused(
        "token-url-http-to-a-name-like-localhost",
        "auth.oauth2.tokenURL",
        TOKEN_URL,
        auth=oauth(tokenURL="http://localhost.example.org/"),
    ),
    refused("token-url-with-user", "auth.oauth2.tokenURL", TOKEN_URL, auth=oauth(tokenURL="https://a:b@example.org/")),
    refused(
        "token-url-with-fragment", "auth.oauth2.tokenURL", TOKEN_URL, auth=oauth(tokenURL="https://example.org/#a")
    ),
    refused("token-url-with-space", "auth.oauth2.tokenURL", TOKEN_URL, auth=oauth(tokenURL="https://example.org/a b")),
    refused("token-url-empty", "auth.oauth2.tokenURL", TOKEN_URL, auth=oauth(tokenURL="")),
    refused("scopes-in-one", "auth.oauth2.scopes[0]", SCOPE, auth=oauth(scopes=["mail offline_access"])),
    refused("scope-empty", "auth.oauth2.scopes[1]", SCOPE, auth=oauth(scopes=["mail", ""])),
    refused("interval-29s", "interval", INTERVAL, interval="29s"),
    refused("interval-29.999999999s", "interval", INTERVAL, interval="29.999999999s"),
    refused("interval-168h1ms", "interval", INTERVAL, interval="168h1ms"),
    refused("interval-negative", "interval", INTERVAL, interval="-10m"),
    refused("interval-without-unit", "interval", INTERVAL, interval="600"),
    refused("interval-in-days", "interval", INTERVAL, interval="1d"),
    refused("interval-with-space", "interval", INTERVAL, interval="10 m"),
    refused("interval-with-line-break", "interval", INTERVAL, interval="10m\n"),
    refused("interval-empty", "interval", INTERVAL, interval=""),
    refused("interval-that-overflows", "interval", INTERVAL, interval="99999999999999h"),
    refused("timeout-0s", "timeout", TIMEOUT, timeout="0s"),
    refused("timeout-9s", "timeout", TIMEOUT, timeout="9s"),
    refused("timeout-24h1s", "timeout", TIMEOUT, timeout="24h1s"),
    refused("timeout-as-cron", "timeout", TIMEOUT, timeout="*/5 * * * *"),
    refused("keep-for-less-than-a-day", "retention.keepFor", KEEP_FOR, retention={"keepFor": "23h59m"}),
    refused("keep-for-more-than-a-century", "retention.keepFor", KEEP_FOR, retention={"keepFor": "876000h1s"}),
    refused("keep-for-0", "retention.keepFor", KEEP_FOR, retention={"keepFor": "0s"}),
    refused("keep-for-in-years", "retention.keepFor", KEEP_FOR, retention={"keepFor": "10y"}),
    refused("keep-for-in-days", "retention.keepFor", KEEP_FOR, retention={"keepFor": "3650d"}),
    refused("keep-for-empty", "retention.keepFor", KEEP_FOR, retention={"keepFor": ""}),
    refused("keep-for-that-overflows", "retention.keepFor", KEEP_FOR, retention={"keepFor": "9999999h"}),
    refused("folder-empty", "folders.include[1]", FOLDER, folders={"include": ["INBOX", ""]}),
    refused("folder-with-line-break", "folders.exclude[0]", FOLDER, folders={"exclude": ["Trash\n"]}),
    refused("special-use-of-two-words", "folders.exclude[0]", FOLDER, folders={"exclude": ["\\Sent Items"]}),
    refused("special-use-without-a-word", "folders.exclude[0]", FOLDER, folders={"exclude": ["\\"]}),
]


def by_schema(case_id: str, path: str, sentence: str, words: str, **change: Any) -> Any:
    return pytest.param(Case(change, path, sentence, words), id=case_id)


REFUSED_BY_SCHEMA = [
    by_schema("host-as-number", "host", "must be text", 'must be of type string: "integer"', host=5),
    by_schema("host-too-long", "host", "is too long; at most 253", "may not be more than 253 bytes", host="a" * 254),
    by_schema("port-as-text", "port", "must be a whole number", 'must be of type integer: "string"', port="993"),
    by_schema(
        "suspend-as-text", "suspend", "must be true or false", 'must be of type boolean: "string"', suspend="yes"
    ),
    by_schema("hold-as-text", "hold", "must be true or false", 'must be of type boolean: "string"', hold="yes"),
    by_schema(
        "keep-for-as-number",
        "retention.keepFor",
        "must be text",
        'must be of type string: "integer"',
        retention={"keepFor": 87600},
    ),
    by_schema("auth-as-text", "auth", "must be a group of fields", 'must be of type object: "string"', auth="alice"),
    by_schema("folders-as-list", "folders", "must be a group", 'must be of type object: "array"', folders=["INBOX"]),
    by_schema(
        "exclude-as-text",
        "folders.exclude",
        "must be a list",
        'must be of type array: "string"',
        folders={"exclude": "Trash"},
    ),
    by_schema("interval-as-number", "interval", "must be text", 'must be of type string: "integer"', interval=600),
    by_schema(
        "201-folders",
        "folders.include",
        "has too many entries; at most 200",
        "must have at most 200 items",
        folders={"include": ["INBOX"] * 201},
    ),
    by_schema(
        "folder-too-long",
        "folders.include[0]",
        "is too long; at most 512",
        "may not be more than 512 bytes",
        folders={"include": ["a" * 513]},
    ),
    by_schema("host-missing", "host", "is missing", "Required value", host=ABSENT),
    by_schema("auth-missing", "auth", "is missing", "Required value", auth=ABSENT),
    by_schema(
        "secret-without-name",
        "auth.secretRef.name",
        "is missing",
        "Required value",
        auth={"secretRef": {"name": ABSENT}},
    ),
    by_schema(
        "oauth2-without-token-url",
        "auth.oauth2.tokenURL",
        "is missing",
        "Required value",
        auth={"mechanism": "XOAuth2", "oauth2": {}},
    ),
]
