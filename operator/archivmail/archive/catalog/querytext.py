"""What a person types to find mail -> a `Query`. Pure: knows the grammar, no table and no SQL.

    query  = term*                     every term must hold; no term at all finds everything
    term   = word                      in the subject, the sender, the recipients, the names of attachments, the text
           | "several words"           one after the other
           | from:WORD  to:WORD  subject:WORD          only there; to: is To, Cc and Bcc; WORD may be a "phrase"
           | folder:NAME               the message lies in that folder; * stands for anything: folder:"Projects/*"
           | before:DATE               sent before that day (UTC)
           | after:DATE                sent on that day or later (UTC)
           | has:attachment
    DATE   = YYYY-MM-DD

Upper and lower case and accents are the same (mime/words.py). A word is matched whole; punctuation within it makes a
phrase of its pieces, so that `bob@example.org` finds the address. In scripts written without spaces (Chinese, Japanese,
Thai ...) and in Hangul any run of characters is found, from one character on. `name:` with any other name is just a
word, so that a pasted `Re:` or `https://...` works. A term without any letter or digit is left out.
"""

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from archivmail.mime.words import words
from archivmail.model.errors import SpecInvalid

MAX_QUERY_LENGTH = 4096
"""Characters."""
MAX_TERMS = 64


class Field(StrEnum):
    """Where a term is looked for. The values are the columns of the text index."""

    ANYWHERE = ""
    SENDER = "sender"
    RECIPIENTS = "recipients"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class Term:
    """Words that stand one after the other."""

    words: str
    field: Field = Field.ANYWHERE


@dataclass(frozen=True, slots=True)
class Query:
    """What to find; everything given must hold. The empty one finds everything."""

    terms: tuple[Term, ...] = ()
    folders: tuple[str, ...] = ()
    """Decoded names, `*` for anything; each is a folder the message must lie in."""
    after: date | None = None
    before: date | None = None
    has_attachment: bool = False


_NAME = re.compile(r"([A-Za-z]+):")
_WORD = re.compile(r'[^\s"]*')
_FIELDS = {"from": Field.SENDER, "to": Field.RECIPIENTS, "subject": Field.SUBJECT}
_RIGHT = {
    "from": "from:bob or from:bob@example.org",
    "to": "to:alice or to:alice@example.org",
    "subject": 'subject:invoice or subject:"annual report"',
    "folder": 'folder:INBOX or folder:"Sent Items"',
    "before": "before:2026-01-31",
    "after": "after:2026-01-31",
    "has": "has:attachment",
}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def parse(text: str) -> Query:
    """The query that a person typed. Raises SpecInvalid with a sentence that shows the right form."""
    if len(text) > MAX_QUERY_LENGTH:
        raise SpecInvalid(f"The query is longer than {MAX_QUERY_LENGTH} characters; search for fewer words.")
    if text.count('"') % 2:
        raise SpecInvalid('A " is not closed; write a phrase as "annual report" or leave the " out.')
    # A command line may hold octets that are no UTF-8; Python passes them on as half surrogates.
    parts = list(_parts(text.encode("utf-8", "replace").decode().replace("\0", " ")))
    if len(parts) > MAX_TERMS:
        raise SpecInvalid(f"The query has more than {MAX_TERMS} terms; search for fewer words.")
    terms: list[Term] = []
    folders: list[str] = []
    dates: dict[str, date] = {}
    has_attachment = False
    for name, value in parts:
        if name and not value.strip():
            raise SpecInvalid(f"{name}: is followed by nothing; write {_RIGHT[name]} without a space in between.")
        match name:
            case "folder":
                folders.append(value)
            case "before" | "after":
                dates[name] = _narrower(name, _date(name, value), dates.get(name))
            case "has":
                has_attachment = _attachment(value)
            case _:
                terms.append(Term(value, _FIELDS.get(name, Field.ANYWHERE)))
    searchable = tuple(term for term in terms if words(term.words))
    if terms and not searchable:
        raise SpecInvalid("The query has no letter and no digit to look for; search for a word.")
    return Query(searchable, tuple(folders), dates.get("after"), dates.get("before"), has_attachment)


def _parts(text: str) -> list[tuple[str, str]]:
    """(lower-case name of a known field or "", value) of each term."""
    parts: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        name, value, at = _part(text, at)
        parts.append((name, value))
    return parts


def _part(text: str, start: int) -> tuple[str, str, int]:
    head = _NAME.match(text, start)
    name = head[1].lower() if head and head[1].lower() in _RIGHT else ""
    at = head.end() if head and name else start
    if text[at : at + 1] == '"':
        end = text.index('"', at + 1)
        return name, text[at + 1 : end], end + 1
    end = at + len(_WORD.findall(text, at, at + MAX_QUERY_LENGTH)[0])
    return name, text[at:end], end


def _date(name: str, value: str) -> date:
    try:
        if _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass  # a day that no calendar has
    raise SpecInvalid(f"{name}:{value[:40]} is no date; write {_RIGHT[name]} (year-month-day).")


def _narrower(name: str, new: date, old: date | None) -> date:
    if old is None:
        return new
    return max(new, old) if name == "after" else min(new, old)


def _attachment(value: str) -> bool:
    if value.lower() not in {"attachment", "attachments"}:
        raise SpecInvalid(f"has:{value[:40]} is not known; write has:attachment.")
    return True
