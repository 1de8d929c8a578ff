"""Notices: facts worth a Kubernetes Event and a line of the audit trail."""

from dataclasses import dataclass, field
from enum import StrEnum

from archivmail.model.reasons import Reason


class Severity(StrEnum):
    """`type` of a core/v1 Event."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Notice:
    """One Event. `text` holds no secret, subject or address."""

    severity: Severity
    reason: Reason
    text: str


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One entry of the audit trail. `kind` is a snake_case word such as `imap_uidvalidity_reset`."""

    kind: str
    namespace: str
    account: str
    facts: dict[str, str | int | bool] = field(default_factory=dict)
