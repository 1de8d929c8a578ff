"""What one message costs of an object store: requests are counted where they leave."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from archivmail.archive.packs.buckets import ObstoreBucket, Stored, open_bucket
from archivmail.archive.packs.objects import ObjectPacks
from tests.archive.builders import fill, read, unlocked
from tests.servers.s3 import S3Bucket


class CountingBucket:
    """Passes on to another and notes each request."""

    def __init__(self, behind: ObstoreBucket) -> None:
        self._behind = behind
        self.scheme = behind.scheme
        self.requests: list[str] = []

    def put(self, name: str, file: IO[bytes], size: int) -> None:
        self._behind.put(name, file, size)

    def size_of(self, name: str) -> int | None:
        self.requests.append("HEAD")
        return self._behind.size_of(name)

    def read(self, name: str, offset: int, length: int) -> bytes | None:
        self.requests.append(f"GET {length}")
        return self._behind.read(name, offset, length)

    def delete(self, name: str) -> None:
        self._behind.delete(name)

    def replace(self, name: str, octets: bytes) -> None:
        self._behind.replace(name, octets)

    def get(self, name: str) -> bytes | None:
        self.requests.append("GET")
        return self._behind.get(name)

    def list(self, prefix: str, *, after: str) -> Iterator[Stored]:
        self.requests.append("LIST")
        return self._behind.list(prefix, after=after)


@pytest.mark.servers
def test_one_message_of_an_s3_archive_is_one_request(
    s3_bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Design §5: one message is one range read; two where it has more than 16 MiB when compressed."""
    for name, value in s3_bucket.environment.items():
        monkeypatch.setenv(name, value)
    bucket = CountingBucket(open_bucket(s3_bucket.url))
    chance = random.Random(1)
    small, large, huge = b"Subject: small\r\n\r\n", chance.randbytes(9_000_000), chance.randbytes(20_000_000)
    with unlocked(ObjectPacks(bucket), tmp_path) as archive:
        fill(archive, {1: small, 2: large, 3: huge})
        for octets, requests in ((small, 1), (large, 1), (huge, 2)):
            bucket.requests.clear()
            assert read(archive, octets) == octets
            assert len(bucket.requests) == requests
            assert all(each.startswith("GET ") for each in bucket.requests)


@pytest.mark.servers
def test_indexing_asks_once_for_many_messages(
    s3_bucket: S3Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies side by side is read together."""
    for name, value in s3_bucket.environment.items():
        monkeypatch.setenv(name, value)
    bucket = CountingBucket(open_bucket(s3_bucket.url))
    with unlocked(ObjectPacks(bucket), tmp_path) as archive:
        fill(archive, {uid: b"Subject: %d\r\n\r\nx" % uid for uid in range(1, 200)})
        bucket.requests.clear()
        assert archive.drain_index() == 199
        assert len(bucket.requests) <= 2
