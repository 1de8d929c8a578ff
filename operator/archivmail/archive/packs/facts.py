"""The facts of a member: what the server said of one sighting, as pax records (design §5).

A pax record is `LENGTH KEYWORD=VALUE` and a newline, where LENGTH counts the whole record (POSIX.1-2017, pax, "pax
Extended Header"). Values are octets: a folder name stays what the server sent.
"""

from dataclasses import dataclass
from functools import lru_cache

from archivmail.archive.packs.paths import member_name
from archivmail.model.account import AccountRef, Origin
from archivmail.model.errors import ArchiveDamaged
from archivmail.model.folder import FolderName
from archivmail.model.message import ContentId, Sighting
from archivmail.model.retention import Gone
from archivmail.model.uidset import Uid, UidValidity

PREFIX = b"SCHILY.xattr.user.archivmail."

_SHA256 = PREFIX + b"sha256"
_ACCOUNT = PREFIX + b"account"
_ORIGIN = PREFIX + b"origin"
_FOLDER = PREFIX + b"folder"
_UID_VALIDITY = PREFIX + b"uidvalidity"
_UID = PREFIX + b"uid"
_INTERNAL_DATE = PREFIX + b"internaldate"
_FLAGS = PREFIX + b"flags"
_EMAIL_ID = PREFIX + b"emailid"
_ASSEMBLED = PREFIX + b"assembled"
_LABELS = PREFIX + b"labels"
_GONE = PREFIX + b"gone"
_MAX_DIGITS = 12
_NEWLINE = 0x0A
_NO_RECORDS = "A header of the pack is not a list of pax records."


@dataclass(frozen=True, slots=True)
class Facts:
    """One sighting as its member tells it."""

    account: AccountRef
    origin: Origin
    folder: FolderName
    path: str
    """The folder's path in packs, taken from the member's name."""
    uid_validity: UidValidity
    sighting: Sighting
    content_id: ContentId
    has_octets: bool
    """False: a further sighting; the octets lie in another member."""
    gone: Gone | None = None
    """Set: the message was removed; this is what is left of the sighting."""


class Place:
    """Where the members of one epoch stand, and the records they share, encoded once."""

    __slots__ = ("_path", "_shared", "_uid_validity")

    def __init__(
        self, account: AccountRef, origin: Origin, folder: FolderName, path: str, uid_validity: UidValidity
    ) -> None:
        self._path = path
        self._uid_validity = uid_validity
        self._shared = b"".join(
            (
                account_record(account),
                record(_ORIGIN, str(origin).encode()),
                record(_FOLDER, folder),
                record(_UID_VALIDITY, b"%d" % uid_validity),
            )
        )

    def member(self, sighting: Sighting, *, has_octets: bool) -> bytes:
        """Name of the member of one sighting."""
        return member_name(self._path, self._uid_validity, sighting.uid, has_octets=has_octets).encode()

    def tombstone(self, sighting: Sighting, content_id: ContentId, gone: Gone) -> bytes:
        """The pax records of a sighting whose message was removed: neither flags nor the server's id are left."""
        rest = Sighting(sighting.uid, sighting.internal_date)
        return self.records(rest, content_id) + record(_GONE, str(gone).encode())

    def records(self, sighting: Sighting, content_id: ContentId) -> bytes:
        """The pax records of one sighting."""
        always = (
            record(_SHA256, content_id.hex().encode()),
            self._shared,
            record(_UID, b"%d" % sighting.uid),
            record(_INTERNAL_DATE, _octets(sighting.internal_date)),
            _flags_record(sighting.flags),
        )
        email_id = b"" if sighting.email_id is None else record(_EMAIL_ID, _octets(sighting.email_id))
        assembled = record(_ASSEMBLED, _octets(sighting.assembled)) if sighting.assembled else b""
        labels = record(_LABELS, _octets("\n".join(sighting.labels))) if sighting.labels else b""
        return b"".join((*always, email_id, assembled, labels))


def account_record(account: AccountRef) -> bytes:
    """The pax record that names the account."""
    return record(_ACCOUNT, str(account).encode())


def record(keyword: bytes, value: bytes) -> bytes:
    """One pax record."""
    return b"%b%b\n" % (_before_value(keyword, len(value)), value)


@lru_cache(maxsize=1024)  # a handful of keywords, whose values have a handful of lengths
def _before_value(keyword: bytes, size: int) -> bytes:
    """The length of the record, its keyword and the equals sign."""
    rest = len(keyword) + size + 3  # the blank, "=" and the newline
    length = rest + len(str(rest))
    length = rest + len(str(length))  # counting its own digits may have given it one more
    return b"%d %b=" % (length, keyword)


@lru_cache(maxsize=1024)  # most messages of a folder have the same few
def _flags_record(flags: tuple[str, ...]) -> bytes:
    return record(_FLAGS, _octets(" ".join(flags)))


def records_of(block: bytes) -> dict[bytes, bytes]:
    """The records of a pax extended header. Raises ArchiveDamaged."""
    found: dict[bytes, bytes] = {}
    at = 0
    try:
        while at < len(block):
            blank = block.index(b" ", at, at + _MAX_DIGITS)
            end = at + int(block[at:blank])
            equals = block.index(b"=", blank, end)
            if end > len(block) or block[end - 1] != _NEWLINE:
                raise ArchiveDamaged(_NO_RECORDS)
            found[block[blank + 1 : equals]] = block[equals + 1 : end - 1]
            at = end
    except ValueError as error:
        raise ArchiveDamaged(_NO_RECORDS) from error
    return found


def facts_of(name: str, records: dict[bytes, bytes]) -> Facts:
    """The sighting that a member records. Raises ArchiveDamaged."""
    try:
        email_id = records.get(_EMAIL_ID)
        return Facts(
            account=_account(records[_ACCOUNT]),
            origin=_origin(records[_ORIGIN]),
            folder=FolderName(records[_FOLDER]),
            path=name.rsplit("/", 2)[0],
            uid_validity=UidValidity(int(records[_UID_VALIDITY])),
            sighting=Sighting(
                uid=Uid(int(records[_UID])),
                internal_date=_text(records[_INTERNAL_DATE]),
                flags=tuple(_text(records[_FLAGS]).split()),
                email_id=None if email_id is None else _text(email_id),
                assembled=_text(records.get(_ASSEMBLED, b"")),
                labels=tuple(filter(None, _text(records.get(_LABELS, b"")).split("\n"))),
            ),
            content_id=ContentId(bytes.fromhex(records[_SHA256].decode())),
            has_octets=not name.endswith(".seen"),
            gone=Gone.parse(records[_GONE].decode()) if _GONE in records else None,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ArchiveDamaged(f"The facts of member {name} of the pack cannot be read.") from error


@lru_cache(maxsize=64)  # a pack repeats them in every member
def _account(value: bytes) -> AccountRef:
    return AccountRef(*value.decode().split("/"))


@lru_cache(maxsize=64)
def _origin(value: bytes) -> Origin:
    return Origin.parse(value.decode())


def _octets(text: str) -> bytes:
    """What a server sent that is not UTF-8 comes as lone surrogates; it is written as it was."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
