"""PackStore: our local adapter, and obstore's over memory and a directory."""

from pathlib import Path

import pytest
from obstore.store import LocalStore as ObstoreDirectory
from obstore.store import MemoryStore

from archivmail.archive.packs.buckets import ObstoreBucket
from archivmail.archive.packs.local import LocalStore
from archivmail.archive.packs.objects import ObjectPacks
from archivmail.archive.packs.opening import open_store
from archivmail.archive.packs.stores import PackStore
from archivmail.model.errors import ArchiveUnavailable, SpecInvalid
from tests.archive.builders import NoFsync
from tests.contracts.archive_stores import A1, StoreContract, keep


class TestLocal(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> PackStore:
        return LocalStore(tmp_path, NoFsync())

    def test_a_pack_is_never_replaced(self, store: PackStore) -> None:
        """Even if two writers chose one name."""
        keep(store, A1, b"first")
        draft = store.draft(A1)
        draft.write(b"second")

        with pytest.raises(ArchiveUnavailable):
            draft.keep()

        draft.discard()
        with store.open(A1) as source:
            assert source.read_at(0, 9) == b"first"


class TestMemory(StoreContract):
    @pytest.fixture
    def store(self) -> PackStore:
        return ObjectPacks(ObstoreBucket(MemoryStore(), "memory"))


class TestObstoreDirectory(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> PackStore:
        return ObjectPacks(ObstoreBucket(ObstoreDirectory(tmp_path), "file"))


@pytest.mark.parametrize("url", ["", "ftp://host/dir", "file://host/dir", "file://"])
def test_urls_that_are_none_are_refused(url: str) -> None:
    """By a sentence."""
    with pytest.raises(SpecInvalid) as raised:
        open_store(url, create=True)
    assert raised.value.text.endswith(".")


def test_a_directory_is_meant_by_path_and_by_file_url(tmp_path: Path) -> None:
    """Percent-encoded in the URL."""
    (tmp_path / "two words").mkdir()
    for url in (str(tmp_path / "two words"), f"file://{tmp_path}/two%20words"):
        store = open_store(url, create=False)
        store.draft(A1).discard()
    assert (tmp_path / "two words/packs/team-a/alice").is_dir()


def test_object_stores_are_chosen_by_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked of the store when it is opened."""
    assert isinstance(open_store("memory:///", create=True), ObjectPacks)
    assert isinstance(open_store("s3://bucket/prefix", create=True), ObjectPacks)
    assert isinstance(open_store("gs://bucket/prefix", create=True), ObjectPacks)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    assert isinstance(open_store("az://container/prefix", create=True), ObjectPacks)


def test_a_store_that_cannot_be_reached_is_one_sentence() -> None:
    """Without the URL, which may hold a signature."""
    from obstore.store import S3Store  # noqa: PLC0415

    backend = S3Store(
        "bucket", endpoint="http://127.0.0.1:1", access_key_id="k", secret_access_key="geheim", region="x",
        client_options={"allow_http": True}, retry_config={"max_retries": 0},
    )  # fmt: skip
    with pytest.raises(ArchiveUnavailable) as raised:
        list(ObjectPacks(ObstoreBucket(backend, "s3")).packs("packs/"))
    assert raised.value.text.startswith("The s3 store cannot be used now")
    assert "geheim" not in raised.value.text
    assert "127.0.0.1" not in raised.value.text
