"""Packs on an S3 server: the contract of stores, and what a store that fails, lies or is full does to a run."""

import io
import os
import resource
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import IO

import pytest
from obstore.store import MemoryStore

from archivmail.archive.packs.buckets import PART, Limits, ObstoreBucket, Stored, open_bucket
from archivmail.archive.packs.objects import ObjectPacks
from archivmail.archive.packs.opening import open_store
from archivmail.archive.packs.stores import PackStore
from archivmail.model.errors import ArchiveDamaged, ArchiveUnavailable
from tests.archive.builders import ALICE, fill, unlocked
from tests.contracts.archive_stores import A1, StoreContract, keep
from tests.servers.s3 import S3Bucket, S3Server

IMPATIENT = Limits(timedelta(seconds=1), timedelta(seconds=1), timedelta(seconds=2))


@pytest.mark.servers
class TestS3(StoreContract):
    @pytest.fixture
    def store(self, s3_bucket: S3Bucket) -> PackStore:
        return open_store(s3_bucket.url, create=True)


@pytest.mark.servers
class TestS3BelowAPrefix(StoreContract):
    @pytest.fixture
    def store(self, s3_bucket: S3Bucket) -> PackStore:
        return open_store(f"{s3_bucket.url}/mail/archive", create=True)


class LyingBucket:
    """A bucket whose PUT says yes, whatever it does. Passes on to another."""

    def __init__(self, behind: ObstoreBucket, keeps: float) -> None:
        """`keeps`: the share of each object that it really stores; 0: nothing at all."""
        self._behind, self._keeps = behind, keeps
        self.scheme = behind.scheme
        self.is_lying = True

    def put(self, name: str, file: IO[bytes], size: int) -> None:
        if not self.is_lying:
            self._behind.put(name, file, size)
        elif kept := file.read()[: int(size * self._keeps)]:
            self._behind.put(name, io.BytesIO(kept), len(kept))

    def size_of(self, name: str) -> int | None:
        return self._behind.size_of(name)

    def read(self, name: str, offset: int, length: int) -> bytes | None:
        return self._behind.read(name, offset, length)

    def delete(self, name: str) -> None:
        self._behind.delete(name)

    def replace(self, name: str, octets: bytes) -> None:
        self._behind.replace(name, octets)

    def get(self, name: str) -> bytes | None:
        return self._behind.get(name)

    def list(self, prefix: str, *, after: str) -> Iterator[Stored]:
        return self._behind.list(prefix, after=after)


@pytest.mark.parametrize("keeps", [pytest.param(0, id="absent"), pytest.param(0.5, id="truncated")])
def test_a_pack_that_the_store_only_claims_to_hold_does_not_count(tmp_path: Path, keeps: float) -> None:
    """Design §5: a HEAD confirms the size before the catalog commits; the next run stores all of it."""
    bucket = LyingBucket(ObstoreBucket(MemoryStore(), "memory"), keeps)
    with unlocked(ObjectPacks(bucket), tmp_path) as archive:
        with pytest.raises(ArchiveUnavailable, match=r"took a pack of \d+ octets and shows") as raised:
            fill(archive, {1: b"first", 2: b"second"})
        assert raised.value.text.count(". ") == 0
        assert [] == list(archive.placements())

        bucket.is_lying = False
        fill(archive, {1: b"first", 2: b"second"})
        assert [1, 2] == [row.uid for row in archive.placements()]
        report = archive.verify(full=True)
        assert ([], [], 2) == (list(report.missing), list(report.corrupt), report.messages)


@pytest.mark.servers
def test_a_first_try_that_arrived_after_all_is_not_taken_for_another_pack(s3_bucket: S3Bucket) -> None:
    """An answer was lost and the request repeated: the condition "not yet there" must not refuse our own octets."""
    bucket = open_bucket(s3_bucket.url)
    store = ObjectPacks(bucket)
    keep(store, A1, b"octets")
    keep(store, A1, b"octets")
    draft = store.draft(A1)
    draft.write(b"others")

    with pytest.raises(ArchiveUnavailable, match="another pack of the same name"):
        draft.keep()
    draft.discard()
    with store.open(A1) as source:
        assert b"octets" == source.read_at(0, 6)


@pytest.mark.servers
def test_a_store_without_conditional_writes_will_do(s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of S3's like know no If-None-Match; AWS_CONDITIONAL_PUT=disabled says so."""
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    keep(open_store(s3_bucket.url, create=True), A1)

    assert [A1] == s3_bucket.objects()


@pytest.mark.servers
@pytest.mark.parametrize(
    ("url", "changed", "sentence"),
    [
        pytest.param("s3://no-such-bucket", {}, "there is no such bucket", id="no-bucket"),
        pytest.param("", {"AWS_SECRET_ACCESS_KEY": "geheim"}, "check the credentials of the archive", id="credentials"),
        pytest.param("", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "there is no connection", id="no-server"),
        pytest.param("", {"AWS_ALLOW_HTTP": ""}, "must be allowed by AWS_ALLOW_HTTP", id="plain-http"),
    ],
)
def test_what_a_store_refuses_is_told_in_one_sentence(
    s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch, url: str, changed: dict[str, str], sentence: str
) -> None:
    """With what to do about it, and without key, signature or address."""
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    draft = ObjectPacks(open_bucket(url or s3_bucket.url, IMPATIENT)).draft(A1)
    draft.write(b"octets")

    with pytest.raises(ArchiveUnavailable, match=sentence) as raised:
        draft.keep()
    draft.discard()
    assert raised.value.text.startswith("The s3 store ")
    assert raised.value.text.endswith(".")
    assert raised.value.text.count(". ") == 0
    for secret in (s3_bucket.server.access_key, "geheim", "127.0.0.1", "Signature"):
        assert secret not in raised.value.text


@pytest.mark.servers
def test_a_store_that_does_not_answer_is_given_up_and_found_again() -> None:
    """Every wait has a limit; afterwards the same object goes on."""
    with S3Server() as server, pytest.MonkeyPatch.context() as patch:
        bucket = server.create_bucket()
        for name, value in bucket.environment.items():
            patch.setenv(name, value)
        store = ObjectPacks(open_bucket(bucket.url, IMPATIENT))
        keep(store, A1)
        server.pause()
        with pytest.raises(ArchiveUnavailable, match="does not answer in time"), store.open(A1):
            pass
        server.resume()
        with store.open(A1) as source:
            assert b"octets" == source.read_at(0, 6)


@pytest.mark.servers
def test_a_pack_lost_by_the_store_is_damage_and_no_outage(s3_bucket: S3Bucket) -> None:
    """Before it is opened, and between two reads."""
    store = open_store(s3_bucket.url, create=True)
    keep(store, A1)
    with store.open(A1) as source:
        (s3_bucket.folder / A1).unlink()
        with pytest.raises(ArchiveDamaged, match="missing in the s3 store"):
            source.read_at(0, 6)
    with pytest.raises(ArchiveDamaged, match="missing in the s3 store"), store.open(A1):
        pass


@pytest.mark.servers
def test_memory_does_not_grow_with_the_pack(s3_bucket: S3Bucket) -> None:
    """Parts are sent as they are read: 160 MiB cost less than half of that."""
    store = open_store(s3_bucket.url, create=True)
    keep(store, A1, os.urandom(2 * PART))  # threads and connections are there now
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    draft = store.draft(A1.replace("a001", "a002"))
    piece = os.urandom(1 << 20)
    for _ in range(160):
        draft.write(piece)

    assert 160 << 20 == draft.keep()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 80 << 10


@pytest.mark.servers
def test_an_archive_lives_in_a_bucket(s3_bucket: S3Bucket, tmp_path: Path) -> None:
    """Objects are packs and nothing else."""
    with unlocked(open_store(s3_bucket.url, create=True), tmp_path) as archive:
        fill(archive, {1: b"first"}, ref=ALICE)
        assert archive.verify(full=True).is_clean
    (name,) = s3_bucket.objects()
    assert name.startswith("packs/team-a/alice/")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        pytest.param({"AWS_SECRET_ACCESS_KEY": "wrong"}, "refuses access", id="wrong-secret"),
        pytest.param({"AWS_ACCESS_KEY_ID": "nobody"}, "refuses access", id="unknown-user"),
        pytest.param({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no credentials", id="none"),
    ],
)
def test_what_is_wrong_with_the_credentials_is_said(
    s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], says: str
) -> None:
    """By a listing too, of which the library tells nothing but a status."""
    for name, value in changed.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    limits = Limits(connect=timedelta(seconds=1), request=timedelta(seconds=1), tries=timedelta(seconds=2))
    with pytest.raises(ArchiveUnavailable, match=says):
        list(open_bucket(s3_bucket.url, limits).list("packs/", after=""))
