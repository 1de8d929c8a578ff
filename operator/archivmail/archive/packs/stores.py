"""What an archive asks of the place where its packs lie, and the choice of it by URL."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from archivmail.archive.packs.reading import Source
from archivmail.archive.packs.writing import Sink
from archivmail.model.errors import SpecInvalid


@dataclass(frozen=True, slots=True)
class StoredPack:
    """A pack as the store lists it."""

    name: str
    size: int


class Draft(Sink, Protocol):
    """A pack that is being written; nobody else sees it before `keep`. Methods raise ArchiveUnavailable."""

    def keep(self) -> int:
        """Make the pack durable under its name and give its size. A pack of that name is never replaced.

        When this raises, the pack may or may not be there; it is not to be counted on.
        """
        ...

    def discard(self) -> None:
        """Remove what was written. Harmless when repeated and after `keep`. Never raises."""
        ...


class PackStore(Protocol):
    """Methods raise ArchiveUnavailable."""

    def draft(self, name: str) -> Draft: ...

    def open(self, name: str, *, size: int | None = None) -> AbstractContextManager[Source]:
        """Raises ArchiveDamaged when there is no such pack; only at the first read when its `size` is given."""
        ...

    def packs(self, prefix: str, *, after: str = "") -> Iterator[StoredPack]:
        """The packs whose names begin with `prefix` and sort after `after`, ascending within an account."""
        ...

    def sweep(self, prefix: str) -> None:
        """Remove what dead writers left below `prefix`."""
        ...

    def remove(self, name: str) -> None:
        """Remove a pack for good. Harmless when it is gone already."""
        ...

    def save(self, name: str, octets: bytes) -> None:
        """Put a small file that is no pack in the place of the one of that name: whole or not at all."""
        ...

    def load(self, name: str) -> bytes | None:
        """The octets of a small file; None when there is none."""
        ...


LOCAL_SCHEMES = ("", "file")
OBJECT_SCHEMES = ("s3", "gs", "az", "memory")


def directory_of(url: str) -> Path | None:
    """The directory a URL names, absolute; None for an object store. Raises SpecInvalid."""
    if "://" not in url:
        if not url:
            raise SpecInvalid("The archive has no URL; give a directory or s3://, gs:// or az:// with --archive.")
        return Path(url).absolute()
    parts = urlsplit(url)
    if parts.scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path:
            raise SpecInvalid(f"The archive URL {url} must have the form file:///DIRECTORY.")
        return Path(unquote(parts.path))
    if parts.scheme not in OBJECT_SCHEMES:
        raise SpecInvalid(
            f"The archive URL begins with {parts.scheme}://; use a directory, file://, s3://, gs:// or az://."
        )
    return None
