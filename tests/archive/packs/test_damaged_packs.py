"""Damage is found and stays where it is: one bad frame costs its message and no other."""

from pathlib import Path

import pytest

from archivmail.archive.packs.facts import Facts, records_of
from archivmail.archive.packs.reading import Damage, Member, content, frames, scan
from archivmail.archive.packs.walking import walk
from archivmail.model.errors import ArchiveDamaged
from archivmail.model.folder import FolderName
from archivmail.model.uidset import UidValidity
from tests.archive.builders import ALICE, ORIGIN, content_id, sighting
from tests.archive.packs.written import NAME, store_in, write_messages

BODIES = [b"one", b"two\r\n" * 40, bytes(range(256)) * 3]


def _rewrite(pack: Path, octets: bytes) -> None:
    pack.chmod(0o640)
    pack.write_bytes(octets)


def _problems(directory: Path) -> list[int]:
    """UIDs that are not read as they were written; 0 for what is no message."""
    with store_in(directory).open(NAME) as source:
        try:
            listed = frames(source)
        except ArchiveDamaged:
            return [0]
        found = list(scan(source, listed))
    whole = {member.facts.sighting.uid: (member.facts, member.size) for member in found if isinstance(member, Member)}
    wrong = [uid for uid, octets in enumerate(BODIES, 1) if whole.get(uid) != (_facts(uid), len(octets))]
    return wrong + [0] * sum(isinstance(member, Damage) for member in found)


def _facts(uid: int) -> Facts:
    return Facts(
        account=ALICE,
        origin=ORIGIN,
        folder=FolderName(b"INBOX"),
        path="INBOX",
        uid_validity=UidValidity(7),
        sighting=sighting(uid),
        content_id=content_id(BODIES[uid - 1]),
        has_octets=True,
    )


def test_a_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    """One bit of each octet of a pack. Where nothing is noticed, every message and fact is still as it was written.

    That happens: some bits of a zstd frame are unused, and some matches can be written in two ways.
    """
    pack, spans = write_messages(tmp_path, BODIES)
    good = pack.read_bytes()
    unnoticed = []
    for at in range(len(good)):
        _rewrite(pack, good[:at] + bytes([good[at] ^ (1 << at % 8)]) + good[at + 1 :])
        if not _problems(tmp_path):  # then facts, sizes and SHA-256 are those of the bodies
            unnoticed.append(at)

    end_marker = spans[-1].offset + spans[-1].length
    with store_in(tmp_path).open(NAME) as source:
        _rewrite(pack, good)
        table = frames(source)[-1]
    assert end_marker == table.offset
    assert [at for at in unnoticed if at >= table.offset + table.length] == []
    assert len(unnoticed) < len(good) * 0.02


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_frame_of_other_octets_is_noticed(tmp_path: Path, number: int) -> None:
    """Every octet of a message's frame overwritten in turn by its complement: noticed, or still the same message."""
    pack, spans = write_messages(tmp_path, BODIES)
    good = pack.read_bytes()
    span = spans[number]
    for at in range(span.offset, span.offset + span.length):
        _rewrite(pack, good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])
        with store_in(tmp_path).open(NAME) as source:
            try:
                octets = b"".join(content(source, span.offset, span.length))
            except ArchiveDamaged:
                continue
        assert octets == BODIES[number]


def test_a_damaged_frame_leaves_the_others_readable(tmp_path: Path) -> None:
    """And its range read says so too."""
    pack, spans = write_messages(tmp_path, BODIES)
    good = pack.read_bytes()
    middle = spans[1].offset + spans[1].length // 2
    _rewrite(pack, good[:middle] + bytes([good[middle] ^ 0xFF]) + good[middle + 1 :])

    assert [uid for uid in _problems(tmp_path) if uid] == [2]
    with store_in(tmp_path).open(NAME) as source:
        assert b"".join(content(source, spans[0].offset, spans[0].length)) == BODIES[0]
        assert b"".join(content(source, spans[2].offset, spans[2].length)) == BODIES[2]
        with pytest.raises(ArchiveDamaged):
            list(content(source, spans[1].offset, spans[1].length))


@pytest.mark.parametrize("keep", [0, 1, 8, 20, 100, -1, -9, -30])
def test_a_pack_that_is_cut_short_is_damaged(tmp_path: Path, keep: int) -> None:
    """Wherever it ends."""
    pack, _ = write_messages(tmp_path, BODIES)
    _rewrite(pack, pack.read_bytes()[:keep])

    with store_in(tmp_path).open(NAME) as source, pytest.raises(ArchiveDamaged):
        frames(source)


def test_frames_are_found_without_the_seek_table(tmp_path: Path) -> None:
    """What the table lists can be followed by the block headers alone."""
    pack, _ = write_messages(tmp_path, [*BODIES, bytes(3_000_000), b"last"])
    with store_in(tmp_path).open(NAME) as source:
        listed = frames(source)
        _rewrite(pack, pack.read_bytes()[:-9] + bytes(9))
        assert walk(source) == listed


def test_a_range_that_is_no_member_is_damage(tmp_path: Path) -> None:
    """A catalog that points astray gives an error, not foreign octets."""
    _, spans = write_messages(tmp_path, BODIES)

    with store_in(tmp_path).open(NAME) as source:
        for offset, length in ((spans[0].offset + 1, spans[0].length), (10**9, 10), (spans[0].offset, 5)):
            with pytest.raises(ArchiveDamaged):
                list(content(source, offset, length))


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"abc", id="no-length"),
        pytest.param(b"99 a=b\n", id="longer-than-the-block"),
        pytest.param(b"0 a=b\n", id="no-progress"),
        pytest.param(b"6 abc\n", id="no-equals-sign"),
        pytest.param(b"6 a=bc", id="no-newline"),
        pytest.param(b"-6 a=b\n", id="negative"),
    ],
)
def test_records_that_are_none_are_damage(block: bytes) -> None:
    """Never an endless loop, never another error."""
    with pytest.raises(ArchiveDamaged):
        records_of(block)
