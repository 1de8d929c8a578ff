"""Rules on the fields of an ImapAccount: one sentence, checked by the API server (CEL) and by us (Python).

A `Rule` stands in `Annotated[...]` of a pydantic field: it puts `x-kubernetes-validations` into the JSON schema and
checks the value when we read a manifest without an API server. Both forms of a rule are made side by side here, from
the same pattern where there is one; tests hold them equal on the real API server. Knows no field of the resource.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

VALIDATIONS: Final = "x-kubernetes-validations"
BROKEN_RULE: Final = "broken_rule"
"""`type` of the pydantic error that a broken rule gives; its context holds `field` and `sentence`."""

# Kubernetes names, RFC 1123 §2.1 in lower case; 253 and 63 characters at most.
DNS_SUBDOMAIN: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
DNS_LABEL: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
# RFC 1123 §2.1, in any case, and with the underscore that resolvers and container networks accept.
_HOST_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
HOST_NAME: Final = rf"{_HOST_LABEL}(\.{_HOST_LABEL})*"
_NUMERIC_HOST: Final = r"[0-9.]+"


@dataclass(frozen=True, slots=True)
class Rule:
    """`cel` and `holds` say the same of `self`; `field` names the part to blame when `self` is an object."""

    cel: str
    sentence: str
    holds: Callable[[Any], bool]
    field: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = dict(handler(schema))
        validation = {"rule": self.cel, "message": self.sentence}
        if self.field:
            validation["fieldPath"] = f".{self.field}"
        found[VALIDATIONS] = [*found.get(VALIDATIONS, []), validation]
        return found

    def _check(self, value: Any) -> Any:
        if not self.holds(value):
            raise PydanticCustomError(BROKEN_RULE, "{sentence}", {"sentence": self.sentence, "field": self.field})
        return value


def matches(pattern: str, sentence: str, *, or_empty: bool = False) -> Rule:
    """The whole text has this form. RE2 and `re` read `pattern` alike: no look-around, no back-references."""
    compiled = re.compile(pattern, re.ASCII)
    cel = f"self.matches({quoted(f'^({pattern})$')})"
    return Rule(
        cel=f"self == '' || {cel}" if or_empty else cel,
        sentence=sentence,
        holds=lambda text: (or_empty and not text) or compiled.fullmatch(text) is not None,
    )


def one_of(words: tuple[str, ...], sentence: str) -> Rule:
    """The text is one of these words. No `enum`, which would be refused with a sentence of the API server's own."""
    return Rule(
        cel=f"self in [{', '.join(quoted(word) for word in words)}]",
        sentence=sentence,
        holds=lambda text: text in words,
    )


def in_range(low: int, high: int, sentence: str) -> Rule:
    """The number is within these bounds, both included."""
    return Rule(cel=f"self >= {low} && self <= {high}", sentence=sentence, holds=lambda number: low <= number <= high)


def host_form(sentence: str, *, or_empty: bool = False) -> Rule:
    """The text is a host name, an IPv4 or an IPv6 address. What is made of digits and dots must be an address."""
    cel = (
        f"self.contains(':') || self.matches({quoted(f'^{_NUMERIC_HOST}$')}) ? isIP(self)"
        f" : self.matches({quoted(f'^({HOST_NAME})$')})"
    )
    return Rule(
        cel=f"self == '' || ({cel})" if or_empty else cel,
        sentence=sentence,
        holds=lambda text: (or_empty and not text) or is_host(text),
    )


def is_host(text: str) -> bool:
    """What `host_form` asks for."""
    try:
        if ":" in text:
            address = IPv6Address(text)
            # As CEL's isIP: neither a zone nor an IPv4 address in disguise.
            return address.scope_id is None and address.ipv4_mapped is None
        if re.fullmatch(_NUMERIC_HOST, text, re.ASCII):
            return IPv4Address(text) is not None
    except ValueError:
        return False
    return re.fullmatch(HOST_NAME, text, re.ASCII) is not None


def quoted(text: str) -> str:
    """A CEL string literal: raw, so that patterns can be read."""
    assert "'" not in text
    return f"r'{text}'" if "\\" in text else f"'{text}'"
