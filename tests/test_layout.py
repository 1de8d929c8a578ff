"""The shape of the repository, held by tests: layout traps, module sizes, documents that must agree with the code."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "operator" / "archivmail"
MODULES = sorted(SOURCE.rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager"}


def text_of(*suffixes: str) -> dict[Path, str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    paths = (ROOT / name for name in listed if name.endswith(suffixes))
    return {path: path.read_text() for path in paths if path.exists()}


def test_source_root_never_shadows_the_standard_library() -> None:
    """`operator/__init__.py` would make `import collections` fail in the repository's folder."""
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert {"archivmail"} == {path.name for path in (ROOT / "operator").iterdir() if path.name != "__pycache__"}


def test_no_module_is_a_drawer() -> None:
    """House rule: a module is one noun or one activity."""
    assert [] == [path for path in MODULES if path.stem in FORBIDDEN_NAMES]


def test_no_module_does_two_things() -> None:
    """Over 300 lines a module is split by reason to change."""
    assert {} == {str(path): n for path in MODULES if (n := len(path.read_text().splitlines())) > 300}


def test_every_module_says_what_it_is_for() -> None:
    """House rule 5."""
    without = [path for path in MODULES if not path.read_text().lstrip().startswith(('"""', 'r"""'))]

    assert [] == without


def test_every_cited_rfc_stands_in_the_readme() -> None:
    """House rule 7: the table of standards is complete."""
    cited = {rfc for text in text_of(".py").values() for rfc in re.findall(r"RFC (\d{4})\b", text)}
    listed = set(re.findall(r"\b(\d{4})\b", (ROOT / "README.md").read_text().partition("## Standards")[2]))

    assert set() == cited - listed


@pytest.mark.parametrize("row", [f"S{n}" for n in range(1, 22)])
def test_every_behaviour_is_cited_by_a_test_and_mapped_in_the_docs(row: str) -> None:
    """S1-S21: a row that no test names, or that the page does not map, is not there."""
    cited = [path for path, text in text_of(".py").items() if "tests" in path.parts and re.search(rf"\b{row}\b", text)]
    page = (ROOT / "docs" / "behaviours.md").read_text()

    assert [path for path in cited if path != Path(__file__)]
    assert f"| {row} |" in page


@pytest.mark.parametrize("finding", [f"T{n}" for n in range(1, 19)])
def test_every_finding_about_kopf_is_shown_by_a_test_and_named_in_the_docs(finding: str) -> None:
    """T1 to T18: the page names the test, and the test, in its docstring, the finding."""
    rows = re.findall(r"^\| (T\d+) \|.*\| `(\w+)` \|$", (ROOT / "docs" / "kopf.md").read_text(), re.MULTILINE)
    tests = "\n".join(path.read_text() for path in (ROOT / "tests" / "kube" / "runtime").glob("test_kopf_*.py"))

    named = [name for row, name in rows if row == finding]
    assert 1 == len(named)
    assert re.search(rf'def {named[0]}\([^"]*"""{finding}\b', tests)


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    """Invariant of the project: nothing is proven by a test that does not run."""
    marks = re.compile(r"pytest\.(mark\.)?(skip|xfail|importorskip)")

    assert [] == [path for path, text in text_of(".py").items() if "tests" in path.parts and marks.search(text)]


def test_locks_name_no_index() -> None:
    """A lock with addresses would tie the project to a registry."""
    for lock in (ROOT / "requirements").glob("*.lock"):
        assert "://" not in lock.read_text()
        assert "--hash=sha256:" in lock.read_text()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_links_of_the_front_pages_lead_to_files(page: str) -> None:
    """They are read where the repository is shown, not on the site; mkdocs looks at the links of docs/."""
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", (ROOT / page).read_text())

    assert [] == [link for link in links if not (ROOT / link).exists()]


def test_every_module_named_in_the_map_of_the_code_is_there() -> None:
    """A renamed module leaves its old name behind. All of them, with what they are for, are listed on the site."""
    page = (ROOT / "docs" / "code-map.md").read_text()
    named = set(re.findall(r"`((?:[a-z]+/)+[a-z_]+\.py)`", page))

    assert len(named) > 25
    assert [] == sorted(each for each in named if not any((root / each).exists() for root in (SOURCE, ROOT)))
