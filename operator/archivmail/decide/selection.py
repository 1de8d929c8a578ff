"""Choose which folders of a mailbox are archived. Knows folder names and rules; knows no server."""

from collections.abc import Iterable
from dataclasses import dataclass

from archivmail.model.account import FolderRules
from archivmail.model.folder import Folder
from archivmail.model.foldernames import display

UNSELECTABLE = frozenset({"\\noselect", "\\nonexistent"})  # RFC 9051 §7.3.1
INBOX = "INBOX"


@dataclass(frozen=True, slots=True)
class Selection:
    """`excluded` counts selectable folders that the rules left out."""

    selected: tuple[Folder, ...]
    excluded: int


def select(folders: Iterable[Folder], rules: FolderRules) -> Selection:
    """Apply include and exclude; a folder listed twice counts once; the server's order is kept."""
    selectable = {folder.name: folder for folder in folders if not UNSELECTABLE & folder.attributes}
    selected = tuple(folder for folder in selectable.values() if is_selected(folder, rules))
    return Selection(selected=selected, excluded=len(selectable) - len(selected))


def is_selected(folder: Folder, rules: FolderRules) -> bool:
    """An empty include list means every folder; exclude wins."""
    included = not rules.include or any(matches(pattern, folder) for pattern in rules.include)
    return included and not any(matches(pattern, folder) for pattern in rules.exclude)


def unmatched(folders: Iterable[Folder], rules: FolderRules) -> tuple[str, ...]:
    """Plain names in `include` that no listed folder has: most likely a typing error, so never passed over in silence.

    Wildcards and special uses may match nothing: they speak of what may come.
    """
    listed = tuple(folders)
    plain = (name for name in rules.include if not name.startswith("\\") and not set(name) & {"*", "%"})
    return tuple(name for name in plain if not any(matches(name, folder) for folder in listed))


def matches(pattern: str, folder: Folder) -> bool:
    r"""Does the pattern name this folder?

    A pattern that starts with a backslash is a special use (RFC 6154 §2), in any case. Otherwise it is compared with
    the decoded name, delimiter included: `*` stands for any characters, `%` for any within one level (RFC 9051 §6.3.9).
    """
    if pattern.startswith("\\"):
        return pattern.lower() in folder.attributes
    delimiter = (folder.delimiter or b"").decode("ascii", "replace")
    name = _with_canonical_inbox(display(folder.name), delimiter)
    return _is_match(_with_canonical_inbox(pattern, delimiter), name, delimiter)


def _with_canonical_inbox(name: str, delimiter: str) -> str:
    # RFC 9051 §5.1: INBOX is case-insensitive, also as the first level of a longer name.
    head, found, tail = name.partition(delimiter) if delimiter else (name, "", "")
    return f"{INBOX}{found}{tail}" if head.upper() == INBOX else name


def _is_match(pattern: str, name: str, delimiter: str) -> bool:
    """Walk all places of the pattern at once, one bit each: linear in the name, whatever the pattern.

    A regular expression would try the ways to share a name among wildcards one after the other, which a hostile
    pattern makes exponential.
    """
    stars = sum(1 << at for at, char in enumerate(pattern) if char == "*")
    percents = sum(1 << at for at, char in enumerate(pattern) if char == "%")
    letters: dict[str, int] = {}
    for at, char in enumerate(pattern):
        if char not in {"*", "%"}:
            letters[char] = letters.get(char, 0) | 1 << at
    places = _past_wildcards(1, stars | percents)
    for char in name:
        stay = stars if char == delimiter else stars | percents
        places = _past_wildcards((places & letters.get(char, 0)) << 1 | places & stay, stars | percents)
    return bool(places >> len(pattern) & 1)


def _past_wildcards(places: int, wildcards: int) -> int:
    """A wildcard may stand for nothing: whoever stands before it stands behind it too."""
    while (more := places | (places & wildcards) << 1) != places:
        places = more
    return places
