"""What the catalog knows of an account and its folders, asked once a run: a folder without news must cost no query.

Grows with the folders. Belongs to the one run that holds the account, which tells it what it changes.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from archivmail.archive.catalog import passes, tombstones
from archivmail.archive.catalog.policies import policy_of
from archivmail.decide.retention import cutoff
from archivmail.model.folder import Epoch, FolderName, FolderState


class Recall:
    """Newest epochs and states of all folders, and which epochs may have ledger entries.

    And whether anything was ever removed from the account, and what its resource said of that.
    """

    def __init__(self, connection: Connection, account: int, now: datetime) -> None:
        self._states = {state.epoch.folder: state for _, state in passes.states(connection, account)}
        self._epochs = passes.latest_epochs(connection, account)
        self._failing = passes.epochs_with_entries(connection, account)
        self.has_tombstones = tombstones.has_any(connection, account)
        self.limit = cutoff(policy_of(connection, account), now)
        """Messages from before it are past their time; None: none is."""

    def state(self, folder: FolderName) -> FolderState | None:
        return self._states.get(folder)

    def latest_epoch(self, folder: FolderName) -> Epoch | None:
        """With a known UIDVALIDITY."""
        return self._epochs.get(folder)

    def may_have_entries(self, epoch: int) -> bool:
        """False only if the epoch has no ledger entry."""
        return epoch in self._failing

    # --- what the run changes ----------------------------------------------------------------------------------------

    def begun(self, epoch: Epoch) -> None:
        if epoch.uid_validity:
            self._epochs[epoch.folder] = epoch

    def committed(self, states: Iterable[FolderState], failing: Iterable[int]) -> None:
        """These states, and entries in these epochs, are in the catalog now."""
        self._states.update((state.epoch.folder, state) for state in states)
        self._failing.update(failing)
