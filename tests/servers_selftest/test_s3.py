"""The S3 server of the tests: what the fixtures promise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store, from_url

from tests.servers.s3 import S3Server

if TYPE_CHECKING:
    from tests.servers.s3 import S3Bucket

pytestmark = pytest.mark.servers


def _in_bucket(bucket: S3Bucket, **options: object) -> S3Store:
    store = from_url(bucket.url, **options)  # type: ignore[call-overload]
    assert isinstance(store, S3Store)
    return store


def test_objects_are_files_and_buckets_are_alone(s3: S3Server, s3_bucket: S3Bucket) -> None:
    """A test can look at them by hand, and damage them."""
    store = _in_bucket(s3_bucket)
    obstore.put(store, "a/b.txt", b"octets")
    other = s3.create_bucket()

    assert ["a/b.txt"] == s3_bucket.objects()
    assert b"octets" == (s3_bucket.folder / "a/b.txt").read_bytes()
    (s3_bucket.folder / "a/b.txt").write_bytes(b"other")
    assert b"other" == bytes(obstore.get(store, "a/b.txt").bytes())
    assert [] == other.objects()
    assert [] == list(obstore.list(_in_bucket(other)))
    s3.remove_bucket(other)


def test_large_objects_arrive_in_parts(s3_bucket: S3Bucket) -> None:
    """And an upload in progress is no object."""
    octets = bytes(range(256)) * 64 * 1024
    store = _in_bucket(s3_bucket)
    obstore.put(store, "large", octets, chunk_size=5 << 20, use_multipart=True)

    assert len(octets) == obstore.head(store, "large")["size"]
    assert ["large"] == s3_bucket.objects()


def test_an_object_is_not_replaced_where_that_is_asked(s3_bucket: S3Bucket) -> None:
    """If-None-Match, as S3 has it."""
    store = _in_bucket(s3_bucket)
    obstore.put(store, "name", b"first", mode="create")
    with pytest.raises(BaseError):
        obstore.put(store, "name", b"second", mode="create")
    assert b"first" == bytes(obstore.get(store, "name").bytes())


def test_it_is_unprivileged_and_refuses_strangers(s3_bucket: S3Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is random; another is refused."""
    server = s3_bucket.server
    assert Path(f"/proc/{server.process.pid}").stat().st_uid != 0
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(BaseError):
        obstore.put(_in_bucket(s3_bucket, retry_config={"max_retries": 0}), "name", b"octets")
    assert [] == s3_bucket.objects()


def test_objects_outlive_a_restart() -> None:
    """With the same port; and nothing is left at the end."""
    with S3Server() as server, pytest.MonkeyPatch.context() as patch:
        bucket = server.create_bucket()
        for name, value in bucket.environment.items():
            patch.setenv(name, value)
        obstore.put(_in_bucket(bucket), "kept", b"octets")
        server.restart()
        assert b"octets" == bytes(obstore.get(_in_bucket(bucket), "kept").bytes())
        folder = server.folder
    assert not folder.exists()
    assert not server.is_ready()
