"""Counting within one run, for progress and for the outcome."""

from dataclasses import dataclass
from datetime import datetime

from archivmail.model.outcome import Progress


@dataclass(slots=True)
class Tally:
    """What a run has done so far. `checkpointed_at` is the time of the last checkpoint."""

    checkpointed_at: datetime
    folders_selected: int = 0
    folders_done: int = 0
    messages_to_do: int = 0
    messages_done: int = 0
    fetched_bytes: int = 0
    folder: str = ""

    def found(self, messages: int) -> None:
        """So many messages of the present folder are missing."""
        self.messages_to_do += messages

    def archived(self, folder: str, octets: int) -> None:
        """One more message was taken in; 0 octets when it was held already."""
        self.folder = folder
        self.messages_done += 1
        self.fetched_bytes += octets

    @property
    def progress(self) -> Progress:
        return Progress(
            folder=self.folder,
            folders_done=self.folders_done,
            folders_selected=self.folders_selected,
            messages_to_do=self.messages_to_do,
            messages_done=self.messages_done,
            fetched_bytes=self.fetched_bytes,
        )
