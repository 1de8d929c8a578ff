"""S10: which folders are archived."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.decide.selection import matches, select, unmatched
from archivmail.model.account import FolderRules
from archivmail.model.folder import Folder, FolderName
from archivmail.model.foldernames import encode


def folder(name: str, *attributes: str, delimiter: bytes | None = b"/") -> Folder:
    return Folder(FolderName(encode(name)), delimiter, frozenset(attributes))


MAILBOX = (
    folder("INBOX"),
    folder("Trash", "\\trash"),
    folder("Trash/Old"),
    folder("Junk E-Mail", "\\junk"),
    folder("Junkyard"),
    folder("Projects", "\\noselect"),
    folder("Projects/Übung"),
)


def names(rules: FolderRules) -> list[str]:
    return [each.name.decode() for each in select(MAILBOX, rules).selected]


def test_every_selectable_folder_is_selected_by_default() -> None:
    """An empty include list means all; a \\Noselect parent is neither selected nor excluded (trap 50)."""
    selection = select(MAILBOX, FolderRules())

    assert [f.name for f in selection.selected] == [f.name for f in MAILBOX if "\\noselect" not in f.attributes]
    assert selection.excluded == 0


@pytest.mark.parametrize(
    ("exclude", "left_out"),
    [
        pytest.param(("Trash",), ["Trash"], id="plain-name-is-that-folder-alone"),
        pytest.param(("Trash*",), ["Trash", "Trash/Old"], id="star-reaches-below"),
        pytest.param(("Trash/*",), ["Trash/Old"], id="star-below"),
        pytest.param(("%",), ["INBOX", "Trash", "Junk E-Mail", "Junkyard"], id="percent-stays-in-one-level"),
        pytest.param(("\\Junk",), ["Junk E-Mail"], id="special-use-is-not-the-name (trap 62)"),
        pytest.param(("\\JUNK",), ["Junk E-Mail"], id="special-use-in-any-case"),
        pytest.param(("inbox",), ["INBOX"], id="inbox-in-any-case (trap 55)"),
        pytest.param(("trash",), [], id="other-names-are-case-sensitive"),
        pytest.param(("Projects/Übung",), ["Projects/&ANw-bung"], id="decoded-name"),
        pytest.param(("*bung",), ["Projects/&ANw-bung"], id="glob-over-decoded-name"),
        pytest.param(("Junk?",), [], id="question-mark-is-a-letter"),
    ],
)
def test_excluded_folders_are_left_out_and_counted(exclude: tuple[str, ...], left_out: list[str]) -> None:
    """Patterns are matched against the decoded name, delimiter included."""
    everything = names(FolderRules())

    assert [name for name in everything if name not in left_out] == names(FolderRules(exclude=exclude))
    assert len(left_out) == select(MAILBOX, FolderRules(exclude=exclude)).excluded


def test_exclude_wins_over_include() -> None:
    """A folder in both lists is left out."""
    assert ["Trash/Old"] == names(FolderRules(include=("Trash*",), exclude=("Trash",)))


def test_folder_listed_twice_counts_once() -> None:
    """Some servers repeat lines of LIST."""
    assert 1 == len(select((folder("INBOX"), folder("INBOX")), FolderRules()).selected)


def test_inbox_is_one_folder_in_any_spelling_also_as_first_level() -> None:
    """RFC 9051 §5.1."""
    assert matches("INBOX/Team", folder("Inbox/Team"))
    assert matches("inbox.team", folder("INBOX.team", delimiter=b"."))
    assert not matches("inbox.Team", folder("INBOX.team", delimiter=b"."))


def test_plain_names_that_match_nothing_are_told() -> None:
    """A typing error in include must not pass for completeness; patterns may match nothing."""
    rules = FolderRules(include=("INBOX", "Sent", "Old*", "\\Archive"))

    assert ("Sent",) == unmatched(MAILBOX, rules)


HOSTILE = [
    "*a" * 20 + "b",
    "*" * 512,
    "%" * 512,
    "*%" * 256,
    "a*" * 256,
    "%a*" * 170,
    "*" * 511 + "b",
    "a" * 512,
    "%*a%*" * 100,
]


@pytest.mark.parametrize("pattern", HOSTILE, ids=lambda pattern: f"{pattern[:6]}-{len(pattern)}")
def test_hostile_patterns_end(pattern: str) -> None:
    """Linear in the name, however many wildcards: a name of the longest that a server may list, and many short ones."""
    long = folder("a" * 8000)
    short = [folder("a" * (number % 40) + "/" + str(number)) for number in range(500)]

    assert [matches(pattern, long)] == [set(pattern) <= set("*%") or (not {"b"} & set(pattern) and "*" in pattern)]
    assert all(matches(pattern, each) for each in short) is (set(pattern) <= set("*%") and "*" in pattern)


def test_as_many_patterns_as_a_spec_may_have_are_matched_at_once() -> None:
    """200 to include and 200 to exclude, 1,000 folders: what only compares beginnings costs next to nothing."""
    rules = FolderRules(
        include=(*(f"{number}*a*b*c" for number in range(199)), "*"),
        exclude=tuple(f"*a*{number}" for number in range(200)),
    )
    listed = [folder("a" * 30 + f"/x{number}") for number in range(1000)]

    assert 1000 == len(select(listed, FolderRules()).selected)
    kept = {each.name for each in select(listed, rules).selected}
    assert {each.name for each in listed} - kept == {each.name for each in listed if _ends_low(each.name)}


def _ends_low(name: bytes) -> bool:
    """Does the name end in a number below 200?"""
    return any(name.endswith(str(number).encode()) for number in range(200))


@given(st.text("ab/*%", max_size=12), st.text("ab/", max_size=12))
def test_wildcards_mean_what_a_regular_expression_says(pattern: str, name: str) -> None:
    """RFC 9051 §6.3.9; the same answer as the plain reading, which takes too long for others."""
    plain = "".join({"*": ".*", "%": "[^/]*"}.get(char, re.escape(char)) for char in pattern)

    assert matches(pattern, folder(name)) is (re.fullmatch(plain, name, re.DOTALL) is not None)
