"""What the text index keeps of a message, and what a term of a query asks of it. Pure, and the same for every database.

A message is one line of words (mime/words.py) with a blank between two. `·` stands where one thing ends and another
begins, so that no phrase reaches from the subject into the text. The words of sender, recipients and subject stand in
it twice, once as they are and once with a mark before them: `from:bob` looks for `·fbob`. No word has `·` in it.

The databases add nothing: FTS5 parts this line at its blanks and so does PostgreSQL, hence both give the same answers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from archivmail.archive.catalog.querytext import Field, Term
from archivmail.mime.words import ends_open, words

BREAK = "·"
_MARKS = {Field.SENDER: "·f", Field.RECIPIENTS: "·t", Field.SUBJECT: "·s"}

MAX_LINE = 4 * 1024 * 1024
"""Characters of one message's line."""
MAX_VOCABULARY = 512 * 1024
"""Octets of the different words of one message: a tsvector holds twice as much."""
_NEARBY = 4096
"""Characters that may stand between two lines that a page and its plain text have in common. Arbitrary."""


@dataclass(frozen=True, slots=True)
class IndexedText:
    """What the index holds of one content."""

    content: int
    """contents.id"""
    subject: str
    sender: str
    recipients: str
    attachments: tuple[str, ...]
    """Their names."""
    texts: tuple[str, ...]
    """Of the parts of the message, in order."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words of the line that stand one after the other."""

    words: tuple[str, ...]
    is_open: bool
    """The last word is the beginning of one."""


def line_of(text: IndexedText) -> str:
    """The line of a message. Its length and its vocabulary are bounded; what lies beyond is not found."""
    line = f" {BREAK} ".join(" ".join(piece) for piece in _pieces(text) if piece)[:MAX_LINE]
    return line if len(line) <= MAX_VOCABULARY // 4 else _within_vocabulary(line)


def phrase_of(term: Term) -> Phrase:
    """What a term looks for. It has at least one word."""
    found = words(term.words)
    is_open = ends_open(term.words)
    if is_open and len(found) > 1 and found[-2].endswith(found[-1]) and len(found[-2]) == 2:
        # `会議` is written `会議 議`: the pair alone is asked for, whatever follows it in the text.
        found, is_open = found[:-1], False
    mark = _MARKS.get(term.field, "")
    return Phrase(tuple(mark + word for word in found), is_open)


def _pieces(text: IndexedText) -> Iterator[list[str]]:
    for field, written in (
        (Field.SUBJECT, text.subject),
        (Field.SENDER, text.sender),
        (Field.RECIPIENTS, text.recipients),
    ):
        found = words(written)
        yield found
        yield [_MARKS[field] + word for word in found]
    for name in text.attachments:
        yield words(name)
    yield from _texts(text.texts)


def _texts(texts: Sequence[str]) -> Iterator[list[str]]:
    before = ""
    for text in texts:
        if not before:
            found = words(text)
            yield found
            before = f" {' '.join(found)} "
        else:
            yield from _not_said(text, before)


def _not_said(text: str, before: str) -> Iterator[list[str]]:
    """The lines of a text without those that stand in `before`, in its order: a page that repeats the plain text."""
    lines = [found for line in text.split("\n") if (found := words(line))]
    if f" {' '.join(chain.from_iterable(lines))} " in before:
        return
    at = 0
    kept: list[str] = []
    for found in lines:
        wanted = f" {' '.join(found)} "
        place = before.find(wanted, at, at + len(wanted) + _NEARBY)
        if place < 0:
            kept += found
            continue
        at = place + len(wanted) - 1
        yield kept
        kept = []
    yield kept


def _within_vocabulary(line: str) -> str:
    known: set[str] = set()
    room = MAX_VOCABULARY
    kept: list[str] = []
    for word in line.split(" "):
        if word not in known:
            room -= len(word.encode())
            if room < 0:
                break
            known.add(word)
        kept.append(word)
    return " ".join(kept)
