"""What an archive holds, in numbers: for `archivmail stats`."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select, text

from archivmail.archive.catalog.schema import (
    TEXT_INDEX,
    accounts,
    contents,
    packs,
    placements,
    retired_packs,
    tombstones,
)
from archivmail.archive.catalog.values import second
from archivmail.model.account import AccountRef


@dataclass(frozen=True, slots=True)
class AccountStats:
    """One account."""

    account: AccountRef
    messages: int
    """Distinct contents."""
    places: int
    raw_octets: int
    packs: int
    stored_octets: int
    waiting_packs: int
    """Packs whose place another took, and that are removed after a time of grace."""
    waiting_octets: int
    dead_octets: int
    """Stored octets of messages that were removed."""
    removed: int
    """Sightings whose messages were removed."""
    oldest: datetime | None
    newest: datetime | None
    """By INTERNALDATE."""


def of_accounts(connection: Connection) -> list[AccountStats]:
    """Every account, by namespace and name. Reads what it counts: seconds for a million messages."""
    wanted = select(accounts).order_by(accounts.c.namespace, accounts.c.name)
    return [_of(connection, row.id, AccountRef(row.namespace, row.name)) for row in connection.execute(wanted).all()]


def index_size(connection: Connection) -> int:
    """Octets of the text index."""
    if connection.dialect.name == "sqlite":
        wanted = text(f"SELECT coalesce(sum(length(block)), 0) FROM {TEXT_INDEX}_data")  # noqa: S608
    else:
        wanted = text("SELECT coalesce(pg_total_relation_size(to_regclass(:name)), 0)").bindparams(name=TEXT_INDEX)
    return int(connection.execute(wanted).scalar_one())


def _of(connection: Connection, account: int, ref: AccountRef) -> AccountStats:
    messages, raw = connection.execute(
        select(func.count(), func.coalesce(func.sum(contents.c.size), 0)).where(contents.c.account_id == account)
    ).one()
    count, stored, dead = connection.execute(
        select(func.count(), func.coalesce(func.sum(packs.c.size), 0), func.coalesce(func.sum(packs.c.dead), 0)).where(
            packs.c.account_id == account
        )
    ).one()
    waiting, waiting_octets = connection.execute(
        select(func.count(), func.coalesce(func.sum(retired_packs.c.size), 0)).where(
            retired_packs.c.account_id == account
        )
    ).one()
    of_account = placements.c.account_id == account
    places = connection.execute(select(func.count()).select_from(placements).where(of_account)).scalar_one()
    oldest, newest = connection.execute(
        select(func.min(placements.c.received_s), func.max(placements.c.received_s)).where(
            of_account, placements.c.received_s != 0
        )
    ).one()
    removed = connection.execute(
        select(func.count()).select_from(tombstones).where(tombstones.c.account_id == account)
    ).scalar_one()
    return AccountStats(
        account=ref,
        messages=messages,
        places=places,
        raw_octets=int(raw),
        packs=count,
        stored_octets=int(stored),
        waiting_packs=waiting,
        waiting_octets=int(waiting_octets),
        dead_octets=int(dead),
        removed=removed,
        oldest=second(oldest or 0),
        newest=second(newest or 0),
    )
