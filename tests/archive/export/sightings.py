"""A mailbox to export: what the archive would tell and give."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from archivmail.archive.export.manifest import NAME as MANIFEST
from archivmail.archive.export.report import ExportReport, Format
from archivmail.archive.export.run import export
from archivmail.archive.rows import PlacementRow
from archivmail.model.account import AccountRef
from archivmail.model.errors import ArchiveDamaged
from archivmail.model.folder import FolderName
from archivmail.model.message import ContentId
from archivmail.model.uidset import Uid, UidValidity

NOON = datetime(2024, 5, 1, 12, 0, 7, tzinfo=UTC)


@dataclass
class Mailbox:
    """`rows` in the order in which they were archived; contents in `damaged` give their octets and then fail."""

    rows: list[PlacementRow] = field(default_factory=list)
    contents: dict[bytes, bytes] = field(default_factory=dict)
    damaged: set[bytes] = field(default_factory=set)
    read: list[bytes] = field(default_factory=list)

    def add(self, octets: bytes, **more: object) -> PlacementRow:
        content_id = ContentId(sha256(octets).digest())
        self.contents[content_id] = octets
        row = PlacementRow(
            account=AccountRef("team", "alice"),
            folder=FolderName(b"INBOX"),
            delimiter=b"/",
            display="INBOX",
            uid_validity=UidValidity(7),
            epoch=1,
            uid=Uid(len(self.rows) + 1),
            content_id=content_id,
            size=len(octets),
            internal_date="01-May-2024 12:00:07 +0000",
            received_at=NOON,
            flags=(),
        )
        row = replace(row, **more)  # type: ignore[arg-type]
        self.rows.append(row)
        return row

    def octets(self, content_id: ContentId) -> Iterator[bytes]:
        self.read.append(content_id)
        octets = self.contents[content_id]
        for at in range(0, len(octets), 5):
            yield octets[at : at + 5]
        if content_id in self.damaged:
            raise ArchiveDamaged("The octets of a message are not those that were archived.")

    def export(self, kind: str, output: Path, **more: object) -> ExportReport:
        self.read.clear()
        return export(self, iter(self.rows), format=Format(kind), output=output, **more)  # type: ignore[arg-type]


def files(directory: Path) -> dict[str, bytes]:
    """Every file of mail below, by its path: no manifest, nothing unfinished."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and not path.name.startswith(".") and not path.name.endswith(MANIFEST)
    }


def unfinished(directory: Path) -> list[str]:
    """Journals and files under temporary names."""
    return sorted(path.name for path in directory.rglob(".*") if path.is_file())


NASTY = (
    b"Subject: a\r\n\r\nplain\r\n",
    b"Subject: b\r\n\r\nno final line end",
    b"Subject: c\n\nbare LF\nand \x00 NUL \xff 8-bit\n",
    b"From the first line\nFrom here\n>From there\n>>From far\nFrom",
    b"Subject: d\r\n\r\nFrom x\r\n\r\nFrom y\r\n>From z\r\n",
    b"",
    b"\n",
    b"\n\n\n",
    b"\r",
    b">" * 200 + b"From x\n",
    b"x\n" + b">" * 50 + b"From ",
    b"Fro",
)
