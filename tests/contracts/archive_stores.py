"""What every PackStore must do: a suite that each adapter's tests inherit."""

from abc import ABC, abstractmethod

import pytest

from archivmail.archive.packs.stores import PackStore
from archivmail.model.errors import ArchiveDamaged

A1 = "packs/team-a/alice/0192f0c0a001-00000000aaaa.tar.zst"
A2 = "packs/team-a/alice/0192f0c0a002-00000000aaaa.tar.zst"
A3 = "packs/team-a/alice/0192f0c0a003-00000000aaaa.tar.zst"
ALICE_2 = "packs/team-a/alice-2/0192f0c0a001-00000000aaaa.tar.zst"
B1 = "packs/team-b/bob/0192f0c0a001-00000000aaaa.tar.zst"


def keep(store: PackStore, name: str, octets: bytes = b"octets") -> None:
    draft = store.draft(name)
    draft.write(octets)
    assert draft.keep() == len(octets)


class StoreContract(ABC):
    """Inherit and give `store`."""

    @pytest.fixture
    @abstractmethod
    def store(self) -> PackStore:
        """An empty store."""

    def test_a_kept_draft_is_read_anywhere(self, store: PackStore) -> None:
        """By range, and short at the end."""
        keep(store, A1, b"0123456789")

        with store.open(A1) as source:
            assert source.size == 10
            assert source.read_at(0, 10) == b"0123456789"
            assert source.read_at(3, 4) == b"3456"
            assert source.read_at(8, 100) == b"89"
            assert source.read_at(10, 1) == b""
            assert source.read_at(99, 1) == b""

    def test_a_draft_is_seen_by_nobody(self, store: PackStore) -> None:
        """Before it is kept, and after it is discarded."""
        draft = store.draft(A1)
        draft.write(b"octets")
        assert list(store.packs("packs/")) == []
        draft.discard()
        draft.discard()
        assert list(store.packs("packs/")) == []
        with pytest.raises(ArchiveDamaged), store.open(A1):
            pass

    def test_discarding_after_keeping_removes_nothing(self, store: PackStore) -> None:
        """So callers may always discard."""
        draft = store.draft(A1)
        draft.write(b"octets")
        draft.keep()
        draft.discard()

        with store.open(A1) as source:
            assert source.read_at(0, 6) == b"octets"

    def test_a_draft_can_be_cut_back(self, store: PackStore) -> None:
        """And goes on from there."""
        draft = store.draft(A1)
        draft.write(b"good")
        draft.write(b"half of a member")
        draft.cut(4)
        draft.write(b", next")
        assert draft.keep() == 10

        with store.open(A1) as source:
            assert source.read_at(0, 99) == b"good, next"

    def test_many_parts_arrive_whole(self, store: PackStore) -> None:
        """A pack larger than one part of a multipart upload."""
        octets = bytes(range(256)) * 100_000
        keep(store, A1, octets)

        with store.open(A1) as source:
            assert source.size == len(octets)
            assert source.read_at(20_000_000, 512) == octets[20_000_000:20_000_512]

    def test_packs_are_listed_in_order(self, store: PackStore) -> None:
        """By account and time, with their sizes; another account whose name begins alike is not meant."""
        for name in (A3, A1, ALICE_2, B1, A2):
            keep(store, name)

        assert [(pack.name, pack.size) for pack in store.packs("packs/team-a/alice/")] == [(A1, 6), (A2, 6), (A3, 6)]
        assert [pack.name for pack in store.packs("packs/team-a/alice/", after=A1)] == [A2, A3]
        assert {pack.name for pack in store.packs("packs/")} == {A1, A2, A3, ALICE_2, B1}
        assert list(store.packs("packs/nobody/at-all/")) == []

    def test_sweeping_leaves_packs_alone(self, store: PackStore) -> None:
        """It is for what dead writers left."""
        keep(store, A1)
        store.sweep("packs/team-a/alice/")
        store.sweep("packs/nobody/at-all/")

        assert [pack.name for pack in store.packs("packs/")] == [A1]

    def test_a_removed_pack_is_gone(self, store: PackStore) -> None:
        """And removing it once more is harmless; its neighbours stay."""
        keep(store, A1)
        keep(store, A2)
        store.remove(A1)
        store.remove(A1)

        assert [pack.name for pack in store.packs("packs/")] == [A2]
        with pytest.raises(ArchiveDamaged), store.open(A1):
            pass

    def test_a_small_file_takes_the_place_of_the_one_before(self, store: PackStore) -> None:
        """It is no pack, and no pack's listing shows it."""
        assert store.load("audit/head.json") is None
        store.save("audit/head.json", b"one")
        store.save("audit/head.json", b"another")
        keep(store, A1)
        store.sweep("packs/team-a/alice/")

        assert store.load("audit/head.json") == b"another"
        assert [pack.name for pack in store.packs("packs/")] == [A1]
