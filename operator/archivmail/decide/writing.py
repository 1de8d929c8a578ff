"""How often `.status` is written. Knows statuses; knows no clock and no API server.

A write costs the API server, etcd and everybody who watches. What people and tools wait for is written at once; counts
and times wait until 15 s have passed since the last write.
"""

from archivmail.model.status import AccountStatus

WRITE_EVERY_S = 15.0
START_SHOWN_AFTER_S = 2.0
"""A run that is over sooner is shown by its result alone: one write less for each of ten thousand idle accounts."""


def is_awaited(shown: AccountStatus, status: AccountStatus) -> bool:
    """Does somebody wait for what has changed: a condition, the generation that is seen, a request that is answered?"""
    return _awaited(shown) != _awaited(status)


def _awaited(status: AccountStatus) -> tuple[object, ...]:
    conditions = tuple((each.type, each.status, each.reason) for each in status.conditions)
    return conditions, status.observed_generation, status.last_handled_reconcile_at
