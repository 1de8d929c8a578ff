"""Folder names between the wire and people: modified UTF-7 (RFC 3501 §5.1.3). Pure and total.

The raw octets are a folder's identity; the text made here is for showing and for matching patterns only.
"""

import base64
import binascii
import re
import unicodedata

_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_DIRECT = re.compile(rb"[\x20-\x25\x27-\x7e]*")
_ENCODED_RUNS = re.compile(r"([^\x20-\x7e]+)")
_SHOWN_AS_IS = frozenset(range(0x20, 0x7F)) - set(b"%&")


def display(raw: bytes) -> str:
    """The name in Unicode; one that is not valid modified UTF-7, or that holds control characters, percent-encoded.

    `&` and `%` are encoded too in the second form, so that it cannot be taken for the name of another folder by chance.
    """
    if _DIRECT.fullmatch(raw):  # nearly every name
        return raw.decode("ascii")
    text = _decoded(raw)
    if text is None or any(unicodedata.category(char) == "Cc" for char in text):
        return "".join(chr(octet) if octet in _SHOWN_AS_IS else f"%{octet:02X}" for octet in raw)
    return text


def encode(name: str) -> bytes:
    """The name in modified UTF-7; `display` gives it back."""
    pieces = _ENCODED_RUNS.split(name)
    return b"".join(
        _shifted(piece) if index % 2 else piece.replace("&", "&-").encode("ascii") for index, piece in enumerate(pieces)
    )


def _shifted(text: str) -> bytes:
    octets = text.encode("utf-16-be", "surrogatepass")
    return b"&" + base64.b64encode(octets).rstrip(b"=").replace(b"/", b",") + b"-"


def _decoded(raw: bytes) -> str | None:
    parts: list[str] = []
    at = 0
    while at < len(raw):
        if raw[at] == 0x26:  # an ampersand
            shifted = _SHIFTED.match(raw, at)
            text = _unshifted(shifted[1]) if shifted else None
            if shifted is None or text is None:
                return None
            at = shifted.end()
        else:
            direct = _DIRECT.match(raw, at)
            if direct is None or direct.end() == at:
                return None
            text = direct[0].decode("ascii")
            at = direct.end()
        parts.append(text)
    return "".join(parts)


def _unshifted(body: bytes) -> str | None:
    if not body:
        return "&"
    try:
        octets = base64.b64decode(body.replace(b",", b"/") + b"=" * (-len(body) % 4), validate=True)
        text = octets.decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        return None
    # RFC 3501 §5.1.3: only one encoding of a name is valid, so bits left over are zero.
    return text if base64.b64encode(octets).rstrip(b"=").replace(b"/", b",") == body else None
