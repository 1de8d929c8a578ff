"""Names inside a pack: `FOLDER/UIDVALIDITY/UID.eml`, safe to unpack anywhere (design §5).

A folder name is any octets a server likes; a path must never leave the directory it is unpacked into, never be empty
and never make two folders one. So every octet outside a small set of ASCII is percent-encoded, level by level, and
what is too long for a file system ends in a hash of the whole. The exact name stands in the member's facts; the path
is for people, and is not read back.
"""

import re
from hashlib import sha256

SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+@=,")
MAX_LEVEL_BYTES = 255  # NAME_MAX of the usual file systems
MAX_FOLDER_BYTES = 1024  # leaves room for the place where a pack is unpacked, within PATH_MAX (4096)
EMPTY_LEVEL = "%"  # cannot come from encoding: there two hex digits follow
CUT = "~"  # not in SAFE, so a shortened name never equals a whole one

_ENCODED = tuple(chr(octet) if octet in SAFE else f"%{octet:02X}" for octet in range(256))
_LOOKS_LIKE_A_MESSAGE = re.compile(r"[0-9]+\.(eml|seen)")


def member_folder(raw: bytes, delimiter: bytes | None) -> str:
    """The folder as a relative path: never empty, absolute, `.` or `..`; different folders have different paths.

    `delimiter` None or empty: the name is one level. An INBOX of other case is another path; the server decides
    what is one folder.
    """
    levels = raw.split(delimiter) if delimiter else [raw]
    path = "/".join(_level(level) for level in levels)
    if len(path) <= MAX_FOLDER_BYTES:
        return path
    return _cut("%2F".join(_level(level) for level in levels), raw)


def file_level(text: str) -> str:
    """A name of ours (a namespace, an account) as one level of a path."""
    return _level(text.encode())


def member_name(folder: str, uid_validity: int, uid: int, *, has_octets: bool) -> str:
    """Path of a member; `folder` comes from `member_folder`."""
    return f"{folder}/{uid_validity}/{uid}.{'eml' if has_octets else 'seen'}"


def _level(raw: bytes) -> str:
    if not raw:
        return EMPTY_LEVEL
    if not raw.strip(b"."):
        return "%2E" * len(raw) if len(raw) * 3 <= MAX_LEVEL_BYTES else _cut("%2E" * len(raw), raw)
    text = "".join(map(_ENCODED.__getitem__, raw))
    if _LOOKS_LIKE_A_MESSAGE.fullmatch(text):
        # A folder named like a message would stand where another folder's file is.
        text = text.replace(".", "%2E")
    return text if len(text) <= MAX_LEVEL_BYTES else _cut(text, raw)


def _cut(text: str, raw: bytes) -> str:
    """A prefix, never ending within an encoded octet, and 128 bits of hash over the whole."""
    tail = CUT + sha256(raw).hexdigest()[:32]
    head = text[: MAX_LEVEL_BYTES - len(tail)]
    broken = head.rfind("%", len(head) - 2)
    return (head if broken < 0 else head[:broken]) + tail
