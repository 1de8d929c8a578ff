"""The owner of a Secret says where it may be sent; without a word of theirs the ImapAccount decides (trap 101)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archivmail.kube.allowedhosts import ANNOTATION, refusal
from archivmail.model.account import AccountSpec, Mechanism, TlsMode
from archivmail.model.reasons import Reason

PASSWORD = AccountSpec(host="imap.example.org", port=993, secret_name="alice")
OAUTH = replace(PASSWORD, mechanism=Mechanism.XOAUTH2, token_url="https://Login.example.net:8443/token")


def allows(value: str | None, spec: AccountSpec = PASSWORD) -> bool:
    found = refusal({} if value is None else {ANNOTATION: value}, spec)
    assert found is None or found.reason is Reason.EGRESS_DENIED
    return found is None


@pytest.mark.parametrize(
    ("value", "is_allowed"),
    [
        pytest.param(None, True, id="no-annotation"),
        pytest.param("imap.example.org", True, id="the-host"),
        pytest.param("mail.example.org, IMAP.Example.ORG", True, id="one-of-several-in-any-case"),
        pytest.param("*.example.org", True, id="below"),
        pytest.param("", False, id="empty"),
        pytest.param("example.org", False, id="above"),
        pytest.param("imap.example.org.evil.net", False, id="longer"),
        pytest.param("*.imap.example.org", False, id="below-the-host-only"),
        pytest.param("*", False, id="no-pattern-for-all"),
        pytest.param("*.org.", False, id="other-spelling"),
    ],
)
def test_only_named_hosts_are_allowed(value: str | None, *, is_allowed: bool) -> None:
    """Whole names; a pattern reaches below a domain and not the domain itself."""
    assert is_allowed is allows(value)


def test_a_pattern_does_not_end_in_the_middle_of_a_label() -> None:
    """evil-example.org is not below example.org."""
    assert not allows("*.example.org", replace(PASSWORD, host="evil-example.org"))
    assert not allows("*.example.org", replace(PASSWORD, host="example.org"))


def test_the_token_endpoint_is_a_host_too() -> None:
    """It gets the refresh token and the client secret."""
    assert not allows("imap.example.org", OAUTH)
    assert allows("imap.example.org,login.example.net", OAUTH)
    found = refusal({ANNOTATION: "imap.example.org"}, OAUTH)
    assert found is not None
    assert "spec.auth.oauth2.tokenURL" in found.text


def test_a_named_host_gets_nothing_in_the_clear() -> None:
    """Whoever is on the way would read it."""
    assert not allows("imap.example.org", replace(PASSWORD, tls=TlsMode.DISABLED))
    assert allows(None, replace(PASSWORD, tls=TlsMode.DISABLED))
