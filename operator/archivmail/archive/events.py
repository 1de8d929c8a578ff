"""What the archive's own work leaves in the audit trail: ids, folders and numbers, never a subject or an address."""

from collections.abc import Iterator

from archivmail.model.account import AccountRef
from archivmail.model.notices import AuditEvent
from archivmail.model.retention import Policy

FOR_EVER = "for ever"


def policy_events(ref: AccountRef, before: Policy, after: Policy, by: str) -> Iterator[AuditEvent]:
    """One for the hold and one for the time, whichever changed."""
    if before.hold != after.hold:
        yield AuditEvent("hold_set" if after.hold else "hold_released", ref.namespace, ref.name, {"by": by})
    if before.keep_for != after.keep_for:
        facts: dict[str, str | int | bool] = {"before": _span(before), "after": _span(after), "by": by}
        yield AuditEvent("retention_changed", ref.namespace, ref.name, facts)


def _span(policy: Policy) -> str:
    return FOR_EVER if policy.keep_for is None else f"{int(policy.keep_for.total_seconds()) // 3600}h"
