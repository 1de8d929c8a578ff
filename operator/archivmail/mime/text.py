"""Octets of a message -> what the text index and `show` need: envelope, words, names of attachments.

Bounded in input, output, parts and depth (see also parts.py); linear in time. What lies beyond a bound is not found
by a search and is archived all the same.
"""

from collections.abc import Callable
from dataclasses import dataclass

from archivmail.mime.charsets import decode
from archivmail.mime.envelope import Envelope, of_fields
from archivmail.mime.headers import text_of
from archivmail.mime.hypertext import to_text, visible
from archivmail.mime.parts import Part, walk

MAX_INPUT_BYTES = 16 * 1024 * 1024
"""Octets of a message that are looked at."""
MAX_TEXT = 1024 * 1024
"""Characters of text taken from one message: some 500 printed pages."""
MAX_PART_BYTES = 2 * 1024 * 1024
"""Octets decoded of one text part. HTML is mostly tags, hence more than MAX_TEXT."""
MAX_ATTACHMENTS = 1000

_NO_PROSE = frozenset({"text/css", "text/rtf", "text/richtext", "text/javascript", "text/x-vcard", "text/vcard"})


@dataclass(frozen=True, slots=True)
class Attachment:
    """`name` is "" where the mail gives none; `size` in octets, decoded."""

    name: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Extract:
    """What a search can find of one message."""

    envelope: Envelope
    texts: tuple[str, ...] = ()
    """Of its parts, in order; those without any text are left out."""
    attachment_names: tuple[str, ...] = ()
    attachment_count: int = 0
    is_cut: bool = False
    """A bound was reached."""


def extract(octets: bytes) -> Extract:
    """Everything for the index, in one pass over the message."""
    is_cut = len(octets) > MAX_INPUT_BYTES
    fields, parts = walk(octets[:MAX_INPUT_BYTES] if is_cut else octets)
    room = MAX_TEXT
    texts: list[str] = []
    names: list[str] = []
    count = 0
    for part in parts:
        if part.is_attachment:
            count += 1
        if part.filename and len(names) < MAX_ATTACHMENTS:
            names.append(part.filename)
        if room > 0:
            text = _text(part, visible)
            texts.append(text[:room])
            room -= len(text) + 1
        else:
            is_cut = True
    return Extract(
        envelope=of_fields(fields),
        texts=tuple(text for text in texts if text and not text.isspace()),
        attachment_names=tuple(names),
        attachment_count=count,
        is_cut=is_cut or room < 0,
    )


def readable(octets: bytes) -> str:
    """The text to show a person: the plain parts, or where there are none the HTML as text.

    As it stands in the mail: show it through `mime.terminal.clean`.
    """
    _, parts = walk(octets[:MAX_INPUT_BYTES])
    plain: list[str] = []
    pages: list[str] = []
    room = MAX_TEXT
    for part in parts:
        if room <= 0:
            break
        if not part.content_type.startswith("text/") or part.is_attachment:
            continue
        text = _text(part, to_text)[:room]
        room -= len(text)
        (pages if part.content_type == "text/html" else plain).append(text)
    return "\n".join(plain if any(text.strip() for text in plain) else pages)


def attachments(octets: bytes) -> list[Attachment]:
    """What is attached to a message, in order, pictures shown within the text left out."""
    _, parts = walk(octets)
    return [Attachment(part.filename, part.content_type, part.size) for part in parts if part.is_attachment][
        :MAX_ATTACHMENTS
    ]


def _text(part: Part, of_page: Callable[[str], str]) -> str:
    if part.is_message:
        get = part.embedded_fields().get
        return "\n".join(filter(None, (text_of(get(name, b"")) for name in ("subject", "from", "to"))))
    if not part.content_type.startswith("text/") or part.content_type in _NO_PROSE:
        return ""
    octets = part.octets(MAX_PART_BYTES)
    if b"\0" in octets[:4096] and not part.charset.lower().startswith(("utf-16", "utf-32", "ucs")):
        return ""  # a file that somebody's program took for text
    text = decode(octets, part.charset)
    return of_page(text) if part.content_type == "text/html" else text
