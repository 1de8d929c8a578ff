"""What passes leave in the catalog: epochs, folder states and the ledger of failed UIDs."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, func, literal_column, select

from archivmail.archive.catalog.accounts import ensure_folder, folder_name
from archivmail.archive.catalog.dialects import HotStatement, insert
from archivmail.archive.catalog.schema import epochs, folder_states, folders, ledger
from archivmail.archive.catalog.values import clean, microseconds, moment, moment_or_none
from archivmail.model.account import Origin
from archivmail.model.folder import Epoch, Folder, FolderName, FolderState, LedgerEntry
from archivmail.model.reasons import Reason
from archivmail.model.uidset import Uid, UidSet, UidValidity

# --- epochs ----------------------------------------------------------------------------------------------------------


def latest_epoch(connection: Connection, account: int, folder: FolderName) -> Epoch | None:
    """The newest epoch with a known UIDVALIDITY."""
    wanted = _epochs(account, folder).where(epochs.c.uid_validity > 0).order_by(epochs.c.number.desc()).limit(1)
    row = connection.execute(wanted).first()
    return None if row is None else _epoch(row, folder)


def latest_epochs(connection: Connection, account: int) -> dict[FolderName, Epoch]:
    """The newest epoch with a known UIDVALIDITY of every folder that has one."""
    found: dict[FolderName, Epoch] = {}
    for raw, key, origin, uid_validity, number in HotStatement(connection, _LATEST_EPOCHS).all(account=account):
        name = folder_name(raw)
        found[name] = Epoch(key, name, _origin(origin), UidValidity(uid_validity), number)
    return found


_LATEST_EPOCHS = (
    select(folders.c.name, epochs.c.id, epochs.c.origin, epochs.c.uid_validity, epochs.c.number)
    .join(folders, folders.c.id == epochs.c.folder_id)
    .where(folders.c.account_id == bindparam("account"), epochs.c.uid_validity > literal_column("0"))
    .order_by(epochs.c.number)
)


def epoch_of(
    connection: Connection, account: int, folder: FolderName, origin: Origin, uid_validity: UidValidity
) -> Epoch | None:
    """The newest epoch of the folder with this origin and UIDVALIDITY."""
    wanted = _epochs(account, folder).where(epochs.c.uid_validity == uid_validity, epochs.c.origin == str(origin))
    row = connection.execute(wanted.order_by(epochs.c.number.desc()).limit(1)).first()
    return None if row is None else _epoch(row, folder)


def start_epoch(
    connection: Connection, account: int, folder: Folder, origin: Origin, uid_validity: UidValidity
) -> Epoch:
    """Enter the next epoch of the folder; with UIDVALIDITY 0 (unknown) the one that is there already."""
    folder_id = ensure_folder(connection, account, folder)
    if not uid_validity:
        known = _epochs(account, folder.name).where(epochs.c.uid_validity == 0, epochs.c.origin == str(origin))
        row = connection.execute(known.limit(1)).first()
        if row is not None:
            return _epoch(row, folder.name)
    # Two writers at once by mistake must not choose one number (SQLite has one writer anyway).
    connection.execute(select(folders.c.id).where(folders.c.id == folder_id).with_for_update(key_share=True))
    last = connection.execute(select(func.max(epochs.c.number)).where(epochs.c.folder_id == folder_id)).scalar()
    number = (last or 0) + 1
    entered = epochs.insert().values(folder_id=folder_id, origin=str(origin), uid_validity=uid_validity, number=number)
    key = connection.execute(entered.returning(epochs.c.id)).scalar_one()
    return Epoch(key, folder.name, origin, uid_validity, number)


@lru_cache(maxsize=64)  # the epochs of an account have one or two
def _origin(text: str) -> Origin:
    return Origin.parse(text)


def _epochs(account: int, folder: FolderName) -> Select[int, str, int, int]:
    wanted = select(epochs.c.id, epochs.c.origin, epochs.c.uid_validity, epochs.c.number)
    return wanted.join(folders).where(folders.c.account_id == account, folders.c.name == folder)


def _epoch(row: Row[int, str, int, int], folder: FolderName) -> Epoch:
    return Epoch(row.id, folder, _origin(row.origin), UidValidity(row.uid_validity), row.number)


# --- folder states ---------------------------------------------------------------------------------------------------


def states(connection: Connection, account: int) -> list[tuple[str, FolderState]]:
    """The decoded name and the state of every folder that was passed, by name."""
    return [(shown, _state(row)) for shown, *row in HotStatement(connection, _STATES).all(account=account)]


_STATES = (
    select(
        folders.c.display, folders.c.name, epochs.c.id, epochs.c.origin, epochs.c.uid_validity, epochs.c.number,
        folder_states.c.uid_next, folder_states.c.messages, folder_states.c.last_uid, folder_states.c.server,
        folder_states.c.archived, folder_states.c.pending, folder_states.c.quarantined, folder_states.c.passed_at_us,
        folder_states.c.compared_at_us, folder_states.c.complete,
    )
    .select_from(folder_states)
    .join(folders, folders.c.id == folder_states.c.folder_id)
    .join(epochs, epochs.c.id == folder_states.c.epoch_id)
    .where(folders.c.account_id == bindparam("account"))
    .order_by(folders.c.name)
)  # fmt: skip


def _state(row: Sequence[Any]) -> FolderState:
    raw, key, origin, uid_validity, number, uid_next, messages, last_uid, *rest = row
    server, archived, pending, quarantined, passed_at_us, compared_at_us, complete = rest
    epoch = Epoch(key, folder_name(raw), _origin(origin), UidValidity(uid_validity), number)
    return FolderState(
        epoch=epoch,
        uid_next=Uid(uid_next) if uid_next else None,
        messages=messages,
        last_uid=Uid(last_uid),
        server=server,
        archived=archived,
        pending=pending,
        quarantined=quarantined,
        passed_at=moment(passed_at_us),
        compared_at=moment_or_none(compared_at_us),
        complete=bool(complete),
    )


def save_state(connection: Connection, account: int, folder: Folder, state: FolderState) -> None:
    """Replace the folder's state."""
    values = {
        "epoch_id": state.epoch.id,
        "uid_next": state.uid_next or 0,
        "messages": state.messages,
        "last_uid": state.last_uid,
        "server": state.server,
        "archived": state.archived,
        "pending": state.pending,
        "quarantined": state.quarantined,
        "passed_at_us": microseconds(state.passed_at),
        "compared_at_us": microseconds(state.compared_at),
        "complete": int(state.complete),
    }
    row = insert(connection, folder_states).values(folder_id=ensure_folder(connection, account, folder), **values)
    connection.execute(row.on_conflict_do_update(index_elements=["folder_id"], set_=values))


# --- the ledger ------------------------------------------------------------------------------------------------------


def entries(connection: Connection, epoch: int) -> list[LedgerEntry]:
    """Failed UIDs of an epoch, ascending."""
    rows = connection.execute(select(ledger).where(ledger.c.epoch_id == epoch).order_by(ledger.c.uid))
    return [
        LedgerEntry(
            uid=Uid(row.uid),
            attempts=row.attempts,
            reason=_reason(row.reason),
            error=row.error,
            next_try=moment(row.next_try_us),
            quarantined=bool(row.quarantined),
        )
        for row in rows
    ]


def save_entries(connection: Connection, changed: Mapping[int, Iterable[LedgerEntry]]) -> None:
    """Insert or replace entries, given by epoch."""
    rows = [
        {
            "epoch_id": epoch,
            "uid": entry.uid,
            "attempts": entry.attempts,
            "reason": entry.reason.value,
            "error": clean(entry.error),
            "next_try_us": microseconds(entry.next_try),
            "quarantined": int(entry.quarantined),
        }
        for epoch, changes in changed.items()
        for entry in changes
    ]
    if not rows:
        return
    row = insert(connection, ledger)
    kept = {name: row.excluded[name] for name in rows[0] if name not in {"epoch_id", "uid"}}
    connection.execute(row.on_conflict_do_update(index_elements=["epoch_id", "uid"], set_=kept), rows)


def drop_entries(connection: Connection, epoch: int, uids: UidSet) -> None:
    """Forget the entries of these UIDs."""
    for low, high in uids.ranges:
        connection.execute(delete(ledger).where(ledger.c.epoch_id == epoch, ledger.c.uid.between(low, high)))


def epochs_with_entries(connection: Connection, account: int) -> set[int]:
    """Epochs of the account in which any UID has failed."""
    return {epoch for (epoch,) in HotStatement(connection, _EPOCHS_WITH_ENTRIES).all(account=account)}


_EPOCHS_WITH_ENTRIES = (
    select(ledger.c.epoch_id)
    .distinct()
    .join(epochs, epochs.c.id == ledger.c.epoch_id)
    .join(folders, folders.c.id == epochs.c.folder_id)
    .where(folders.c.account_id == bindparam("account"))
)


def has_entries(connection: Connection, epoch: int) -> bool:
    """Whether any UID of the epoch has failed."""
    return connection.execute(select(ledger.c.uid).where(ledger.c.epoch_id == epoch).limit(1)).first() is not None


def _reason(text: str) -> Reason:
    """A word of another version is still a failure."""
    try:
        return Reason(text)
    except ValueError:
        return Reason.INTERNAL_ERROR
