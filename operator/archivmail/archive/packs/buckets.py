"""What packs ask of an object store, and obstore's answer to it (S3 and its like, Google Cloud, Azure, memory).

The only module that calls obstore. Credentials come by each platform's usual means, which obstore knows: environment,
web identity (IRSA, workload identity), metadata of the instance. Every request has a limit, so has the sum of its
tries; waits between tries grow, with jitter. Knows no pack format.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Protocol

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from obstore.store import ObjectStore as Backend
from obstore.store import from_url

from archivmail.model.errors import ArchiveUnavailable, SpecInvalid

if TYPE_CHECKING:
    from obstore.store import BackoffConfig, ClientConfig, RetryConfig

PART = 8 * 1024**2
"""Octets of one request; larger objects are sent in parts."""

_PARTS_AT_ONCE = 4  # 32 MiB in flight at most
_ABSENT = (NotFoundError, FileNotFoundError)  # obstore raises the one or the other
_UNCONDITIONAL = (NotImplementedError, NotSupportedError)
_IN_ORDER = frozenset({"s3", "gs", "az", "memory"})  # list by name, ascending in the order of octets
_IN_THE_CLEAR = ("AWS_ALLOW_HTTP", "GOOGLE_ALLOW_HTTP", "AZURE_ALLOW_HTTP", "AZURE_STORAGE_ALLOW_HTTP")


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as the store lists it."""

    name: str
    size: int


class Bucket(Protocol):
    """Methods raise ArchiveUnavailable."""

    @property
    def scheme(self) -> str: ...

    def put(self, name: str, file: IO[bytes], size: int) -> None:
        """Send the `size` octets of `file`, which stands at its beginning. An object of that name is not replaced.

        When this raises, the object may be there all the same, now or soon.
        """
        ...

    def size_of(self, name: str) -> int | None:
        """None: there is no such object."""
        ...

    def read(self, name: str, offset: int, length: int) -> bytes | None:
        """A range within the object, in one request; None: there is no such object."""
        ...

    def delete(self, name: str) -> None:
        """Harmless when there is no such object."""
        ...

    def replace(self, name: str, octets: bytes) -> None:
        """Write a small object, in the place of another if need be."""
        ...

    def get(self, name: str) -> bytes | None:
        """All of a small object; None: there is no such object."""
        ...

    def list(self, prefix: str, *, after: str) -> Iterator[Stored]:
        """The objects below `prefix` whose names sort after `after`, ascending."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait for a store."""

    connect: timedelta = timedelta(seconds=10)
    request: timedelta = timedelta(seconds=60)  # a part of 8 MiB then needs 1.2 Mbit/s
    tries: timedelta = timedelta(seconds=120)
    """From the first try of a request on; then the run stops and comes back later."""

    def retries(self) -> "RetryConfig":
        backoff: BackoffConfig = {
            "init_backoff": timedelta(milliseconds=200),
            "max_backoff": timedelta(seconds=15),
            "base": 2,
        }
        return {"max_retries": 10, "retry_timeout": self.tries, "backoff": backoff}

    def client(self) -> "ClientConfig":
        # Given here, obstore no longer reads it from the environment.
        allows_http = any(os.environ.get(name, "").lower() in {"1", "true", "on", "yes"} for name in _IN_THE_CLEAR)
        return {"connect_timeout": self.connect, "timeout": self.request, "allow_http": allows_http}


def open_bucket(url: str, limits: Limits | None = None) -> "ObstoreBucket":
    """Raises SpecInvalid for a URL that no store understands. Nothing is asked of the store yet."""
    scheme = url.partition("://")[0]
    limits = limits or Limits()
    try:
        if scheme == "memory":
            return ObstoreBucket(from_url(url), scheme)
        return ObstoreBucket(from_url(url, retry_config=limits.retries(), client_options=limits.client()), scheme)
    except (BaseError, ValueError) as error:
        raise SpecInvalid(
            "The archive URL or the environment variables of the object store are not right; see the documentation of "
            f"{scheme}:// archives."
        ) from error


class ObstoreBucket:
    """Satisfies Bucket. Thread-safe."""

    def __init__(self, backend: Backend, scheme: str) -> None:
        self._backend = backend
        self.scheme = scheme

    def put(self, name: str, file: IO[bytes], size: int) -> None:
        with _translated(self.scheme):
            if size > PART:
                # An upload in parts knows no condition. Names hold random bits, so nobody else writes this one.
                obstore.put(self._backend, name, file, chunk_size=PART, max_concurrency=_PARTS_AT_ONCE)
                return
            octets = file.read()
            try:
                obstore.put(self._backend, name, octets, mode="create")
            except AlreadyExistsError:
                self._require_own(name, octets)
            except _UNCONDITIONAL:
                obstore.put(self._backend, name, octets)

    def size_of(self, name: str) -> int | None:
        with _translated(self.scheme):
            try:
                return obstore.head(self._backend, name)["size"]
            except _ABSENT:
                return None

    def read(self, name: str, offset: int, length: int) -> bytes | None:
        with _translated(self.scheme):
            try:
                return bytes(obstore.get_range(self._backend, name, start=offset, length=length))
            except _ABSENT:
                return None

    def delete(self, name: str) -> None:
        with _translated(self.scheme), suppress(*_ABSENT):
            obstore.delete(self._backend, name)

    def replace(self, name: str, octets: bytes) -> None:
        with _translated(self.scheme):
            obstore.put(self._backend, name, octets)

    def get(self, name: str) -> bytes | None:
        with _translated(self.scheme):
            try:
                return bytes(obstore.get(self._backend, name).bytes())
            except _ABSENT:
                return None

    def list(self, prefix: str, *, after: str) -> Iterator[Stored]:
        found = self._listed(prefix, after)
        # Streamed where that is possible: an archive may hold millions.
        yield from found if self.scheme in _IN_ORDER else sorted(found, key=lambda each: each.name)

    def _listed(self, prefix: str, after: str) -> Iterator[Stored]:
        with _translated(self.scheme):
            for chunk in obstore.list(self._backend, prefix.rstrip("/"), offset=after or None, chunk_size=1000):
                yield from (Stored(each["path"], each["size"]) for each in chunk if each["path"] > after)

    def _require_own(self, name: str, octets: bytes) -> None:
        """A first try that seemed to fail may have arrived; an object with other octets is somebody else's."""
        if bytes(obstore.get(self._backend, name).bytes()) != octets:
            raise ArchiveUnavailable(
                f"The {self.scheme} store holds another pack of the same name; the run will try again with a new one."
            )


_REFUSED = "it refuses access; check the credentials of the archive and their rights"
_NO_CREDENTIALS = (
    "there are no credentials; give them in the environment, as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or by the "
    "identity of the machine or the ServiceAccount"
)
_ADVICE = (
    ("169.254.169.254", _NO_CREDENTIALS),  # where the library looks last, on a machine of the provider
    ("metadata.google.internal", _NO_CREDENTIALS),
    ("status code: 403", _REFUSED),  # of a listing the library says no more than that
    ("XAdminUserNotFound", _REFUSED),
    ("NoSuchBucket", "there is no such bucket; create it, or correct the archive's URL"),
    ("ContainerNotFound", "there is no such container; create it, or correct the archive's URL"),
    ("QuotaExceeded", "it is full; give the bucket more space"),
    ("InsufficientStorage", "it is full; give the bucket more space"),
    ("507", "it is full; give the bucket more space"),
    ("XMinioStorageFull", "it is full; give it more space"),
    ("No space left", "it is full; give it more space"),
    ("SlowDown", "it asks to be spared; it is tried again later"),
    ("status code: 503", "it is overloaded or down; it is tried again later"),
    ("status code: 5", "it reports an error of its own; look into its log"),
    ("dns error", "the name of its endpoint is not known; check the endpoint and the name server"),
    ("TimedOut", "it does not answer in time; check that it runs and can be reached"),
    ("operation timed out", "it does not answer in time; check that it runs and can be reached"),
    ("refused", "there is no connection; check that it runs and can be reached"),
    ("builder error", "its endpoint is http://, which must be allowed by AWS_ALLOW_HTTP=true"),
    ("certificate", "its certificate is not accepted; check the endpoint and the authorities this machine trusts"),
)


@contextmanager
def _translated(scheme: str) -> Iterator[None]:
    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise ArchiveUnavailable(
            f"The {scheme} store refuses access; check the credentials of the archive and their rights."
        ) from error
    except UnknownConfigurationKeyError as error:
        raise SpecInvalid(f"The {scheme} store does not know a setting of the archive; check its URL.") from error
    except (BaseError, OSError, NotImplementedError) as error:
        # The library's texts may hold URLs with signatures, so only what they mean is told.
        said = str(error)
        advice = next((advice for sign, advice in _ADVICE if sign in said), None)
        advice = advice or f"the library says {type(error).__name__}; check that it runs and can be reached"
        raise ArchiveUnavailable(f"The {scheme} store cannot be used now: {advice}.") from error
