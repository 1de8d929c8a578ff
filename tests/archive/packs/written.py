"""Packs for tests: written by the real writer into a file."""

from collections.abc import Iterable
from pathlib import Path

from archivmail.archive.packs.facts import Place
from archivmail.archive.packs.local import LocalStore
from archivmail.archive.packs.paths import member_folder
from archivmail.archive.packs.writing import PackWriter, Span
from archivmail.model.account import AccountRef, Origin
from archivmail.model.folder import FolderName
from archivmail.model.message import Sighting
from archivmail.model.uidset import UidValidity
from tests.archive.builders import ALICE, ORIGIN, NoFsync, Octets, sighting

NAME = "packs/team-a/alice/0192f0c0a000-00000000aaaa.tar.zst"


def store_in(directory: Path) -> LocalStore:
    return LocalStore(directory, NoFsync())


def place(
    folder: bytes = b"INBOX",
    delimiter: bytes | None = b"/",
    uid_validity: int = 7,
    account: AccountRef = ALICE,
    origin: Origin = ORIGIN,
) -> Place:
    path = member_folder(folder, delimiter)
    return Place(account, origin, FolderName(folder), path, UidValidity(uid_validity))


def write_pack(
    directory: Path, members: Iterable[tuple[Place, Sighting, bytes]], *, name: str = NAME
) -> tuple[Path, list[Span]]:
    """A pack of these messages, and where they lie."""
    draft = store_in(directory).draft(name)
    writer = PackWriter(draft)
    spans = [writer.append(where, seen, Octets(octets)) for where, seen, octets in members]
    writer.finish()
    draft.keep()
    return directory / name, spans


def write_messages(directory: Path, bodies: Iterable[bytes]) -> tuple[Path, list[Span]]:
    return write_pack(directory, [(place(), sighting(at), octets) for at, octets in enumerate(bodies, start=1)])
