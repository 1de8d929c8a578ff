"""One account while its packs are cared for: held like by a run, so that nobody writes to it meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from archivmail.archive.catalog.database import Database
from archivmail.archive.packs.names import PackNames
from archivmail.archive.packs.stores import PackStore
from archivmail.model.account import AccountRef


@dataclass(frozen=True, slots=True)
class Ground:
    """What the care for an account works with. Not thread-safe."""

    ref: AccountRef
    account: int
    """Key in the catalog."""
    database: Database
    store: PackStore
    names: PackNames
    clock: Callable[[], datetime]
