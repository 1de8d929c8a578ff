"""Choose which folders of a mailbox are archived. Knows folder names and rules; knows no server."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from archivmail.model.account import FolderRules
from archivmail.model.folder import Folder
from archivmail.model.foldernames import display

UNSELECTABLE = frozenset({"\\noselect", "\\nonexistent"})  # RFC 9051 §7.3.1
INBOX = "INBOX"
WILDCARDS: Final = frozenset("*%")


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
    if not rules.include and not rules.exclude:
        return True
    name, delimiter = _decoded(folder)

    def has(patterns: Iterable[str]) -> bool:
        return any(_names(pattern, name, delimiter, folder) for pattern in patterns)

    return (not rules.include or has(rules.include)) and not has(rules.exclude)


def unmatched(folders: Iterable[Folder], rules: FolderRules) -> tuple[str, ...]:
    """Plain names in `include` that no listed folder has: most likely a typing error, so never passed over in silence.

    Wildcards and special uses may match nothing: they speak of what may come.
    """
    listed = tuple(folders)
    plain = (name for name in rules.include if not name.startswith("\\") and WILDCARDS.isdisjoint(name))
    return tuple(name for name in plain if not any(matches(name, folder) for folder in listed))


def matches(pattern: str, folder: Folder) -> bool:
    r"""Does the pattern name this folder?

    A pattern that starts with a backslash is a special use (RFC 6154 §2), in any case. Otherwise it is compared with
    the decoded name, delimiter included: `*` stands for any characters, `%` for any within one level (RFC 9051 §6.3.9).
    """
    return _names(pattern, *_decoded(folder), folder)


def _names(pattern: str, name: str, delimiter: str, folder: Folder) -> bool:
    if pattern.startswith("\\"):
        return pattern.lower() in folder.attributes
    return _is_match(_glob(pattern, delimiter), name, delimiter)


def _decoded(folder: Folder) -> tuple[str, str]:
    """Name and delimiter of the folder."""
    delimiter = (folder.delimiter or b"").decode("ascii", "replace")
    return _with_canonical_inbox(display(folder.name), delimiter), delimiter


def _with_canonical_inbox(name: str, delimiter: str) -> str:
    # RFC 9051 §5.1: INBOX is case-insensitive, also as the first level of a longer name.
    head, found, tail = name.partition(delimiter) if delimiter else (name, "", "")
    return f"{INBOX}{found}{tail}" if head.upper() == INBOX else name


@dataclass(frozen=True, slots=True)
class _Glob:
    """A pattern made ready: an account may have 400 of them, and a server 100,000 folders."""

    text: str
    """Of wildcards that stand side by side one is left, for the others say nothing more."""
    head: str
    tail: str
    letters: Mapping[str, int]
    """The places of each letter, one bit each."""
    stars: int
    wildcards: int
    least: int
    """Characters that a name has at least."""


@lru_cache(maxsize=2048)
def _glob(pattern: str, delimiter: str) -> _Glob:
    text = ""
    for char in _with_canonical_inbox(pattern, delimiter):
        if char not in WILDCARDS or text[-1:] not in WILDCARDS or not text:
            text += char
        elif char == "*":
            text = text[:-1] + char
    places = [at for at, char in enumerate(text) if char in WILDCARDS]
    letters: dict[str, int] = {}
    for at, char in enumerate(text):
        if char not in WILDCARDS:
            letters[char] = letters.get(char, 0) | 1 << at
    return _Glob(
        text,
        head=text[: places[0]] if places else text,
        tail=text[places[-1] + 1 :] if places else text,
        letters=letters,
        stars=sum(1 << at for at in places if text[at] == "*"),
        wildcards=sum(1 << at for at in places),
        least=len(text) - len(places),
    )


def _is_match(glob: _Glob, name: str, delimiter: str) -> bool:
    """Walk all places of the pattern at once, one bit each: linear in the name, whatever the pattern.

    A regular expression would try the ways to share a name among wildcards one after the other, which a hostile
    pattern makes exponential.
    """
    if not glob.wildcards:
        return name == glob.text
    if len(name) < glob.least or not name.startswith(glob.head) or not name.endswith(glob.tail):
        return False
    # A wildcard may stand for nothing: whoever stands before it stands behind it too.
    places = 1 | (1 & glob.wildcards) << 1
    for char in name:
        stay = glob.stars if char == delimiter else glob.wildcards
        places = (places & glob.letters.get(char, 0)) << 1 | places & stay
        places |= (places & glob.wildcards) << 1
        if not places:
            return False
    return bool(places >> len(glob.text) & 1)
