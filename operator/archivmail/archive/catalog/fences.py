"""Fencing tokens: who took an account last. What an earlier holder still wants to write is refused.

A lock can be lost without its holder hearing of it: a process is paused, or the server has given up its session while
the network was cut. So each taking leaves a token of its own in the catalog, and each transaction of the holder that
writes first looks whether it still stands there. The row stays locked until the commit: whoever takes the account
meanwhile waits, so the two cannot pass each other unseen.
"""

import secrets

from sqlalchemy import Connection, select

from archivmail.archive.catalog.dialects import insert
from archivmail.archive.catalog.schema import fences
from archivmail.model.account import AccountRef
from archivmail.model.errors import RunInProgress


def raise_fence(connection: Connection, account: int) -> str:
    """Shut everybody else out of the account; gives the token by which the caller is known.

    A token that a crash of the server undoes lets nobody in: the older one stands there again, and not ours.
    """
    token = secrets.token_hex(8)
    row = insert(connection, fences).values(account_id=account, token=token)
    connection.execute(row.on_conflict_do_update(index_elements=["account_id"], set_={"token": row.excluded.token}))
    return token


def require(connection: Connection, ref: AccountRef, account: int, token: str) -> None:
    """Raises RunInProgress when somebody else has taken the account since. Nobody does until the transaction ends."""
    found = select(fences.c.token).where(fences.c.account_id == account).with_for_update(read=True)
    if connection.execute(found).scalar() != token:
        raise RunInProgress(f"Account {ref} was taken over by another run; this one ends and leaves the rest to it.")
