"""Folder names are any octets a server likes; paths in packs must be safe to unpack and never make two folders one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.archive.packs.paths import MAX_FOLDER_BYTES, MAX_LEVEL_BYTES, member_folder


@pytest.mark.parametrize(
    ("raw", "delimiter", "path"),
    [
        pytest.param(b"INBOX", b"/", "INBOX", id="plain"),
        pytest.param(b"Archive/2026/Q1", b"/", "Archive/2026/Q1", id="levels"),
        pytest.param(b"Archive.2026", b".", "Archive/2026", id="another-delimiter"),
        pytest.param(b"Archive.2026", b"/", "Archive.2026", id="a-dot-that-is-no-delimiter"),
        pytest.param(b"a/b", None, "a%2Fb", id="no-delimiter-is-one-level"),
        pytest.param(b"&ZeVnLIqe-", b"/", "%26ZeVnLIqe-", id="modified-utf-7"),
        pytest.param(b"two words", b"/", "two%20words", id="blank"),
        pytest.param(b"100%", b"/", "100%25", id="the-escape-itself"),
        pytest.param(b"..", b"/", "%2E%2E", id="parent"),
        pytest.param(b"../../etc/passwd", b"/", "%2E%2E/%2E%2E/etc/passwd", id="up-and-out"),
        pytest.param(b".", b"/", "%2E", id="here"),
        pytest.param(b"...", b"/", "%2E%2E%2E", id="dots"),
        pytest.param(b"/etc", b"/", "%/etc", id="absolute"),
        pytest.param(b"a//b/", b"/", "a/%/b/%", id="empty-levels"),
        pytest.param(b"", b"/", "%", id="no-name"),
        pytest.param(b"a\0b", b"/", "a%00b", id="nul"),
        pytest.param(b"\xff\xfe", b"/", "%FF%FE", id="no-utf-8"),
        pytest.param(b"A/7/1.eml", b"/", "A/7/1%2Eeml", id="named-like-a-message"),
        pytest.param(b"A/7/1.seen", b"/", "A/7/1%2Eseen", id="named-like-a-sighting"),
    ],
)
def test_folder_becomes_a_path(raw: bytes, delimiter: bytes | None, path: str) -> None:
    """Golden: part of the format, so never to change."""
    assert member_folder(raw, delimiter) == path


def test_a_long_level_keeps_its_beginning_and_gets_a_hash() -> None:
    """Golden: 255 octets is what file systems take."""
    path = member_folder(b"x" * 300, b"/")

    assert path == "x" * 222 + "~0d4e2ca9e9cbced7a7a5380eb29e1a37"
    assert len(path) == MAX_LEVEL_BYTES
    assert member_folder(b"x" * 301, b"/") != path


names = st.binary(max_size=400) | st.text("./%~aA\0é", max_size=400).map(str.encode)
delimiters = st.sampled_from([b"/", b".", b"\\", None])


@given(names, delimiters)
def test_paths_never_leave_their_directory(raw: bytes, delimiter: bytes | None) -> None:
    """Nor are they absolute, too long, or anything but printable ASCII."""
    path = member_folder(raw, delimiter)
    levels = path.split("/")

    assert all(0 < len(level) <= MAX_LEVEL_BYTES for level in levels)
    assert not {".", "..", ""} & set(levels)
    assert len(path) <= MAX_FOLDER_BYTES
    assert path.isascii()
    assert path.isprintable()


@given(names, names, delimiters)
def test_different_folders_have_different_paths(one: bytes, other: bytes, delimiter: bytes | None) -> None:
    """Within an account, whose folders share a delimiter."""
    assert (member_folder(one, delimiter) == member_folder(other, delimiter)) == (one == other)


@given(st.lists(names, min_size=2, max_size=6, unique=True), st.integers(1, 9), st.integers(1, 9))
def test_no_message_stands_where_another_folder_is(raws: list[bytes], uid_validity: int, uid: int) -> None:
    """A folder named `A/7/1.eml` must not be a directory where a file of folder A is."""
    files = {f"{member_folder(raw, b'/')}/{uid_validity}/{uid}.eml" for raw in raws}
    directories = {file.rsplit("/", depth)[0] for file in files for depth in range(1, file.count("/") + 1)}

    assert not files & directories
