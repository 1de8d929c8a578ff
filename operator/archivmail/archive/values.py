"""What `verify` and `rebuild` report."""

from dataclasses import dataclass

from archivmail.archive.catalog.search import Hit
from archivmail.model.account import AccountRef
from archivmail.model.uidset import UidSet, UidValidity

__all__ = ["Finding", "Hit", "RebuildReport", "VerifyReport"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Sightings of one folder whose octets in one pack are missing or damaged."""

    pack: str
    account: AccountRef
    folder: str
    """Decoded name; "" when the pack as a whole is meant."""
    uid_validity: UidValidity
    uids: UidSet
    text: str
    """What is wrong, one sentence."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """`packs`, `messages` (distinct contents) and `octets` (raw) are what the archive holds by its catalog."""

    packs: int
    messages: int
    octets: int
    checked_messages: int
    """Messages whose octets were read and hashed: all of them in a full verification."""
    missing: tuple[Finding, ...] = ()
    corrupt: tuple[Finding, ...] = ()
    orphans: tuple[str, ...] = ()
    """Packs that hold what the catalog does not know; `rebuild` takes them in."""
    redundant: tuple[str, ...] = ()
    """Packs the catalog does not know and does not need: everything in them is elsewhere too. No damage."""
    is_noted: bool = True
    """The next run of an account fetches again what is missing or corrupt, if its server still has it."""

    @property
    def is_clean(self) -> bool:
        return not (self.missing or self.corrupt or self.orphans)

    def to_wire(self) -> dict[str, object]:
        """The JSON object of `archivmail verify --json`."""
        return {
            "packs": self.packs,
            "messages": self.messages,
            "bytes": self.octets,
            "missing": [_wire(each) for each in self.missing],
            "corrupt": [_wire(each) for each in self.corrupt],
            "orphans": list(self.orphans),
        }


@dataclass(frozen=True, slots=True)
class RebuildReport:
    packs: int
    messages: int
    """Distinct contents of all accounts."""
    placements: int
    octets: int
    corrupt: tuple[Finding, ...] = ()
    """What could not be taken in."""
    missing: tuple[Finding, ...] = ()
    """Further sightings of messages that are in no pack."""
    audit_entries: int = 0
    """Entries of the audit trail that were kept."""
    audit_entry_lost: int = 0
    """The newest entry of the trail before, by its anchor, which is not among those; 0: nothing is missing."""


def _wire(finding: Finding) -> dict[str, object]:
    return {
        "pack": finding.pack,
        "namespace": finding.account.namespace,
        "account": finding.account.name,
        "folder": finding.folder,
        "uidValidity": finding.uid_validity,
        "uids": str(finding.uids),
        "text": finding.text,
    }
