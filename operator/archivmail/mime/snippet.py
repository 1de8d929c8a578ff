"""The place of a text where words stand, to show beside a search hit. Pure and bounded."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from archivmail.mime.words import PIECES, folded, words

MAX_LOOK = 256 * 1024
"""Characters of a text that are looked through."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a snippet."""

    text: str
    is_match: bool


def snippet(text: str, wanted: AbstractSet[str], *, width: int) -> list[Stretch]:
    """About `width` characters on one line from the first wanted word (of mime.words) on; empty when none is there.

    As it stands in the mail: show it through `mime.terminal`.
    """
    text = text[:MAX_LOOK]
    found = _matches(text, wanted, width)
    if not found:
        return []
    start = max(0, found[0][0] - width // 4)
    start = start if start == 0 else max(start, text.find(" ", start, found[0][0]) + 1)
    end = min(len(text), start + width)
    shown: list[Stretch] = []
    at = start
    for low, high in found:
        if high > end:
            break
        shown += [Stretch(_flat(text[at:low]), is_match=False), Stretch(_flat(text[low:high]), is_match=True)]
        at = high
    shown.append(Stretch(_flat(text[at:end]), is_match=False))
    return [each for each in shown if each.text]


def _matches(text: str, wanted: AbstractSet[str], width: int) -> list[tuple[int, int]]:
    """Where wanted words stand, from the first on as far as a snippet reaches."""
    found: list[tuple[int, int]] = []
    for piece in PIECES.finditer(text):
        if found and piece.end() > found[0][0] + width:
            break
        form = folded(piece[0])
        if form in wanted:
            found.append(piece.span())
        elif not form.isascii() and not wanted.isdisjoint(words(form)):
            found += _within(piece.start(), form, wanted) if len(form) == len(piece[0]) else [piece.span()]
    return found


def _within(start: int, form: str, wanted: AbstractSet[str]) -> list[tuple[int, int]]:
    """Scripts without spaces: characters of a run that belong to a wanted pair, as stretches."""
    marked = [False] * len(form)
    for word in wanted:
        at = form.find(word)
        while at >= 0:
            marked[at : at + len(word)] = [True] * len(word)
            at = form.find(word, at + 1)
    found: list[tuple[int, int]] = []
    for at, is_marked in enumerate(marked):
        if is_marked and at and marked[at - 1]:
            found[-1] = (found[-1][0], start + at + 1)
        elif is_marked:
            found.append((start + at, start + at + 1))
    return found


def _flat(text: str) -> str:
    """White space in single blanks, those at the ends too."""
    flat = " ".join(text.split())
    if not flat:
        return " " if text else ""
    return f"{' ' if text[0].isspace() else ''}{flat}{' ' if text[-1].isspace() else ''}"
