"""What the archive's own work leaves in the audit trail: ids, folders and numbers, never a subject or an address."""

from collections import Counter
from collections.abc import Iterator, Sequence

from archivmail.archive.catalog.removing import Removable
from archivmail.model.account import AccountRef
from archivmail.model.notices import AuditEvent
from archivmail.model.retention import Gone, Policy

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


def removal_events(
    ref: AccountRef, seen: Sequence[Removable], gone: Gone, *, by: str, reason: str = ""
) -> Iterator[AuditEvent]:
    """One for each message: its id, and the first place where it was seen."""
    first: dict[int, Removable] = {}
    places: Counter[int] = Counter()
    for each in seen:
        first.setdefault(each.content, each)
        places[each.content] += 1
    for key, each in first.items():
        facts: dict[str, str | int | bool] = {
            "contentId": each.content_id.hex(),
            "folder": each.display,
            "uidValidity": each.uid_validity,
            "uid": each.sighting.uid,
            "places": places[key],
            "why": str(gone.why),
            "removal": gone.removal,
            "by": by,
        }
        if reason:
            facts["reason"] = reason
        yield AuditEvent("message_removed", ref.namespace, ref.name, facts)
