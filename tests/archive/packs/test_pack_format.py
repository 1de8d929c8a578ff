"""Version 1 of the pack format is a promise: what is written here opens with standard tools, octet for octet."""

import io
import os
import random
import struct
import subprocess
import tarfile
from pathlib import Path

import indexed_zstd
import pytest
import zstandard

from archivmail.archive.packs.reading import Member, content, frames, scan
from archivmail.archive.packs.writing import MAX_MESSAGE, WHOLE, PackWriter
from archivmail.model.errors import ArchivmailError
from archivmail.model.reasons import Reason
from tests.archive.builders import DATE, Octets, content_id, sighting
from tests.archive.packs.written import NAME, place, store_in, write_messages, write_pack

ODD_BODIES = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"x", id="one-octet"),
    pytest.param(b"a\0b\0", id="nul"),
    pytest.param(b"Subject: \xe4\xf6\xff\r\n\r\n\x80", id="eight-bit"),
    pytest.param(b"bare\nline\nfeeds", id="bare-lf-and-no-final-newline"),
    pytest.param(b"y" * 512, id="exactly-one-block"),
    pytest.param(b"y" * 513, id="one-octet-more-than-a-block"),
]


@pytest.mark.parametrize("octets", ODD_BODIES)
def test_octets_come_back_as_they_were(tmp_path: Path, octets: bytes) -> None:
    """Invariant 3, by our own reader."""
    _, (span,) = write_messages(tmp_path, [octets])

    with store_in(tmp_path).open(NAME) as source:
        assert b"".join(content(source, span.offset, span.length)) == octets


@pytest.mark.parametrize("octets", ODD_BODIES)
def test_gnu_tar_gives_the_octets(tmp_path: Path, octets: bytes) -> None:
    """Invariant 3, by a tool that knows nothing of us."""
    pack, _ = write_messages(tmp_path, [octets])

    listed = subprocess.run(["tar", "--zstd", "-tf", pack], capture_output=True, check=True)
    given = subprocess.run(["tar", "--zstd", "-xOf", pack], capture_output=True, check=True)

    assert listed.stdout == b"INBOX/7/1.eml\n"
    assert (given.stdout, given.stderr) == (octets, b"")


def test_gnu_tar_restores_the_facts_as_extended_attributes(tmp_path: Path) -> None:
    """Design §5: the facts are pax records that tar knows. Skips nothing: the file system must keep them."""
    seen = sighting(3, flags=("\\Seen", "$Junk"), email_id="M6d99ac3275bb4e", labels=("\\Inbox", "a b"))
    pack, _ = write_pack(tmp_path, [(place(b"R&AOk-sum\xe9s"), seen, b"octets")])
    target = tmp_path / "out"
    target.mkdir()

    subprocess.run(["tar", "--zstd", "--xattrs", "-xf", pack, "-C", target], check=True)

    (file,) = target.rglob("*.eml")
    kept = {name: os.getxattr(file, name) for name in os.listxattr(file) if name.startswith("user.archivmail.")}
    assert kept == {
        "user.archivmail.sha256": content_id(b"octets").hex().encode(),
        "user.archivmail.account": b"team-a/alice",
        "user.archivmail.origin": b"imap://alice%40example.org@imap.example.org:993",
        "user.archivmail.folder": b"R&AOk-sum\xe9s",
        "user.archivmail.uidvalidity": b"7",
        "user.archivmail.uid": b"3",
        "user.archivmail.internaldate": DATE.encode(),
        "user.archivmail.flags": b"\\Seen $Junk",
        "user.archivmail.emailid": b"M6d99ac3275bb4e",
        "user.archivmail.labels": b"\\Inbox\na b",
    }
    assert file.stat().st_mtime == 837_596_665  # 1996-07-17 09:44:25 UTC


def test_tar_without_xattrs_is_silent(tmp_path: Path) -> None:
    """Design §5: an old hand's `tar -x` says nothing about records it does not restore."""
    pack, _ = write_messages(tmp_path, [b"octets"])

    done = subprocess.run(["tar", "--zstd", "-xf", pack, "-C", tmp_path], capture_output=True, check=True)

    assert (done.stdout, done.stderr) == (b"", b"")
    assert (tmp_path / "INBOX/7/1.eml").read_bytes() == b"octets"


def test_tarfile_reads_through_a_seekable_zstd_reader(tmp_path: Path) -> None:
    """The seek table is the standard one: libzstd-seek finds any octet with it, and Python's tarfile the members."""
    chance = random.Random(3)
    bodies = [chance.randbytes(chance.randrange(40_000)) for _ in range(60)]
    pack, _ = write_messages(tmp_path, bodies)

    with indexed_zstd.IndexedZstdFile(str(pack)) as stream, tarfile.open(fileobj=stream) as tar:
        members = tar.getmembers()
        last = tar.extractfile(members[-1])
        first = tar.extractfile(members[0])
        assert last is not None
        assert first is not None
        assert (last.read(), first.read()) == (bodies[-1], bodies[0])

    assert [member.name for member in members] == [f"INBOX/7/{uid}.eml" for uid in range(1, 61)]
    assert members[0].pax_headers["SCHILY.xattr.user.archivmail.uid"] == "1"


def test_seek_table_lists_every_frame_with_its_checksum(tmp_path: Path) -> None:
    """The seekable format, field by field, and each frame a zstd frame with content size and checksum."""
    pack, spans = write_messages(tmp_path, [b"one", b"two" * 1000])
    octets = pack.read_bytes()

    count, descriptor, magic = struct.unpack("<IBI", octets[-9:])
    assert (count, descriptor, magic) == (3, 0x80, 0x8F92EAB1)
    table = octets[-(8 + 3 * 12 + 9) :]
    assert struct.unpack("<II", table[:8]) == (0x184D2A5E, len(table) - 8)
    at = 0
    for number in range(3):
        length, content_length, checksum = struct.unpack_from("<II4s", table, 8 + 12 * number)
        frame = octets[at : at + length]
        parameters = zstandard.get_frame_parameters(frame)
        assert parameters.has_checksum
        assert parameters.content_size == content_length == len(zstandard.ZstdDecompressor().decompress(frame))
        assert frame[-4:] == checksum
        if number < 2:
            assert (at, length) == (spans[number].offset, spans[number].length)
        at += length
    assert at + len(table) == len(octets)


def test_last_frame_is_the_end_marker(tmp_path: Path) -> None:
    """So the concatenation of all frames is a whole tar."""
    pack, _ = write_messages(tmp_path, [b"one"])

    with store_in(tmp_path).open(NAME) as source:
        last = frames(source)[-1]
    octets = pack.read_bytes()[last.offset : last.offset + last.length]
    assert zstandard.ZstdDecompressor().decompress(octets) == bytes(1024)


def test_a_further_sighting_is_an_empty_member(tmp_path: Path) -> None:
    """Design §5: `.seen` with the same records."""
    draft = store_in(tmp_path).draft(NAME)
    writer = PackWriter(draft)
    writer.append(place(), sighting(1), Octets(b"octets"))
    writer.append_seen(place(b"Copies"), sighting(9, flags=("\\Flagged",)), content_id(b"octets"))
    writer.finish()
    draft.keep()

    with store_in(tmp_path).open(NAME) as source:
        first, second = scan(source, frames(source))
    assert isinstance(first, Member)
    assert isinstance(second, Member)
    assert (first.facts.has_octets, second.facts.has_octets) == (True, False)
    assert (second.size, second.facts.content_id, second.facts.folder) == (0, first.facts.content_id, b"Copies")
    with tarfile.open(fileobj=io.BytesIO(zstandard.ZstdDecompressor().stream_reader(
        (tmp_path / NAME).read_bytes(), read_across_frames=True).read())) as tar:  # fmt: skip
        assert tar.getnames() == ["INBOX/7/1.eml", "Copies/7/9.seen"]


@pytest.mark.parametrize(
    "kind",
    [pytest.param(bytes, id="zeros"), pytest.param(random.Random(5).randbytes, id="random")],
)
def test_a_large_message_is_streamed(tmp_path: Path, kind) -> None:
    """20 MB do not pass through one call of the compressor, and come back all the same."""
    octets = kind(20_000_003)
    assert len(octets) > WHOLE
    draft = store_in(tmp_path).draft(NAME)
    writer = PackWriter(draft)
    span = writer.append(place(), sighting(1), Octets(octets, piece=65_536))
    after = writer.append(place(), sighting(2), Octets(b"small"))
    writer.finish()
    draft.keep()

    with store_in(tmp_path).open(NAME) as source:
        assert [type(member) for member in scan(source, frames(source))] == [Member, Member]
        assert b"".join(content(source, span.offset, span.length)) == octets
        assert b"".join(content(source, after.offset, after.length)) == b"small"
    given = subprocess.run(["tar", "--zstd", "-xOf", tmp_path / NAME, "INBOX/7/1.eml"], capture_output=True, check=True)
    assert given.stdout == octets


class _Huge(Octets):
    """Says that it is large; nobody may read it."""

    def __init__(self) -> None:
        super().__init__(b"")
        self.size = MAX_MESSAGE + 1


def test_a_message_beyond_the_bound_is_refused_by_reason(tmp_path: Path) -> None:
    """The seek table counts in 32 bits; the pack stays good for others."""
    draft = store_in(tmp_path).draft(NAME)
    writer = PackWriter(draft)

    with pytest.raises(ArchivmailError) as raised:
        writer.append(place(), sighting(1), _Huge())

    assert raised.value.reason is Reason.MESSAGE_TOO_LARGE
    writer.append(place(), sighting(2), Octets(b"small"))
    writer.finish()
    draft.keep()
    with store_in(tmp_path).open(NAME) as source:
        assert [member.facts.sighting.uid for member in scan(source, frames(source))] == [2]


class _Breaking(Octets):
    """A body whose file cannot be read to its end."""

    def chunks(self):
        yield bytes(WHOLE)
        raise OSError("the temporary file is gone")


def test_a_body_that_breaks_leaves_no_trace(tmp_path: Path) -> None:
    """A streamed member that fails half-way is cut back; the next one stands where it began."""
    draft = store_in(tmp_path).draft(NAME)
    writer = PackWriter(draft)
    first = writer.append(place(), sighting(1), Octets(b"before"))

    with pytest.raises(OSError, match="gone"):
        writer.append(place(), sighting(2), _Breaking(bytes(3 * WHOLE)))

    after = writer.append(place(), sighting(3), Octets(b"after"))
    writer.finish()
    assert after.offset == first.offset + first.length
    assert draft.keep() == (tmp_path / NAME).stat().st_size
    with store_in(tmp_path).open(NAME) as source:
        assert [member.facts.sighting.uid for member in scan(source, frames(source))] == [1, 3]


@pytest.mark.parametrize("size", [pytest.param(10, id="in-one-call"), pytest.param(2 * WHOLE, id="streamed")])
@pytest.mark.parametrize("wrong", [-1, 1])
def test_a_body_of_another_size_than_it_says_is_refused(tmp_path: Path, size: int, wrong: int) -> None:
    """A header that lies about the octets behind it would make the rest of the tar unreadable."""
    draft = store_in(tmp_path).draft(NAME)
    writer = PackWriter(draft)
    body = Octets(bytes(size))
    body.size = size + wrong

    with pytest.raises(ValueError, match="size"):
        writer.append(place(), sighting(1), body)

    writer.append(place(), sighting(2), Octets(b"good"))
    writer.finish()
    draft.keep()
    with store_in(tmp_path).open(NAME) as source:
        assert [member.facts.sighting.uid for member in scan(source, frames(source))] == [2]


@pytest.mark.parametrize(
    ("date", "mtime"),
    [
        pytest.param(DATE, 837_596_665, id="as-the-rfc-writes-it"),
        pytest.param(" 1-Jan-1960 00:00:00 +0000", -315_619_200, id="before-1970"),
        pytest.param("", 0, id="none"),
        pytest.param("yesterday", 0, id="nonsense"),
    ],
)
def test_mtime_is_the_internal_date(tmp_path: Path, date: str, mtime: int) -> None:
    """Design §5; the raw text stays a fact even where it is no date."""
    pack, _ = write_pack(tmp_path, [(place(), sighting(1, date=date), b"octets")])

    with indexed_zstd.IndexedZstdFile(str(pack)) as stream, tarfile.open(fileobj=stream) as tar:
        (member,) = tar.getmembers()

    assert member.mtime == mtime
    assert member.pax_headers["SCHILY.xattr.user.archivmail.internaldate"] == date
