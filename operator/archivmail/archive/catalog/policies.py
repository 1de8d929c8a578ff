"""What each account's resource last said about removal: kept here so that commands without the resource obey it too."""

from datetime import timedelta

from sqlalchemy import Connection, bindparam, select, update

from archivmail.archive.catalog.accounts import ensure_account
from archivmail.archive.catalog.dialects import HotStatement, insert
from archivmail.archive.catalog.schema import accounts, folder_states, folders, policies
from archivmail.decide.retention import is_longer
from archivmail.model.account import AccountRef
from archivmail.model.retention import Policy


def policy_of(connection: Connection, account: int) -> Policy:
    """The default, which keeps everything, when none was ever told."""
    row = HotStatement(connection, _POLICY).first(account=account)
    return Policy() if row is None else _policy(*row)


_POLICY = select(policies.c.keep_for_s, policies.c.hold).where(policies.c.account_id == bindparam("account"))


def save(connection: Connection, ref: AccountRef, policy: Policy) -> Policy | None:
    """Enter what the resource says; the policy before when it was another, None when nothing changed."""
    account = ensure_account(connection, ref)
    before = policy_of(connection, account)
    if before == policy:
        return None
    values = {
        "keep_for_s": 0 if policy.keep_for is None else int(policy.keep_for.total_seconds()),
        "hold": int(policy.hold),
    }
    row = insert(connection, policies).values(account_id=account, **values)
    connection.execute(row.on_conflict_do_update(index_elements=["account_id"], set_=values))
    if is_longer(before, policy):
        # What was past its time may be wanted again: no mark may save the next pass its comparison.
        of_account = select(folders.c.id).where(folders.c.account_id == account)
        connection.execute(
            update(folder_states).where(folder_states.c.folder_id.in_(of_account)).values(complete=0, compared_at_us=0)
        )
    return before


def held(connection: Connection) -> list[AccountRef]:
    """Accounts under hold, by namespace and name."""
    wanted = select(accounts.c.namespace, accounts.c.name).join(policies).where(policies.c.hold == 1)
    return [AccountRef(*row) for row in connection.execute(wanted.order_by(accounts.c.namespace, accounts.c.name))]


def everything(connection: Connection) -> list[tuple[AccountRef, Policy]]:
    """The policy of every account that has one."""
    wanted = select(accounts.c.namespace, accounts.c.name, policies.c.keep_for_s, policies.c.hold).join(policies)
    return [(AccountRef(*row[:2]), _policy(row[2], row[3])) for row in connection.execute(wanted).all()]


def _policy(keep_for_s: int, hold: int) -> Policy:
    return Policy(timedelta(seconds=keep_for_s) if keep_for_s else None, bool(hold))
