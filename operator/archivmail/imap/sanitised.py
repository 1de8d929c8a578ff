"""Lines of a server put into the one form that imaplib can read. Pure.

imaplib is used until the login is done, when no literal is due. It stumbles over tagged lines without text (trap 71),
blank lines (73), bare LF and lower case (74), and takes a text that ends in `{12}` for a literal (75).
"""

import re

_TAGGED = re.compile(rb"([A-Za-z]{4}[0-9]+)[ \t]+([A-Za-z]+)[ \t]*(.*)$", re.DOTALL)
_UNTAGGED = re.compile(rb"\*[ \t]+([0-9]+[ \t]+)?([A-Za-z-]+)[ \t]*(.*)$", re.DOTALL)
_NOT_ASCII = bytes(octet if octet < 0x80 and octet not in b"\0\r" else 0x3F for octet in range(256))


def line(raw: bytes) -> bytes | None:
    """The line with CRLF, or None for a blank one, which is to be passed over."""
    text = raw.rstrip(b"\r\n")
    if not text.strip():
        return None
    text = text.translate(_NOT_ASCII)
    if text.startswith(b"*"):
        found = _UNTAGGED.match(text)
        if found:
            text = b"* " + (found[1] or b"") + found[2].upper() + b" " + found[3]
    elif not text.startswith(b"+"):
        found = _TAGGED.match(text)
        if found:
            text = found[1] + b" " + found[2].upper() + b" " + found[3]
    if text.endswith(b"}"):
        text += b" "
    return text + b"\r\n"
