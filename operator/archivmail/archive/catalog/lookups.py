"""The questions that a run asks once per message or once per folder, kept ready on one connection."""

import sqlite3
from contextlib import suppress
from functools import cached_property

from sqlalchemy import Connection, bindparam, exists, func, literal_column, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from archivmail.archive.catalog.damage import content_is_damaged, damaged_uids, placement_is_damaged
from archivmail.archive.catalog.database import Database
from archivmail.archive.catalog.dialects import HotStatement
from archivmail.archive.catalog.faults import translated, unavailable
from archivmail.archive.catalog.schema import contents, epochs, packs, placements
from archivmail.model.message import ContentId
from archivmail.model.uidset import Uid, UidSet


class Lookups:
    """Answers from what is committed. Not thread-safe. Methods raise ArchiveUnavailable.

    Connects with the first question: a run without news asks none.
    """

    def __init__(self, database: Database, account: int) -> None:
        self._url = database.url
        self._account = account
        self._database = database

    def content(self, content_id: ContentId) -> int | None:
        """The key of a content of this account whose octets are sound as far as is known."""
        try:  # once per message: a context manager would cost as much as the call
            row = self._content.first(account=self._account, sha256=content_id)
        except DBAPIError as error:
            raise unavailable(self._url, error) from error
        return None if row is None else row[0]

    def size(self, content_id: ContentId) -> int | None:
        """Octets of a content that is held."""
        with translated(self._url):
            row = self._content.first(account=self._account, sha256=content_id)
        return None if row is None else row[1]

    def mark(self, epoch: int, uid: Uid, content: int) -> str | None:
        """How the octets of a placement were put together, "" when they came as one; None: there is no placement."""
        with translated(self._url):
            row = self._placement.first(epoch=epoch, uid=uid, content=content)
        return None if row is None else str(row[0])

    def assembled(self, epoch: int) -> UidSet:
        """UIDs of which every placement was put together from parts."""
        with translated(self._url):
            return UidSet.of(uid for (uid,) in self._assembled.each(account=self._account, epoch=epoch))

    def content_of_email_id(self, email_id: str, origin: str) -> ContentId | None:
        with translated(self._url):
            row = self._email_id.first(account=self._account, email_id=email_id, origin=origin)
        return None if row is None else ContentId(bytes(row[0]))

    def uids(self, epoch: int) -> UidSet:
        """UIDs with a sound placement. Memory grows with the ranges, not with the UIDs."""
        ranges: list[tuple[int, int]] = []
        low = high = 0
        with translated(self._url):
            for (uid,) in self._uids.each(epoch=epoch):
                if uid <= high + 1 and high:
                    high = uid
                    continue
                if high:
                    ranges.append((low, high))
                low = high = uid
            damaged = UidSet.of(uid for (uid,) in self._damaged_uids.each(epoch=epoch))
        if high:
            ranges.append((low, high))
        return UidSet(ranges) - damaged

    def close(self) -> None:
        """Never raises."""
        if "_connection" not in self.__dict__:
            return
        with suppress(SQLAlchemyError, sqlite3.Error):
            self._connection.invalidate()  # whatever a statement still holds goes with the connection
            self._connection.close()

    @cached_property
    def _connection(self) -> Connection:
        return self._database.connect()

    @cached_property
    def _content(self) -> HotStatement:
        return HotStatement(self._connection, _CONTENT)

    @cached_property
    def _placement(self) -> HotStatement:
        return HotStatement(self._connection, _PLACEMENT)

    @cached_property
    def _email_id(self) -> HotStatement:
        return HotStatement(self._connection, _EMAIL_ID)

    @cached_property
    def _uids(self) -> HotStatement:
        return HotStatement(self._connection, _UIDS)

    @cached_property
    def _damaged_uids(self) -> HotStatement:
        return HotStatement(self._connection, _DAMAGED_UIDS)

    @cached_property
    def _assembled(self) -> HotStatement:
        return HotStatement(self._connection, _ASSEMBLED)


def newest_pack(connection: Connection, account: int) -> str:
    """The name of the account's newest pack, "" when it has none."""
    row = HotStatement(connection, _NEWEST_PACK).first(account=account)
    return row[0] or "" if row else ""


_NEWEST_PACK = select(func.max(packs.c.name)).where(packs.c.account_id == bindparam("account"))
_CONTENT = select(contents.c.id, contents.c.size).where(
    contents.c.sha256 == bindparam("sha256"), contents.c.account_id == bindparam("account"), ~content_is_damaged
)
_PLACEMENT = select(placements.c.assembled).where(
    placements.c.epoch_id == bindparam("epoch"),
    placements.c.uid == bindparam("uid"),
    placements.c.content_id == bindparam("content"),
    ~placement_is_damaged,
)
_EMAIL_ID = (
    select(contents.c.sha256)
    .select_from(placements)
    .join(epochs, epochs.c.id == placements.c.epoch_id)
    .join(contents, contents.c.id == placements.c.content_id)
    .where(
        placements.c.account_id == bindparam("account"),
        placements.c.email_id == bindparam("email_id"),
        placements.c.email_id != literal_column("''"),  # lets SQLite use the partial index
        epochs.c.origin == bindparam("origin"),
        ~content_is_damaged,
        placements.c.assembled == literal_column("''"),  # what is not proven is not passed on to other folders
    )
    .limit(1)
)
_UIDS = select(placements.c.uid).where(placements.c.epoch_id == bindparam("epoch")).order_by(placements.c.uid)
_DAMAGED_UIDS = damaged_uids(bindparam("epoch"))
_whole = placements.alias("whole")
_ASSEMBLED = select(placements.c.uid).where(
    placements.c.account_id == bindparam("account"),
    placements.c.epoch_id == bindparam("epoch"),
    placements.c.assembled != literal_column("''"),
    ~exists().where(
        _whole.c.epoch_id == placements.c.epoch_id,
        _whole.c.uid == placements.c.uid,
        _whole.c.assembled == literal_column("''"),
    ),
)
