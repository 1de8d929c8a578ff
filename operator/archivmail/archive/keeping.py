"""Care for what is archived: upkeep, retention, erasure, figures. Part of `Archive`, which gives it the accounts."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from archivmail.archive import erasing, upkeep
from archivmail.archive.catalog import figures, purging
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.figures import AccountStats
from archivmail.archive.erasing import Erasure
from archivmail.archive.ground import Ground
from archivmail.archive.upkeep import Plan, Progress, UpkeepReport
from archivmail.model.account import AccountRef
from archivmail.model.message import ContentId

Hold = Callable[[AccountRef], AbstractContextManager[Ground]]
"""Holds an account for the length of a block. Raises RunInProgress, ArchiveUnavailable."""


class Keeping:
    """Methods raise ArchiveUnavailable, and RunInProgress while the account is being archived."""

    def __init__(self, database: Database, hold: Hold) -> None:
        self._database, self._hold = database, hold

    def keep_up(
        self,
        ref: AccountRef,
        plan: Plan,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        progress: Progress | None = None,
    ) -> UpkeepReport:
        """Upkeep of one account, retention included. Stops between packs, and within one between some messages."""
        with self._hold(ref) as ground:
            return upkeep.keep_up(ground, plan, should_stop=should_stop, progress=progress)

    def purge_texts(self, *, is_final: bool = False) -> int:
        """Take the words of removed messages out of the text index; how many messages.

        `is_final`: out of every file too. Costs a pass over the index.
        """
        return purging.purge(self._database, is_final=is_final)

    def texts_to_purge(self) -> int:
        """Removed messages whose words are in the text index still. They find nothing."""
        with self._database.reading() as connection:
            return purging.waiting(connection)

    def preview_erasure(self, ref: AccountRef, wanted: Sequence[ContentId]) -> Erasure:
        """What `erase` would remove from the account. Raises SpecInvalid under hold."""
        with self._hold(ref) as ground:
            return erasing.preview(ground, wanted)

    def erase(
        self,
        ref: AccountRef,
        wanted: Sequence[ContentId],
        *,
        reason: str,
        by: str,
        progress: Progress | None = None,
    ) -> Erasure:
        """Remove contents from the account for good. Raises SpecInvalid under hold.

        Call `purge_texts(is_final=True)` afterwards, also when this raised.
        """
        with self._hold(ref) as ground:
            upkeep.settle_strangers(ground, UpkeepReport())
            return erasing.erase(ground, wanted, reason=reason, by=by, progress=progress)

    def stats(self) -> list[AccountStats]:
        """Figures of every account, by namespace and name."""
        with self._database.reading() as connection:
            return figures.of_accounts(connection)

    def index_size(self) -> int:
        """Octets of the text index."""
        with self._database.reading() as connection:
            return figures.index_size(connection)
