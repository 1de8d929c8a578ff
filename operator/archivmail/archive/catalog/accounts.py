"""Accounts and folders in the catalog, and the last status of each account."""

import json

from sqlalchemy import Connection, bindparam, select

from archivmail.archive.catalog.dialects import HotStatement, insert
from archivmail.archive.catalog.schema import account_statuses, accounts, epochs, folders
from archivmail.model.account import AccountRef
from archivmail.model.folder import Folder, FolderName
from archivmail.model.foldernames import display


def all_accounts(connection: Connection) -> list[AccountRef]:
    """Every account that was ever taken, by namespace and name."""
    rows = connection.execute(select(accounts.c.namespace, accounts.c.name).order_by("namespace", "name"))
    return [AccountRef(*row) for row in rows]


def find_account(connection: Connection, ref: AccountRef) -> int | None:
    """The key of an account, None when it is not known."""
    row = HotStatement(connection, _ACCOUNT).first(namespace=ref.namespace, name=ref.name)
    return None if row is None else int(row[0])


_ACCOUNT = select(accounts.c.id).where(
    accounts.c.namespace == bindparam("namespace"), accounts.c.name == bindparam("name")
)


def ensure_account(connection: Connection, ref: AccountRef) -> int:
    """The key of an account, which is entered if need be."""
    found = find_account(connection, ref)
    if found is not None:
        return found
    row = insert(connection, accounts).values(namespace=ref.namespace, name=ref.name)
    connection.execute(row.on_conflict_do_nothing())
    entered = find_account(connection, ref)
    assert entered is not None
    return entered


def ensure_folder(connection: Connection, account: int, folder: Folder) -> int:
    """The key of a folder, which is entered if need be; its delimiter is that of the last look."""
    delimiter = folder.delimiter or b""
    wanted = select(folders.c.id, folders.c.delimiter).where(
        folders.c.account_id == account, folders.c.name == folder.name
    )
    found = connection.execute(wanted).first()
    if found is not None and found.delimiter == delimiter:
        return int(found.id)
    row = insert(connection, folders).values(
        account_id=account, name=folder.name, delimiter=delimiter, display=display(folder.name)
    )
    connection.execute(
        row.on_conflict_do_update(index_elements=["account_id", "name"], set_={"delimiter": row.excluded.delimiter})
    )
    return int(connection.execute(wanted).one().id)


def folder_of_epoch(connection: Connection, epoch: int) -> tuple[int, bytes | None]:
    """Key and delimiter (None when the server told none) of the folder that an epoch belongs to."""
    wanted = select(folders.c.id, folders.c.delimiter).join(epochs).where(epochs.c.id == epoch)
    row = connection.execute(wanted).one()
    return row.id, bytes(row.delimiter) or None


def folder_name(octets: bytes) -> FolderName:
    """As PostgreSQL's driver may give memoryviews."""
    return FolderName(bytes(octets))


def status_of(connection: Connection, ref: AccountRef) -> dict[str, object] | None:
    """The document saved last; None when there is none or it is no JSON object."""
    account = find_account(connection, ref)
    if account is None:
        return None
    wanted = select(account_statuses.c.document).where(account_statuses.c.account_id == account)
    text = connection.execute(wanted).scalar()
    try:
        document = json.loads(text) if text else None
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def save_status(connection: Connection, ref: AccountRef, document: dict[str, object]) -> None:
    """Replace the account's document."""
    row = insert(connection, account_statuses).values(
        account_id=ensure_account(connection, ref), document=json.dumps(document, sort_keys=True)
    )
    connection.execute(
        row.on_conflict_do_update(index_elements=["account_id"], set_={"document": row.excluded.document})
    )


def all_statuses(connection: Connection) -> list[tuple[AccountRef, dict[str, object]]]:
    """The last document of every account that has one."""
    found = ((ref, status_of(connection, ref)) for ref in all_accounts(connection))
    return [(ref, document) for ref, document in found if document is not None]
