"""Packs in an object store (S3, Google Cloud, Azure, memory) through obstore (design §5).

A pack is built in a temporary file, sent with one PUT or multipart upload, and confirmed by a HEAD before anyone counts
on it. What a dead writer left is a multipart upload, which the bucket's lifecycle rule removes.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from obstore.store import ObjectStore as Backend
from obstore.store import from_url

from archivmail.archive.packs.faults import translated
from archivmail.archive.packs.names import is_pack_name
from archivmail.archive.packs.stores import StoredPack
from archivmail.model.errors import ArchiveDamaged, ArchiveUnavailable, SpecInvalid

_PART = 8 * 1024**2
_PARTS_AT_ONCE = 4  # 32 MiB in flight at most
_SPOOL = "The directory for temporary files cannot be written"


def open_object_store(url: str) -> "ObjectPacks":
    """Raises SpecInvalid for a URL that no store understands. Nothing is asked of the store yet."""
    try:
        return ObjectPacks(from_url(url), url.partition("://")[0])
    except (BaseError, ValueError) as error:
        raise SpecInvalid(
            "The archive URL or the environment variables of the object store are not right; see the documentation of "
            f"{url.partition('://')[0]}:// archives."
        ) from error


class ObjectPacks:
    """Satisfies PackStore."""

    def __init__(self, backend: Backend, scheme: str) -> None:
        self._backend, self._scheme = backend, scheme

    def draft(self, name: str) -> "ObjectDraft":
        with translated(_SPOOL):
            return ObjectDraft(self._backend, name, self._scheme)

    @contextmanager
    def open(self, name: str) -> Iterator["ObjectSource"]:
        with _translated(self._scheme, name):
            size = obstore.head(self._backend, name)["size"]
        yield ObjectSource(self._backend, name, size, self._scheme)

    def packs(self, prefix: str, *, after: str = "") -> Iterator[StoredPack]:
        with _translated(self._scheme, prefix):
            found = [
                StoredPack(each["path"], each["size"])
                for chunk in obstore.list(self._backend, prefix.rstrip("/"), offset=after or None, chunk_size=1000)
                for each in chunk
                if is_pack_name(each["path"]) and each["path"] > after
            ]
        yield from sorted(found, key=lambda pack: pack.name)  # not every store lists in order

    def sweep(self, prefix: str) -> None:
        """Nothing to do: a draft is an unlinked file, which dies with its writer."""


class ObjectSource:
    """A pack in the store; satisfies reading.Source."""

    def __init__(self, backend: Backend, name: str, size: int, scheme: str) -> None:
        self._backend, self._name, self._scheme = backend, name, scheme
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        with _translated(self._scheme, self._name):
            return bytes(obstore.get_range(self._backend, self._name, start=offset, length=length))


class ObjectDraft:
    """A pack in a temporary file without a name; satisfies stores.Draft."""

    def __init__(self, backend: Backend, name: str, scheme: str) -> None:
        self._backend, self._name, self._scheme = backend, name, scheme
        self._file = tempfile.TemporaryFile(prefix="archivmail-")  # noqa: SIM115 - lives until keep or discard

    def write(self, data: bytes, /) -> int:
        with translated(_SPOOL):
            return self._file.write(data)

    def cut(self, size: int, /) -> None:
        with translated(_SPOOL):
            self._file.flush()
            self._file.truncate(size)
            self._file.seek(size)

    def keep(self) -> int:
        with translated(_SPOOL):
            size = self._file.seek(0, 2)
            self._file.seek(0)
        with _translated(self._scheme, self._name):
            obstore.put(self._backend, self._name, self._file, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE)
            arrived = obstore.head(self._backend, self._name)["size"]
        if arrived != size:
            raise ArchiveUnavailable(
                f"The {self._scheme} store holds {arrived} of {size} octets of a pack; the run will try again."
            )
        self.discard()
        return size

    def discard(self) -> None:
        with suppress(OSError, ValueError):
            self._file.close()


@contextmanager
def _translated(scheme: str, name: str) -> Iterator[None]:
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:  # obstore raises the one or the other
        raise ArchiveDamaged(f"{name} is missing in the {scheme} store; restore it from a backup.") from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise ArchiveUnavailable(
            f"The {scheme} store refuses access; check the credentials of the archive and their rights."
        ) from error
    except UnknownConfigurationKeyError as error:
        raise SpecInvalid(f"The {scheme} store does not know a setting of the archive; check its URL.") from error
    except (BaseError, OSError) as error:
        # The library's texts may hold URLs with signatures, so only the kind is told.
        raise ArchiveUnavailable(
            f"The {scheme} store cannot be used now ({type(error).__name__}); check that it runs and can be reached."
        ) from error
