"""The header block of a message or a part: find it, take the fields that archivmail reads, decode their text.

Written for what is in mailboxes, not for what RFC 5322 allows: no header at all, raw 8-bit, an mbox "From " line in
front, lone CR or LF, lines of a megabyte. Every function is total and linear in a bounded input. A field that occurs
several times counts by its first occurrence.
"""

import binascii
import re
from collections.abc import Mapping

from archivmail.mime.charsets import decode, storable

MAX_BLOCK_BYTES = 512 * 1024
"""A longer header block is read up to here; 10,000 recipients fit."""
MAX_VALUE_BYTES = 128 * 1024
MAX_PARAMETERS_BYTES = 16 * 1024
"""Of a Content-Type or Content-Disposition."""

_BLANK_LINE = re.compile(rb"\n\r?\n")
_WANTED = re.compile(
    rb"^(from|to|cc|bcc|subject|date|message-id|in-reply-to"
    rb"|content-(?:type|transfer-encoding|disposition|id))"
    rb"[ \t]*:[ \t]*(.*(?:\n[ \t].*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_FIELD_LINE = re.compile(rb"[!-9;-~]{1,200}[ \t]*:")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_MBOX_LINE = re.compile(rb">?From [^\r\n]{0,998}\r?\n")

# RFC 2047 §2, with the language of RFC 2231 §5. The bounds keep a hostile run of "=?" linear; RFC 2047 §2 asks for
# words of at most 75 characters, mail programs write longer ones.
_ENCODED_WORD = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?(.{0,2000}?)\?=", re.DOTALL)
_PARAMETER = re.compile(r';\s*([^\s=;"]{1,80})\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)', re.DOTALL)
# RFC 5322 §3.2.1 escapes any character; old Outlook writes paths of Windows without escaping, so only these two.
_ESCAPED = re.compile(r'\\(["\\])')
_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")

Fields = Mapping[str, bytes]
"""Lower-case name -> raw unfolded value."""


def split(octets: bytes, start: int = 0, end: int | None = None) -> tuple[Fields, int]:
    """The wanted fields between `start` and `end`, and where the body begins.

    Octets that do not begin like a header are all body.
    """
    stop = len(octets) if end is None else end
    begin = start
    mbox = _MBOX_LINE.match(octets, begin, stop)
    if mbox:
        begin = mbox.end()
    if octets[begin : begin + 1] == b"\n" or octets[begin : begin + 2] == b"\r\n":
        return {}, begin + (1 if octets[begin : begin + 1] == b"\n" else 2)
    if not _FIELD_LINE.match(octets, begin, stop):
        return {}, start
    block = octets[begin : min(stop, begin + MAX_BLOCK_BYTES)]
    blank = _BLANK_LINE.search(block)
    if blank:
        return _fields(block[: blank.start() + 1]), begin + blank.end()
    if b"\n" not in block and len(block) < MAX_BLOCK_BYTES:  # lone CR as the end of lines
        header, gap, _ = block.partition(b"\r\r")
        return _fields(header.replace(b"\r", b"\n")), begin + len(header) + len(gap)
    blank = _BLANK_LINE.search(octets, begin + len(block) - 3, stop)
    return _fields(block), blank.end() if blank else stop


def _fields(block: bytes) -> Fields:
    found: dict[str, bytes] = {}
    for name, value in _WANTED.findall(block):
        key = name.lower().decode("ascii")
        if key not in found:
            found[key] = _FOLD.sub(b"", value[:MAX_VALUE_BYTES]).strip()
    return found


def text_of(raw: bytes) -> str:
    """Text of an unstructured field: RFC 2047 words decoded, raw 8-bit guessed, white space in single blanks."""
    text = decode(raw)
    if "=?" in text:
        text = _decode_words(text)
    return " ".join(text.split())


def _decode_words(text: str) -> str:
    pieces: list[str] = []
    at = 0
    charset = ""
    pending = bytearray()  # octets of neighbouring words in one charset: some programs split a character between two
    for word in _ENCODED_WORD.finditer(text):
        between = text[at : word.start()]
        # RFC 2047 §6.2: white space between two encoded words is not shown
        joins = at > 0 and not between.strip()
        if pending and not (joins and charset == word[1].lower()):
            pieces.append(decode(bytes(pending), charset))
            pending.clear()
        if not joins:
            pieces.append(between)
        charset = word[1].lower()
        pending += _word_octets(word[2], word[3])
        at = word.end()
    if pending:
        pieces.append(decode(bytes(pending), charset))
    pieces.append(text[at:])
    return storable("".join(pieces))


def _word_octets(encoding: str, text: str) -> bytes:
    octets = text.encode("utf-8", "replace")
    if encoding in "bB":
        return base64(octets)
    return binascii.a2b_qp(octets.replace(b"\n", b""), header=True)


def base64(octets: bytes) -> bytes:
    """RFC 2045 §6.8, of damaged input as much as can be had."""
    try:
        return binascii.a2b_base64(octets)
    except binascii.Error:
        clean = _BASE64.sub(b"", octets)
        whole = len(clean) - (1 if len(clean) % 4 == 1 else 0)
        return binascii.a2b_base64(clean[:whole] + b"=" * (-whole % 4))


def parameters(raw: bytes) -> tuple[str, dict[str, str]]:
    """`text/plain; charset=x` -> ("text/plain", {"charset": "x"}); names in lower case, RFC 2231 joined and decoded."""
    text = decode(raw[:MAX_PARAMETERS_BYTES])
    main, semicolon, _ = text.partition(";")
    main = main.strip().lower()
    if not semicolon:
        return main, {}
    plain: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    for name, quoted in _PARAMETER.findall(text):
        value = _unquote(quoted)
        base, star, rest = name.lower().partition("*")
        if not star:
            plain.setdefault(base, value)
            continue
        number, _, tail = rest.partition("*")
        index = int(number) if number.isdecimal() and len(number) < 5 else 0
        pieces.setdefault(base, []).append((index, rest == "" or (tail == "" and rest.endswith("*")), value))
    for base, parts in pieces.items():
        plain[base] = _join(parts)
    return main, plain


def _unquote(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return _ESCAPED.sub(r"\1", value[1:-1])
    return value.strip('"')


def _join(parts: list[tuple[int, bool, str]]) -> str:
    """RFC 2231 §3 and §4: numbered pieces, each percent-encoded or not; the first names the charset."""
    octets = bytearray()
    charset = ""
    for position, (_, is_extended, value) in enumerate(sorted(parts, key=lambda part: part[0])):
        if is_extended and position == 0 and value.count("'") >= 2:
            charset, _, value = value.split("'", 2)  # noqa: PLW2901 - the rest is the value
        raw = value.encode("utf-8", "replace")
        octets += _PERCENT.sub(lambda code: bytes((int(code[1], 16),)), raw) if is_extended else raw
    return decode(bytes(octets), charset)
