"""Text -> the words that it can be found by. Pure: the text index and every query go through here, so both agree.

- Compatibility forms, upper and lower case and accents are folded: full-width letters are plain ones, `Größe` and
  `GRÖSSE` are `grosse`. Points of Hebrew and Arabic vowels are accents too; marks that make another letter (kana,
  Indic vowels) stay.
- A word is a run of letters, digits and marks; everything else parts words and is not kept.
- Scripts written without spaces (Chinese, Japanese, Thai, ...) and Hangul, whose particles are joined to words, give
  each pair of neighbouring characters and then the last one alone: `会議室` is `会議 議室 室`. So a query of two
  characters is one word, a longer one a phrase, and one character is the beginning of a word.

Rejected: the tokenisers of the databases, which cut such scripts apart or not at all, each in its own way; single
characters, of which every common one is in half of all messages.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

MAX_WORD = 64
"""Characters of a word that count: a SHA-256 in hexadecimal is still whole."""

_ASCII = re.compile(r"[0-9a-z]+")
PIECES = re.compile("[0-9A-Za-z\x80-\U0010ffff]+")
# Combining diacritics, and the vowel points of Hebrew and Arabic.
_ACCENTS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]+"
)
# Thai, Lao, Burmese, Hangul, Khmer, kana, Bopomofo, Han, Yi.
_NO_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1100-\u11ff\u3005-\u3007\u3040-\u312f\u3130-\u318f\u31a0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
# Marks within words of scripts that have them (Indic, Tibetan); re counts them as no part of a word.
_MARKS = "\u0900-\u0963\u0966-\u0dff\u0f18-\u0fbc\u1b00-\u1b4b\ua880-\ua8c5\ua980-\ua9c0\uaae0-\uaaf6\uabe3-\uabed"
_WORDS = re.compile(f"([{_NO_SPACES}]+)|(?:[^\\W_{_NO_SPACES}]|[{_MARKS}])+")


def folded(text: str) -> str:
    """The text in the form in which words are compared. Not longer than 18 times what was given."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    # Casefold once more: a compatibility form may stand for a capital letter.
    return unicodedata.normalize("NFC", _ACCENTS.sub("", apart)).casefold()


def words(text: str) -> list[str]:
    """The words of a text, in order."""
    if text.isascii():
        found = _ASCII.findall(text.lower())
    else:
        found = []
        for piece in PIECES.findall(text):
            if piece.isascii():
                found.append(piece.lower())
            else:
                found += _words_of(piece)
    if max(map(len, found), default=0) > MAX_WORD:
        return [word[:MAX_WORD] for word in found]
    return found


def ends_open(text: str) -> bool:
    """Whether the last word of a text is a character alone that a longer run may begin with."""
    last = None
    for last in _WORDS.finditer(folded(text)):  # noqa: B007 - only the last counts; queries are short
        pass
    return last is not None and last[1] is not None


def _words_of(piece: str) -> tuple[str, ...]:
    return _remembered(piece) if len(piece) <= MAX_WORD else _look(piece)


@lru_cache(maxsize=32_768)  # some 10 MB; the same words come again and again
def _remembered(piece: str) -> tuple[str, ...]:
    return _look(piece)


def _look(piece: str) -> tuple[str, ...]:
    found: list[str] = []
    for match in _WORDS.finditer(folded(piece)):
        if match[1] is None:
            found.append(match[0])
        else:
            found += _pairs(match[1])
    return tuple(found)


def _pairs(run: str) -> list[str]:
    return [*map("".join, pairwise(run)), run[-1]]
