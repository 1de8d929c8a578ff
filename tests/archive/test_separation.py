"""One account's archive is out of another's reach, whatever they are called and whatever they hold."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.archive.archive import Archive
from archivmail.archive.packs.names import account_prefix, is_pack_name
from archivmail.archive.upkeep import Plan
from archivmail.kube.resource import read_ref
from archivmail.model.account import AccountRef
from archivmail.model.errors import SpecInvalid
from archivmail.model.retention import Policy
from archivmail.sync.ports import Stored
from tests.archive.builders import (
    ALICE,
    BOB,
    MAIL,
    archive_in,
    begin,
    content_id,
    fetched,
    fill,
    pack_files,
    placements,
)

OTHER = b"Subject: other\r\n\r\nof somebody else\r\n"
NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
ACCOUNTS = st.builds(AccountRef, NAMES, st.lists(NAMES, min_size=1, max_size=4).map(".".join))
ANY = st.builds(AccountRef, st.text(max_size=300), st.text(max_size=300))


@given(ACCOUNTS | ANY, ACCOUNTS | ANY)
def test_no_two_accounts_share_a_folder(one: AccountRef, other: AccountRef) -> None:
    """Nor is one below the other; for every text, though the API server takes only some."""
    if one != other:
        assert not account_prefix(one).startswith(account_prefix(other))


@given(ANY)
def test_no_account_leaves_the_archive(ref: AccountRef) -> None:
    """Two levels below `packs/`, each of them a plain name that a file system takes."""
    prefix = account_prefix(ref)
    root, namespace, name, rest = prefix.split("/")
    assert ("packs", "") == (root, rest)
    for level in (namespace, name):
        assert level not in {"", ".", ".."}
        assert len(level) <= 255
        assert level.isascii()
        assert "\x00" not in level
    assert is_pack_name(f"{prefix}0123456789ab-0123456789ab.tar.zst")


@pytest.mark.parametrize(
    "name",
    [
        "..", ".", "a/b", "a/../b", "%2e%2e", "a%2Fb", "a\\b", "a\x00b", "A", "Alice", "a..b", ".a", "a.", "-a", "a b",
        "a\n", "é", "\uff41", "a\u202eb", "a" * 254, "", "~", "*",
    ],
)  # fmt: skip
def test_no_such_name_comes_as_far_as_the_archive(name: str) -> None:
    """Encodings, other cases, other levels, too long: refused where a document is read, for namespaces too."""
    for metadata in ({"name": name}, {"name": "alice", "namespace": name}):
        if name or "namespace" not in metadata:
            with pytest.raises(SpecInvalid):
                read_ref(metadata)


def test_longest_names_have_folders_of_their_own(tmp_path: Path) -> None:
    """253 and 63 characters, which differ in the last one only; the file system takes them."""
    refs = [AccountRef(namespace, "n" * 252 + end) for namespace in ("s" * 62 + "a", "s" * 62 + "b") for end in "ab"]
    with archive_in(tmp_path) as archive:
        for ref in refs:
            fill(archive, {1: str(ref).encode()}, ref=ref)
        assert set(refs) == set(archive.accounts())
    assert 4 == len({path.parent for path in pack_files(tmp_path)})


def test_what_one_account_holds_says_nothing_to_another(tmp_path: Path) -> None:
    """The same octets are stored once for each account: whether another has them cannot be told from what is stored."""
    with archive_in(tmp_path) as archive:
        stored = [_store(archive, ref) for ref in (ALICE, BOB)]
        writer = archive.take(BOB)
        try:
            assert writer.content_of_email_id("of alice") is None
        finally:
            writer.close()
    assert stored[0] == stored[1]
    assert {"team-a", "team-b"} == {path.parent.parent.name for path in pack_files(tmp_path)}


def test_what_happens_to_one_account_leaves_the_other_as_it_is(tmp_path: Path) -> None:
    """Erasure, retention and a damaged pack of a neighbour of nearly the same name."""
    near = AccountRef(ALICE.namespace, f"{ALICE.name}-2")
    with archive_in(tmp_path) as archive:
        for ref in (ALICE, near):
            fill(archive, {1: MAIL, 2: OTHER}, ref=ref)
        before = {path: path.read_bytes() for path in pack_files(tmp_path) if path.parent.name == near.name}
        kept = [each for each in placements(archive) if each[0] == str(near)]

        archive.keeping.erase(ALICE, [content_id(MAIL)], reason="asked for", by="tests")
        archive.set_policy(ALICE, Policy(hold=False), by="tests")
        archive.keeping.keep_up(ALICE, Plan(by="tests"), should_stop=lambda: False)

        assert before == {path: path.read_bytes() for path in before}
        assert kept == [each for each in placements(archive) if each[0] == str(near)]
        assert 2 == len(kept)
        assert 1 == sum(each[0] == str(ALICE) for each in placements(archive))


def _store(archive: Archive, ref: AccountRef) -> Stored:
    """One message; only Alice's server gives it an id."""
    writer = archive.take(ref)
    try:
        told = writer.store(begin(writer), fetched(1, MAIL, email_id="of alice" if ref == ALICE else None))
        writer.checkpoint()
        return told
    finally:
        writer.close()
