"""Names of exported files: `NAMESPACE/ACCOUNT/FOLDER/UIDVALIDITY-UID.eml`, path levels encoded as in packs.

Whatever the server calls its folders, a name stays below the output and two messages never share one.
"""

import re
from hashlib import sha256

from archivmail.archive.packs.paths import MAX_LEVEL_BYTES, file_level, member_folder
from archivmail.archive.rows import PlacementRow
from archivmail.model.account import AccountRef
from archivmail.model.message import ContentId

MBOX_SUFFIX = ".mbox"
_MESSAGE = re.compile(r"[0-9]+-[0-9]+(~[0-9a-f]+)?\.eml")

# As Dovecot and Courier write folder names into Maildir++: modified UTF-7 (RFC 9051 §A.1) as it stands. The full stop
# parts levels there, "/" cannot be in a name, "%" introduces what is encoded, "~" opens Dovecot's home syntax.
_MAILDIR_SAFE = frozenset(range(0x20, 0x7F)) - frozenset(b"./%~")


def account_path(account: AccountRef) -> str:
    return f"{file_level(account.namespace)}/{file_level(account.name)}"


def message_path(row: PlacementRow) -> str:
    """Of a message in the eml tree and in a tar."""
    levels = member_folder(row.folder, row.delimiter).split("/")
    # A folder named like a message would stand where the file of its parent folder is.
    folder = "/".join(level.replace(".", "%2E") if _MESSAGE.fullmatch(level) else level for level in levels)
    return f"{account_path(row.account)}/{folder}/{row.uid_validity}-{row.uid}.eml"


def distinct(path: str, content_id: ContentId) -> str:
    """Another name for a message whose own is taken by other octets: a UIDVALIDITY that came back."""
    stem, _, suffix = path.rpartition(".")
    return f"{stem}~{content_id.hex()[:8]}.{suffix}"


def mbox_path(row: PlacementRow) -> str:
    """`NAMESPACE/ACCOUNT/FOLDER.mbox`. A level above it that ends in .mbox is written so that no file stands there."""
    *above, last = member_folder(row.folder, row.delimiter).split("/")
    above = [level.removesuffix(MBOX_SUFFIX) + "%2Embox" if level.endswith(MBOX_SUFFIX) else level for level in above]
    if len(last) + len(MBOX_SUFFIX) > MAX_LEVEL_BYTES:
        last = _hashed(last, row.folder, MAX_LEVEL_BYTES - len(MBOX_SUFFIX))
    return "/".join((account_path(row.account), *above, last + MBOX_SUFFIX))


def maildir_folder(row: PlacementRow) -> str:
    """Directory of a folder below the account's Maildir++ root: "" for INBOX, else `.Level.Level`."""
    if row.folder.upper() == b"INBOX":  # RFC 9051 §5.1: INBOX in any case
        return ""
    levels = row.folder.split(row.delimiter) if row.delimiter else [row.folder]
    name = "".join("." + _maildir_level(level) for level in levels)
    return name if len(name) <= MAX_LEVEL_BYTES else _hashed(name, row.folder, MAX_LEVEL_BYTES)


def _maildir_level(level: bytes) -> str:
    return "".join(chr(octet) if octet in _MAILDIR_SAFE else f"%{octet:02X}" for octet in level) or "%"


def _hashed(name: str, raw: bytes, max_length: int) -> str:
    """A prefix and 128 bits of hash; "~" is in no whole name."""
    tail = "~" + sha256(raw).hexdigest()[:32]
    head = name[: max_length - len(tail)]
    broken = head.rfind("%", len(head) - 2)
    return (head if broken < 0 else head[:broken]) + tail
