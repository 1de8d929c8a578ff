"""What is left of sightings whose messages were removed: why, and by which removal (docs/decisions, retention)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, exists, or_, select

from archivmail.archive.catalog.dialects import HotStatement, insert_all
from archivmail.archive.catalog.schema import contents, epochs, placements, tombstones
from archivmail.archive.packs.internaldate import seconds
from archivmail.model.message import ContentId, Sighting
from archivmail.model.retention import Gone, Why
from archivmail.model.uidset import UidSet

_COLUMNS = ("account_id", "folder_id", "epoch_id", "uid", "sha256", "received_s", "gone")
_AT_ONCE = 500
_IS_ERASED = tombstones.c.gone.startswith(Why.ERASED.value)


@dataclass(frozen=True, slots=True)
class NewTombstone:
    """A sighting whose message is not in the archive any more."""

    epoch: int
    folder: int
    sighting: Sighting
    content_id: ContentId
    gone: Gone


def enter(connection: Connection, account: int, new: Sequence[NewTombstone]) -> None:
    """Enter them, and take out the placements of the same sightings. Entering them twice changes nothing."""
    rows = [
        (
            account,
            each.folder,
            each.epoch,
            each.sighting.uid,
            each.content_id,
            seconds(each.sighting.internal_date),
            str(each.gone),
        )
        for each in new
    ]
    insert_all(connection, tombstones, _COLUMNS, rows)
    for each in new:
        of_content = select(contents.c.id).where(contents.c.account_id == account, contents.c.sha256 == each.content_id)
        which = [placements.c.account_id == account, placements.c.content_id.in_(of_content)]
        if each.gone.why is Why.EXPIRED:
            # Packs do not number epochs, so the same sighting may stand in another one of the same UIDVALIDITY.
            alike = epochs.alias()
            this = select(alike.c.origin, alike.c.uid_validity).where(alike.c.id == each.epoch).subquery()
            same = select(epochs.c.id).where(
                epochs.c.folder_id == each.folder,
                epochs.c.origin == this.c.origin,
                epochs.c.uid_validity == this.c.uid_validity,
            )
            which += [placements.c.uid == each.sighting.uid, placements.c.epoch_id.in_(same)]
        connection.execute(delete(placements).where(*which))


def revive(connection: Connection, account: int, new: Iterable[tuple[int, int, ContentId]]) -> None:
    """Sightings (epoch, UID, content) that have a message again lose their tombstone."""
    if not has_any(connection, account):
        return
    for epoch, uid, content_id in new:
        connection.execute(
            delete(tombstones).where(
                tombstones.c.epoch_id == epoch, tombstones.c.uid == uid, tombstones.c.sha256 == content_id
            )
        )


def has_any(connection: Connection, account: int) -> bool:
    """Whether anything was ever removed from the account."""
    return HotStatement(connection, _ANY).first(account=account) is not None


_ANY = select(tombstones.c.id).where(tombstones.c.account_id == bindparam("account")).limit(1)


def of_contents(connection: Connection, account: int, wanted: Iterable[ContentId]) -> dict[ContentId, Gone]:
    """Why these contents are gone; those that are not, or are held again, are absent. Erasure outweighs expiry."""
    ids, found = sorted(set(wanted)), {}
    for at in range(0, len(ids), _AT_ONCE):
        some = select(tombstones.c.sha256, tombstones.c.gone).where(
            tombstones.c.account_id == account,
            tombstones.c.sha256.in_(ids[at : at + _AT_ONCE]),
            or_(
                _IS_ERASED,
                ~exists().where(
                    and_(contents.c.account_id == tombstones.c.account_id, contents.c.sha256 == tombstones.c.sha256)
                ),
            ),
        )
        for row in connection.execute(some):
            gone, content_id = Gone.parse(row.gone), ContentId(bytes(row.sha256))
            if content_id not in found or gone.why is Why.ERASED:
                found[content_id] = gone
    return found


def erased(connection: Connection, account: int, wanted: Iterable[ContentId]) -> set[ContentId]:
    """Those of the contents that must never come back."""
    if not has_any(connection, account):
        return set()
    return {key for key, gone in of_contents(connection, account, wanted).items() if gone.why is Why.ERASED}


def settled_uids(connection: Connection, epoch: int, limit: int | None) -> UidSet:
    """UIDs whose messages were removed and need nothing more: erased ones, and while `limit` says so, expired ones."""
    is_settled: ColumnElement[bool] = _IS_ERASED
    if limit is not None:
        is_settled = or_(_IS_ERASED, and_(tombstones.c.received_s > 0, tombstones.c.received_s < limit))
    wanted = select(tombstones.c.uid).where(tombstones.c.epoch_id == epoch, is_settled)
    return UidSet.of(connection.execute(wanted).scalars())
