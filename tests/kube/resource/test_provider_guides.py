"""The manifests in the provider guides are good ones: what a reader copies is read as the API server would."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from archivmail.imap.grants import can_fetch
from archivmail.kube.manifest import read_manifests
from archivmail.kube.secretdata import credentials, endpoint
from archivmail.model.account import Mechanism, TlsMode

ROOT = Path(__file__).resolve().parents[3]
GUIDES = ROOT / "docs" / "providers"
NAMES = sorted(path.name for path in GUIDES.glob("*.md") if path.name != "index.md")
ROW = re.compile(r"^\| \[[^]]+\]\((?P<guide>[^)]+)\) \| (?P<host>[^|]+) \| (?P<mechanisms>[^|]+) \|", re.MULTILINE)


def manifests_of(guide: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", (GUIDES / guide).read_text(), re.MULTILINE | re.DOTALL)


def rows() -> dict[str, re.Match[str]]:
    return {found["guide"]: found for found in ROW.finditer((GUIDES / "index.md").read_text())}


@pytest.mark.parametrize("guide", NAMES)
def test_every_manifest_can_be_copied(guide: str) -> None:
    """Each is an ImapAccount with its Secrets, has no unknown field, and all the keys that its mechanism needs."""
    for number, text in enumerate(manifests_of(guide)):
        found = read_manifests([(f"{guide} {number}", text)])
        assert found.notes == ()
        [account] = found.accounts
        spec = account.spec
        secret, ca = found.secrets_for(account)
        held = credentials(spec, secret)
        assert spec.host == endpoint(spec, ca).host
        assert TlsMode.DISABLED is not spec.tls
        assert spec.mechanism is Mechanism.PASSWORD or can_fetch(held)


@pytest.mark.parametrize("guide", NAMES)
def test_the_table_of_providers_says_what_the_guides_say(guide: str) -> None:
    """Host and mechanisms."""
    row = rows()[guide]
    specs = [read_manifests([(guide, text)]).accounts[0].spec for text in manifests_of(guide)]

    assert specs
    named = set(re.findall(r"`(\w+)`", row["mechanisms"]))
    assert {str(spec.mechanism) for spec in specs} <= named
    if row["host"].strip() != "yours":
        assert {row["host"].strip().strip("`")} == {spec.host for spec in specs}


def test_every_guide_is_listed_and_in_the_navigation() -> None:
    """And nothing else is."""
    navigation = yaml.safe_load(re.sub(r"!!\S+", "", (ROOT / "mkdocs.yml").read_text()))["nav"]
    [section] = [each["Provider guides"] for each in navigation if "Provider guides" in each]

    assert {f"providers/{name}" for name in ["index.md", *NAMES]} == set(section)
    assert set(NAMES) == set(rows())
