"""Messages are found by the beginning of their id, as git's commits are, and read back or reported as damaged."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from archivmail.archive.archive import Archive
from archivmail.archive.catalog.querytext import parse
from archivmail.model.errors import ArchiveDamaged, SpecInvalid
from tests.archive.builders import ALICE, BOB, MAIL, archive_in, content_id, fill, folder, pack_files, read

# Two octet strings whose SHA-256 begin alike (found by counting up).
TWIN_PREFIX, TWINS = "c75d", (b"157", b"251")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with archive_in(tmp_path) as archive:
        fill(archive, {1: MAIL, 2: TWINS[0], 3: TWINS[1]})
        yield archive


def test_an_id_may_be_shortened(archive: Archive) -> None:
    """To four digits, in any case, or given whole."""
    whole = content_id(MAIL).hex()

    for given in (whole, whole[:4], whole[:9].upper(), f" {whole[:12]} "):
        assert archive.resolve(given) == content_id(MAIL)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param("abc", "too short", id="too-short"),
        pytest.param("", "is not an id", id="nothing"),
        pytest.param("xyzw", "is not an id", id="no-digits"),
        pytest.param("0" * 65, "is not an id", id="too-long"),
        pytest.param("0" * 64, "No message has an id", id="unknown"),
    ],
)
def test_a_wrong_id_is_one_sentence(archive: Archive, given: str, said: str) -> None:
    """That says what to do."""
    with pytest.raises(SpecInvalid, match=said):
        archive.resolve(given)


def test_an_ambiguous_id_names_the_candidates(archive: Archive) -> None:
    """With digits enough to tell them apart."""
    ids = [content_id(octets).hex() for octets in TWINS]
    assert all(each.startswith(TWIN_PREFIX) for each in ids)

    with pytest.raises(SpecInvalid, match="More than one id") as raised:
        archive.resolve(TWIN_PREFIX)

    assert all(each[:10] in raised.value.text for each in ids)


def test_one_content_of_two_accounts_is_one_message(archive: Archive) -> None:
    """Its id is not ambiguous, and every placement is told."""
    fill(archive, {7: MAIL}, ref=BOB, of=folder(b"Entw&APw-rfe"))

    message = archive.message(archive.resolve(content_id(MAIL).hex()[:8]))

    assert [(row.account, row.display, row.uid) for row in message.placements] == [
        (ALICE, "INBOX", 1),
        (BOB, "Entwürfe", 7),
    ]
    assert (message.size, message.is_indexed) == (len(MAIL), False)


def test_another_accounts_copy_serves_when_the_first_is_damaged(archive: Archive, tmp_path: Path) -> None:
    """The octets are the same."""
    fill(archive, {7: MAIL}, ref=BOB)
    pack_files(tmp_path)[0].unlink()

    assert read(archive, MAIL) == MAIL


def test_a_damaged_message_is_reported(archive: Archive, tmp_path: Path) -> None:
    """Never given as if it were whole."""
    pack = pack_files(tmp_path)[0]
    octets = bytearray(pack.read_bytes())
    octets[100] ^= 0xFF
    pack.chmod(0o640)
    pack.write_bytes(octets)

    with pytest.raises(ArchiveDamaged):
        read(archive, MAIL)


def test_an_unknown_message_is_reported(archive: Archive) -> None:
    """By its id."""
    for ask in (archive.message, lambda which: list(archive.octets(which))):
        with pytest.raises(SpecInvalid, match="No message has the id"):
            ask(content_id(b"never stored"))


def test_archived_messages_are_indexed_and_found(archive: Archive) -> None:
    """The whole way: archived, drained, searched."""
    assert archive.index_backlog() == 3
    while archive.drain_index():
        pass
    assert archive.index_backlog() == 0
    (hit,) = archive.search(parse("subject:hello"))
    assert (hit.id, hit.folder, hit.uid) == (content_id(MAIL).hex(), "INBOX", 1)
    assert [row.uid for row in archive.placements(query=parse("world"))] == [1]
