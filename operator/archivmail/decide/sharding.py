"""Which of several replicas serves an account: rendezvous hashing (highest random weight, Thaler and Ravishankar 1998).

Each shard draws a number for each account and the highest wins. Whoever knows the count of shards finds the same owner
without asking anybody, and when the count changes no more accounts move than must: those of shards that went, and those
that a new shard wins. A promise: two versions of archivmail that run side by side during an upgrade must agree, so the
weights never change (a test holds a table of them).
"""

from hashlib import sha256

from archivmail.model.account import AccountRef


def owner(ref: AccountRef, shards: int) -> int:
    """The shard, from 0 to `shards` - 1, that serves the account.

    By name and not by the object's uid: the archive is the name's, so that of an account which is deleted and created
    again stays in the hands of one process, which knows whether its old run has ended.
    """
    return max(range(shards), key=lambda shard: (_weight(ref, shard), -shard))


def _weight(ref: AccountRef, shard: int) -> bytes:
    # Neither namespaces nor names may hold a slash.
    return sha256(f"archivmail shard {shard} {ref.namespace}/{ref.name}".encode()).digest()
