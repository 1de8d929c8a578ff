"""The facts of a member: what the server said of one sighting, as pax records (design §5).

A pax record is `LENGTH KEYWORD=VALUE` and a newline, where LENGTH counts the whole record (POSIX.1-2017, pax, "pax
Extended Header"). Values are octets: a folder name stays what the server sent.
"""

from dataclasses import dataclass

from archivmail.archive.packs.paths import member_name
from archivmail.model.account import AccountRef, Origin
from archivmail.model.errors import ArchiveDamaged
from archivmail.model.folder import FolderName
from archivmail.model.message import ContentId, Sighting
from archivmail.model.uidset import Uid, UidValidity

PREFIX = b"SCHILY.xattr.user.archivmail."


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
                record(PREFIX + b"account", str(account).encode()),
                record(PREFIX + b"origin", str(origin).encode()),
                record(PREFIX + b"folder", folder),
                record(PREFIX + b"uidvalidity", b"%d" % uid_validity),
            )
        )

    def member(self, sighting: Sighting, *, has_octets: bool) -> bytes:
        """Name of the member of one sighting."""
        return member_name(self._path, self._uid_validity, sighting.uid, has_octets=has_octets).encode()

    def records(self, sighting: Sighting, content_id: ContentId) -> bytes:
        """The pax records of one sighting."""
        shared = (
            record(PREFIX + b"sha256", content_id.hex().encode()),
            self._shared,
            record(PREFIX + b"uid", b"%d" % sighting.uid),
            record(PREFIX + b"internaldate", _octets(sighting.internal_date)),
            record(PREFIX + b"flags", _octets(" ".join(sighting.flags))),
        )
        if sighting.email_id is None:
            return b"".join(shared)
        return b"".join((*shared, record(PREFIX + b"emailid", _octets(sighting.email_id))))


def record(keyword: bytes, value: bytes) -> bytes:
    """One pax record."""
    rest = len(keyword) + len(value) + 3  # the blank, "=" and the newline
    length = rest + len(str(rest))
    length = rest + len(str(length))  # counting its own digits may have given it one more
    return b"%d %s=%s\n" % (length, keyword, value)


def records_of(block: bytes) -> dict[bytes, bytes]:
    """The records of a pax extended header. Raises ArchiveDamaged."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(block):
        blank = block.find(b" ", at, at + 12)
        digits = block[at:blank] if blank > 0 else b""
        end = at + int(digits) if digits.isdigit() else 0
        keyword, equals, value = block[blank + 1 : end - 1].partition(b"=")
        if end <= blank or end > len(block) or block[end - 1 : end] != b"\n" or not equals:
            raise ArchiveDamaged("A header of the pack is not a list of pax records.")
        found[keyword] = value
        at = end
    return found


def facts_of(name: str, records: dict[bytes, bytes]) -> Facts:
    """The sighting that a member records. Raises ArchiveDamaged."""
    try:
        account = records[PREFIX + b"account"].decode()
        email_id = records.get(PREFIX + b"emailid")
        return Facts(
            account=AccountRef(*account.split("/")),
            origin=Origin.parse(records[PREFIX + b"origin"].decode()),
            folder=FolderName(records[PREFIX + b"folder"]),
            path=name.rsplit("/", 2)[0],
            uid_validity=UidValidity(int(records[PREFIX + b"uidvalidity"])),
            sighting=Sighting(
                uid=Uid(int(records[PREFIX + b"uid"])),
                internal_date=_text(records[PREFIX + b"internaldate"]),
                flags=tuple(_text(records[PREFIX + b"flags"]).split()),
                email_id=None if email_id is None else _text(email_id),
            ),
            content_id=ContentId(bytes.fromhex(records[PREFIX + b"sha256"].decode())),
            has_octets=not name.endswith(".seen"),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise ArchiveDamaged(f"The facts of member {name} of the pack cannot be read.") from error


def _octets(text: str) -> bytes:
    """What a server sent that is not UTF-8 comes as lone surrogates; it is written as it was."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
