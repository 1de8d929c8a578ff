"""How commands open the archive, and what they say when it holds nothing yet."""

from collections.abc import Iterable

from archivmail.archive.archive import Archive
from archivmail.archive.opening import can_note, open_archive
from archivmail.cli.output import note
from archivmail.model.account import AccountRef
from archivmail.model.errors import SpecInvalid

NOTHING_YET = "no account is archived here yet; run archivmail sync -f account.yaml"


def for_reading(archive_url: str, catalog_url: str | None) -> Archive:
    """Open without creating or changing anything. Raises ArchiveUnavailable when it is not there."""
    return open_archive(archive_url, catalog_url, create=False, read_only=True)


def for_verifying(archive_url: str, catalog_url: str | None) -> Archive:
    """Open so that what is found damaged can be noted; where nothing can be written, open for reading alone."""
    is_writable = can_note(archive_url, catalog_url)
    return open_archive(archive_url, catalog_url, create=False, read_only=not is_writable)


def accounts_of(archive: Archive, namespace: str | None, account: str | None) -> list[AccountRef]:
    """The accounts asked for, by namespace and name. Raises SpecInvalid when none is of that name."""
    everyone = sorted(archive.accounts())
    if not everyone:
        note(NOTHING_YET)
        return []
    chosen = [ref for ref in everyone if namespace in {None, ref.namespace} and account in {None, ref.name}]
    if not chosen:
        raise SpecInvalid(
            f"no account {namespace or '*'}/{account or '*'} is archived here; there are {_listed(everyone)}"
        )
    return chosen


def _listed(refs: Iterable[AccountRef]) -> str:
    names = [str(ref) for ref in refs]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
