"""docs/security.md: each threat names tests that exist, and what the page says of addresses and settings is so."""

from __future__ import annotations

import ipaddress
import re

import pytest
import yaml

from archivmail.decide.egress import Allowed, allowed, refused_address
from archivmail.settings import Settings, variable
from tests.citations import citing_tests

from .pages import DOCS, blocks

PAGE = (DOCS / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[^`]+\.py::[^`]+)`", PAGE)))
THREATS = PAGE.partition("## Threats")[2].partition("## Where the operator")[0]
KINDS = [
    "Spoofing",
    "Tampering",
    "Repudiation",
    "Information disclosure",
    "Denial of service",
    "Elevation of privilege",
]
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in THREATS.splitlines()
    if line.startswith("| ") and not line.startswith("| threat ")
]


def test_every_kind_of_threat_is_thought_of() -> None:
    """STRIDE, in its order."""
    assert re.findall(r"^### (.+)$", THREATS, re.MULTILINE) == KINDS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_every_threat_has_what_is_done_and_what_shows_it(row: list[str]) -> None:
    """A mitigation without a test is a hope."""
    assert 3 == len(row)
    assert all(row)
    assert re.search(r"`tests/[^`]+::test_[^`]+`", row[2])


@pytest.mark.parametrize("name", NAMED)
def test_every_test_that_is_named_is_there(name: str) -> None:
    """Renamed or removed, it would prove nothing."""
    assert name in citing_tests()


def test_addresses_that_the_page_names_are_refused() -> None:
    """And the networks that it calls open are open."""
    section = PAGE.partition("## Where the operator connects to")[2].partition("## Rights")[0]
    refused = re.search(r"metadata services of the clouds \(such as ([^)]+)\)", section)
    assert refused
    for address in refused[1].split(", "):
        assert refused_address("imap.example.org", address, Allowed())
    private = re.findall(r"Private networks \(([\d./]+)", section)
    assert [None] == [refused_address("a", str(ipaddress.ip_network(each)[9]), Allowed()) for each in private]


def test_settings_and_values_that_the_page_names_exist() -> None:
    """And its example of allowed hosts is read."""
    variables = {variable(field) for field in Settings.model_fields}
    values = yaml.safe_load((DOCS.parent / "deploy/helm/archivmail/values.yaml").read_text())
    example, role = (yaml.safe_load(block) for block in blocks("security.md", "yaml"))

    assert set(re.findall(r"`(ARCHIVMAIL_[A-Z_]+)`", PAGE)) <= variables
    assert allowed(example["egressAllow"]).hosts == ("imap.internal.example", "*.mail.example.org")
    assert set(example) | set(role) | {"watchNamespaces"} <= set(values)
    assert "updateSecrets" in values["rbac"]
    assert "enabled" in values["networkPolicy"]


def test_there_is_a_way_to_report() -> None:
    """Where people and code hosts look for it."""
    assert "Report a vulnerability" in (DOCS.parent / "SECURITY.md").read_text()
