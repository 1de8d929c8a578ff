"""Words of a response, read by a tolerant scanner: values, lists and the octets of literals (RFC 9051 §9).

Never raises for odd quoting: servers send unescaped quotes, brackets out of balance and 8-bit octets (traps 53, 76).
Knows no command and no connection.
"""

import re
from collections.abc import Callable

MAX_DEPTH = 64


class String(bytes):
    """A quoted string or a literal: its content, so `NIL` in it is four letters and not nothing."""

    __slots__ = ()


class TooDeep(ValueError):
    """Parentheses nested beyond any use (trap 79)."""


# Four groups: an item name with a section, which keeps its blanks and parentheses (BODY[HEADER.FIELDS (DATE)]<0>);
# a parenthesis; a quoted string; an atom. Blanks match nothing and are skipped.
_TOKEN = re.compile(
    rb'(BODY(?:\.PEEK)?\[[^\]"]{0,500}\](?:<\d+>)?)|([()])|"((?:[^"\\]++|\\.)*+)"|([^ \t()]+)',
    re.IGNORECASE | re.DOTALL,
)
_ESCAPED = re.compile(rb'\\(["\\])')
_LITERAL_AHEAD = re.compile(rb"\{(\d{1,20})\+?\}$")
_BEFORE_A_LITERAL = b" (]~"


def literal_ahead(line: bytes) -> tuple[bytes, int] | None:
    """When the line announces a literal (`{3}`, `{3+}`, `~{3}`): what stands before it, and its size in octets."""
    if not line.endswith(b"}"):
        return None
    at = line.rfind(b"{")
    found = _LITERAL_AHEAD.match(line, at) if at >= 0 else None
    if found is None or (at and line[at - 1] not in _BEFORE_A_LITERAL):
        return None
    return line[: at - 1] if line[at - 1 : at] == b"~" else line[:at], int(found[1])


def unescaped(quoted: bytes) -> String:
    """The content of a quoted string. A backslash before anything else stands for itself, as servers mean it."""
    return String(_ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted)


class Words:
    """The values of one response, built piece by piece: text, literal, text and so on.

    Atoms are `bytes`, strings `String`, lists `list`; what is put in between (a message's body) is kept as it is.
    """

    def __init__(self) -> None:
        self.top: list[object] = []
        self._stack: list[list[object]] = [self.top]

    @property
    def depth(self) -> int:
        """Open parentheses."""
        return len(self._stack) - 1

    @property
    def open(self) -> list[object]:
        """The list that the next word goes into."""
        return self._stack[-1]

    def put(self, value: object) -> None:
        """Add a literal, or what stands for it."""
        self._stack[-1].append(value)

    def feed(self, text: bytes) -> None:
        """Add the words of a piece of text. Raises TooDeep. A closing parenthesis too many is passed over."""
        stack = self._stack
        current = stack[-1]
        for item, parenthesis, quoted, atom in _TOKEN.findall(text):
            if atom or item:
                current.append(atom or item)
            elif not parenthesis:
                current.append(unescaped(quoted))
            elif parenthesis == b"(":
                if len(stack) > MAX_DEPTH:
                    raise TooDeep
                inner: list[object] = []
                current.append(inner)
                stack.append(inner)
                current = inner
            elif len(stack) > 1:
                stack.pop()
                current = stack[-1]


def words(text: bytes) -> list[object]:
    """The values of a response without literals."""
    built = Words()
    built.feed(text)
    return built.top


def upper(word: object) -> bytes:
    """An atom in capitals; nothing else is one."""
    return word.upper() if type(word) is bytes else b""


def number(word: object) -> int | None:
    """A number that fits 64 bits, as atom or string; anything else is None."""
    if isinstance(word, bytes) and word.isdigit() and len(word) <= 20:
        return int(word)
    return None


def pairs(values: list[object], known: Callable[[bytes], bool]) -> dict[bytes, object]:
    """Names and values that alternate; what is not a known name is passed over, so one odd item does no harm.

    The first value of a name counts.
    """
    found: dict[bytes, object] = {}
    at = 0
    while at < len(values) - 1:
        name = upper(values[at])
        if known(name):
            found.setdefault(name, values[at + 1])
            at += 2
        else:
            at += 1
    return found
