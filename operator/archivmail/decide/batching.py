"""How much to ask for at once and how often to make it durable. Bounds on work, so bounds on what a cut can cost."""

from dataclasses import dataclass
from datetime import timedelta

from archivmail.model.uidset import UidSet

MAX_BATCH_MESSAGES = 200
MAX_BATCH_BYTES = 8 * 1024 * 1024
CHECKPOINT_MESSAGES = 2000
CHECKPOINT_BYTES = 64 * 1024 * 1024
CHECKPOINT_EVERY = timedelta(seconds=15)  # a crash costs at most this much downloading again
FIRST_GUESS_BYTES = 64 * 1024  # a gut feeling: mail averages 30 to 75 kB


@dataclass(frozen=True, slots=True)
class SizeEstimate:
    """Running mean of the messages seen so far; RFC822.SIZE would cost a round trip and some servers lie in it."""

    messages: int = 0
    octets: int = 0

    def after(self, octets: int) -> "SizeEstimate":
        return SizeEstimate(self.messages + 1, self.octets + octets)

    @property
    def mean(self) -> int:
        return self.octets // self.messages if self.messages else FIRST_GUESS_BYTES


def next_batch(left: UidSet, estimate: SizeEstimate, most: int = MAX_BATCH_MESSAGES) -> UidSet:
    """The lowest UIDs of `left`: at most 200, and about 8 MiB by the sizes seen so far, but at least one.

    `most` is less than 200 for a server that complained; then the octets are less, too.
    """
    return left.first(messages_at_once(estimate, most))


def messages_at_once(estimate: SizeEstimate, most: int = MAX_BATCH_MESSAGES) -> int:
    """In a batch, at present."""
    octets = MAX_BATCH_BYTES * most // MAX_BATCH_MESSAGES
    return max(1, min(most, octets // max(1, estimate.mean)))


def halves(uids: UidSet) -> tuple[UidSet, UidSet]:
    """Split a refused batch to find the message that is the cause."""
    lower = uids.first((len(uids) + 1) // 2)
    return lower, uids - lower


def is_checkpoint_due(messages: int, octets: int, since_last: timedelta) -> bool:
    """Is it time to make what was taken in durable?"""
    return messages >= CHECKPOINT_MESSAGES or octets >= CHECKPOINT_BYTES or since_last >= CHECKPOINT_EVERY
