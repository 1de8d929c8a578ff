"""What a pack says of other packs: the names of those that it replaces, in a member of its own, the last.

A merged pack holds the members of those it was made from. While both are there, a reader must not take the members for
two sightings, and a pack that comes back from an old backup must not bring back what was removed since.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from archivmail.archive.packs.names import SUFFIX, is_pack_name
from archivmail.archive.packs.seektable import Frame
from archivmail.model.errors import ArchiveDamaged

NAME = ".archivmail/replaces"
"""No folder gives it: a sighting's name has three levels at least."""


@dataclass(frozen=True, slots=True)
class Note:
    """The member and what it says."""

    frame: Frame
    replaced: tuple[str, ...]
    """Ids of packs of the same account: their names without directory and suffix."""


def id_of(pack: str) -> str:
    """The id in a pack's name."""
    return pack.rpartition("/")[2].removesuffix(SUFFIX)


def name_of(id_: str, beside: str) -> str:
    """The name of the pack with that id, of the same account as the pack `beside`."""
    return f"{beside.rpartition('/')[0]}/{id_}{SUFFIX}"


def text_of(replaced: Iterable[str]) -> bytes:
    """The member's data: an id a line."""
    return "".join(f"{each}\n" for each in replaced).encode()


def replaced_in(data: bytes) -> tuple[str, ...]:
    """Inverse of `text_of`. Raises ArchiveDamaged."""
    ids = tuple(data.decode("utf-8", "replace").split())
    if not all(is_pack_name(f"packs/-/-/{each}{SUFFIX}") for each in ids):
        raise ArchiveDamaged("A pack does not tell which packs it replaces, though it should.")
    return ids
