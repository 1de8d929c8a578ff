"""What stands in an archive, read back as a user would, and compared with what the server holds."""

from __future__ import annotations

import hashlib
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import zstandard

from archivmail.archive.opening import open_archive
from archivmail.model.foldernames import display
from tests.servers.mailboxes import Mailboxes

Placements = dict[tuple[str, int, int], bytes]


def placements(archive: Path, *, namespace: str | None = None, account: str | None = None) -> Placements:
    """SHA-256 by (folder, UIDVALIDITY, UID), from the octets as they are read back."""
    found: Placements = {}
    with open_archive(str(archive), create=False, read_only=True) as opened:
        hashes: dict[bytes, bytes] = {}
        for row in opened.placements(namespace=namespace, account=account):
            if row.content_id not in hashes:
                octets = b"".join(opened.octets(row.content_id))
                hashes[row.content_id] = hashlib.sha256(octets).digest()
            found[display(row.folder), row.uid_validity, row.uid] = hashes[row.content_id]
    return found


def on_server(server: Mailboxes, user: str) -> Placements:
    """The same of what the server holds now."""
    return {
        (folder, server.uid_validity(user, folder), uid): hashlib.sha256(octets).digest()
        for folder, messages in server.all_messages(user).items()
        for uid, octets in messages.items()
    }


def assert_equal_to_server(archive: Path, server: Mailboxes, user: str) -> None:
    """Invariants 1 and 3: every message of the server is there, octet for octet, and nothing foreign."""
    held, listed = placements(archive), on_server(server, user)

    assert set(listed) == set(held)
    assert listed == held


def octets_stored(archive: Path, namespace: str = "") -> Iterator[bytes]:
    """The octets of every message in the packs, read without our code: zstd and tar. Of a namespace, or of all."""
    for pack in sorted((archive / "packs" / namespace).rglob("*.tar.zst")):
        with (
            pack.open("rb") as stream,
            zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True) as plain,
            tarfile.open(fileobj=plain, mode="r|") as members,
        ):
            for member in members:
                if member.name.endswith(".eml"):
                    octets = members.extractfile(member)
                    assert octets is not None
                    yield octets.read()


def contents_stored(archive: Path, namespace: str = "") -> Counter[bytes]:
    """How often each content's octets stand in the packs."""
    return Counter(hashlib.sha256(octets).digest() for octets in octets_stored(archive, namespace))
