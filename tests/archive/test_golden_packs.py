"""Version 1 is readable for ever: packs written in 2026 give what they gave then. Never write these files anew.

They are read in two ways: by `rebuild`, and by a reader written here from docs/archive-format.md alone.
"""

import base64
import json
import shutil
import struct
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import zstandard

from archivmail.archive.opening import open_archive, open_for_rebuild
from archivmail.model.message import ContentId

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted(each.name for each in GOLDEN.iterdir())


def _expected(version: str) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    document = json.loads((GOLDEN / version / "expected.json").read_text())
    return document["placements"], {key: base64.b64decode(value) for key, value in document["contents"].items()}


def _in_order(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


@pytest.mark.parametrize("version", VERSIONS)
def test_old_packs_restore_the_archive(version: str, tmp_path: Path) -> None:
    """Every placement with its facts, every octet."""
    placements, contents = _expected(version)
    shutil.copytree(GOLDEN / version / "packs", tmp_path / "packs")

    with open_for_rebuild(str(tmp_path)) as archive:
        report = archive.rebuild()
    with open_archive(str(tmp_path), create=False) as archive:
        assert archive.verify(full=True).is_clean
        found = [
            {
                "account": str(row.account),
                "folder": row.folder.hex(),
                "uidValidity": row.uid_validity,
                "uid": row.uid,
                "sha256": row.content_id.hex(),
                "internalDate": row.internal_date,
                "flags": list(row.flags),
            }
            for row in archive.placements()
        ]
        octets = {key: b"".join(archive.octets(ContentId(bytes.fromhex(key)))) for key in contents}

    assert (report.corrupt, report.missing) == ((), ())
    assert _in_order(found) == _in_order(placements)
    assert octets == contents


@pytest.mark.parametrize("version", VERSIONS)
def test_the_format_page_is_enough_to_write_a_reader(version: str) -> None:
    """Nothing of archivmail is used: struct, the tar format and a zstd library."""
    placements, contents = _expected(version)
    found: list[dict[str, Any]] = []
    octets: dict[str, bytes] = {}
    for pack in sorted((GOLDEN / version / "packs").rglob("*.tar.zst")):
        for name, facts, data in _members(pack.read_bytes()):
            found.append(
                {
                    "account": facts["account"].decode(),
                    "folder": facts["folder"].hex(),
                    "uidValidity": int(facts["uidvalidity"]),
                    "uid": int(facts["uid"]),
                    "sha256": facts["sha256"].decode(),
                    "internalDate": facts["internaldate"].decode(),
                    "flags": facts["flags"].decode().split(),
                }
            )
            if name.endswith(b".eml"):
                octets[facts["sha256"].decode()] = data
                assert sha256(data).hexdigest() == facts["sha256"].decode()
            else:
                assert (name[-5:], data) == (b".seen", b"")

    assert _in_order(found) == _in_order(placements)
    assert octets == contents


def _members(pack: bytes) -> Iterator[tuple[bytes, dict[str, bytes], bytes]]:
    """Frame by frame, as the seek table lists them; the last holds the end marker."""
    count, descriptor, magic = struct.unpack("<IBI", pack[-9:])
    assert magic == 0x8F92EAB1
    entry = 12 if descriptor & 0x80 else 8
    table = pack[-9 - count * entry : -9]
    assert struct.unpack("<I", pack[-9 - count * entry - 8 :][:4]) == (0x184D2A5E,)
    offset = 0
    for number in range(count):
        length, size = struct.unpack_from("<II", table, number * entry)
        frame = zstandard.ZstdDecompressor().decompress(pack[offset : offset + length], max_output_size=size)
        assert len(frame) == size
        offset += length
        if number == count - 1:
            assert frame == bytes(1024)
            return
        yield _member(frame)


def _member(frame: bytes) -> tuple[bytes, dict[str, bytes], bytes]:
    """A pax header with its records, a ustar header, the data."""
    facts: dict[str, bytes] = {}
    name = b""
    at = 0
    while True:
        header = frame[at : at + 512]
        size = int(header[124:135], 8)
        at += 512
        data = frame[at : at + size]
        at += -(-size // 512) * 512
        if header[156:157] != b"x":
            return name or header[:100].rstrip(b"\0"), facts, data
        while data:
            length = int(data[: data.index(b" ")])
            keyword, _, value = data[data.index(b" ") + 1 : length - 1].partition(b"=")
            data = data[length:]
            facts[keyword.removeprefix(b"SCHILY.xattr.user.archivmail.").decode()] = value
            name = value if keyword == b"path" else name
