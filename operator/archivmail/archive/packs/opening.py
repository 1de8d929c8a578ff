"""Choose the store of an archive by its URL."""

from archivmail.archive.durability import Durability, SystemDurability, make_directories
from archivmail.archive.packs.faults import translated
from archivmail.archive.packs.local import LocalStore
from archivmail.archive.packs.stores import PackStore, directory_of
from archivmail.model.errors import ArchiveUnavailable


def open_store(url: str, *, create: bool, durability: Durability | None = None) -> PackStore:
    """`create`: make a missing directory. Raises SpecInvalid for the URL, ArchiveUnavailable."""
    directory = directory_of(url)
    if directory is None:
        # obstore is large; a local archive should not wait for it.
        from archivmail.archive.packs.buckets import open_bucket  # noqa: PLC0415
        from archivmail.archive.packs.objects import ObjectPacks  # noqa: PLC0415

        return ObjectPacks(open_bucket(url))
    with translated(f"The archive {directory} cannot be {'created' if create else 'read'}"):
        if create:
            make_directories(directory, durability or SystemDurability())
        elif not directory.is_dir():
            raise ArchiveUnavailable(
                f"There is no archive at {directory}; check --archive, or run archivmail sync first."
            )
        next(directory.iterdir(), None)  # asks the system for the right to read it
    return LocalStore(directory, durability)
