"""The live accounts as metric series. Called in the thread of a scrape; reads whole values only."""

from collections.abc import Iterable

from archivmail.kube.live import LiveAccount
from archivmail.model.status import AccountStatus, ConditionStatus, ConditionType
from archivmail.observe.accounts import AccountSeries


def series(accounts: Iterable[LiveAccount]) -> list[AccountSeries]:
    """One entry for each account, from what its status says: after a restart just as before."""
    return [_series(each) for each in accounts]


def _series(account: LiveAccount) -> AccountSeries:
    now, status = account.seen, account.status
    return AccountSeries(
        ref=now.ref,
        is_ready=_is_true(status, ConditionType.READY),
        is_complete=_is_true(status, ConditionType.COMPLETE),
        is_suspended=now.is_suspended,
        created_at=now.created_at,
        expected_interval_s=now.spec.interval.total_seconds() if now.spec else 0.0,
        consecutive_failures=status.consecutive_failures,
        last_success=status.last_sync_time,
        last_attempt=status.last_attempt_time,
        messages=status.messages,
    )


def _is_true(status: AccountStatus, kind: ConditionType) -> bool:
    condition = status.condition(kind)
    return condition is not None and condition.status is ConditionStatus.TRUE
