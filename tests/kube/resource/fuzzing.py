"""Specs made up at random: near enough to good ones that rules are reached, far enough that all of them are."""

from typing import Any

from hypothesis import strategies as st

from tests.kube.resource.documents import MINIMAL_SPEC, merged

HUGE = [0, -1, 1, 143, 993, 65535, 65536, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**400]
ODD_TEXTS = [
    "", " ", "\n", "a\x00b", "../../etc/passwd", "%2e%2e", "..", "A" * 300, "é", "\u202egro.elpmaxe", "\uff49map", "İ",
    "\ufeffhost", "💌" * 200, "-", ".", "::1", "127.0.0.1", "[::1]", "::ffff:1.2.3.4", "1.2.3", "0x7f.1", "a..b",
    "host:993", "imap://host", "10m", "1e9h", "0s", "-5m", "9" * 30 + "h", "1h" * 40, "µs", "5µs", "true", "null", "~",
    "\\Sent", "\\", "*" * 512, "%" * 513, "(a+)+$", "{{7*7}}", "$(id)", "https://user@evil/", "https://x/\r\nHost: y",
    "http://127.0.0.1:80/t", "Implicit", "implicit", "StartTLS", "Disabled", "Password", "XOAuth2", "ß",
]  # fmt: skip
TEXTS = st.sampled_from(ODD_TEXTS) | st.text(max_size=20)
NUMBERS = st.sampled_from(HUGE) | st.integers()
SCALARS = st.none() | st.booleans() | NUMBERS | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def _or_anything(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly good: of many fields that are all wild no rule but the first would ever be reached."""
    return st.integers(0, 9).flatmap(lambda dice: good if dice < 8 else ANYTHING if dice == 8 else TEXTS)


def _group(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return _or_anything(st.fixed_dictionaries({}, optional={name: _or_anything(each) for name, each in fields.items()}))


_NAME = st.sampled_from(["alice", "ca", "a.b", "A", "-a", "a" * 253, "a" * 254])
_SPAN = st.sampled_from(
    ["30s", "10m", "1h30m", "168h", "169h", "24h", "29s", "10s", "1.5h", "90000ms", "0s", "876000h"]
)
_PATTERNS = st.lists(TEXTS, max_size=5) | st.sampled_from([["a"] * 200, ["a"] * 201, ["x" * 512], ["x" * 513]])
SPECS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "host": _or_anything(st.sampled_from(["imap.example.org", "10.0.0.1", "::1", "localhost", "a_b"])),
        "port": _or_anything(st.integers(1, 65535)),
        "tls": _group(
            mode=st.sampled_from(["Implicit", "StartTLS", "Disabled"]),
            serverName=st.sampled_from(["", "mail.example.org"]),
            caSecretRef=_group(name=_NAME, key=st.sampled_from(["ca.crt", "a/b", ".."])),
        ),
        "auth": _group(
            mechanism=st.sampled_from(["Password", "XOAuth2", "OAuthBearer"]),
            secretRef=_group(name=_NAME, namespace=st.just("kube-system")),
            oauth2=_group(
                tokenURL=st.sampled_from(["https://login.example.org/token", "http://localhost/t", "http://evil/t"]),
                scopes=st.lists(TEXTS, max_size=3) | st.just(["a"] * 51),
                updateSecret=st.booleans(),
            ),
        ),
        "interval": _or_anything(_SPAN),
        "timeout": _or_anything(_SPAN),
        "suspend": _or_anything(st.booleans()),
        "folders": _group(include=_PATTERNS, exclude=_PATTERNS),
        "retention": _group(keepFor=_SPAN),
        "hold": _or_anything(st.booleans()),
    },
)
"""Of these some miss what is required."""
COMPLETED = SPECS.map(lambda change: merged(MINIMAL_SPEC, change))
