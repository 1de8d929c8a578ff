"""Maildir++ (Courier's extension of Maildir): the account's directory is INBOX, `.Level.Level` beside it the others.

Flags stand in the name, INTERNALDATE is the time of the file. A message is known by its name up to ":2,", so a mail
program may move and flag what was exported before, and a second call still writes only what is missing.
"""

import os
from pathlib import Path

from archivmail.archive.export.journal import Journal, Written
from archivmail.archive.export.manifest import NAME
from archivmail.archive.export.names import account_path, maildir_folder
from archivmail.archive.export.sink import (
    Octets,
    Put,
    WriteManifest,
    digest_of,
    make_directory,
    put_manifest,
    received_s,
    replacing,
)
from archivmail.archive.rows import PlacementRow

_LETTERS = {"\\draft": "D", "\\flagged": "F", "$forwarded": "P", "\\answered": "R", "\\seen": "S", "\\deleted": "T"}


class Maildir:
    """See Sink."""

    looks_itself = True

    def __init__(self, output: Path, journal: Journal) -> None:
        """Raises OSError."""
        self._output = output
        self._journal = journal
        self._opened: set[Path] = set()  # folders, some thousands at most
        make_directory(output)

    def name(self, row: PlacementRow) -> str:
        return f"{_directory(row)}/cur/{_base(row)}"

    def put(self, row: PlacementRow, octets: Octets) -> tuple[Put, Written]:
        directory = self._output / _directory(row)
        if directory not in self._opened:
            self._open(directory)
        base = _base(row)
        known = f"{_directory(row)}/{base}"
        there = self._journal.owner(known)
        if there is not None and digest_of(self._output / os.fsdecode(there)) == row.content_id:
            return Put.PRESENT, Written(os.fsdecode(there), row.content_id, row.size)
        name = os.fsdecode(there) if there else f"{_directory(row)}/cur/{base}:2,{flag_letters(row.flags)}"
        with replacing(self._output / name, directory / "tmp" / base, mtime=received_s(row)) as file:
            for piece in octets():
                file.write(piece)
        self._journal.claim(known, os.fsencode(name))
        return Put.WRITTEN, Written(name, row.content_id, row.size)

    def flush(self) -> dict[str, int]:
        return {}

    def finish(self, manifest: WriteManifest) -> None:
        put_manifest(self._output / NAME, manifest, below=None)

    def close(self) -> None:
        """Nothing is open."""

    def _open(self, directory: Path) -> None:
        """Make the folder where it is missing and note what it holds."""
        for name in ("cur", "new", "tmp"):
            make_directory(directory / name)
        if directory.name.startswith("."):
            # Maildir++: tells delivery agents that the root is above.
            (directory / "maildirfolder").touch()
        below = directory.relative_to(self._output).as_posix()
        # Names that others gave may be no text; ours are ASCII.
        for name in ("cur", "new"):
            with os.scandir(directory / name) as entries:
                for entry in entries:
                    path = os.fsencode(f"{below}/{name}/{entry.name}")
                    self._journal.claim(os.fsencode(f"{below}/{entry.name.partition(':')[0]}").decode("latin-1"), path)
        self._opened.add(directory)


def flag_letters(flags: tuple[str, ...]) -> str:
    """In the order of ASCII, as Maildir asks; keywords have no letter and stay in the archive alone."""
    return "".join(sorted({_LETTERS[flag.lower()] for flag in flags if flag.lower() in _LETTERS}))


def _directory(row: PlacementRow) -> str:
    folder = maildir_folder(row)
    return f"{account_path(row.account)}/{folder}" if folder else account_path(row.account)


def _base(row: PlacementRow) -> str:
    """Time, the placement, 32 bits of the content: a UIDVALIDITY that came back gives other names."""
    moment = int(received_s(row) or 0)
    return f"{max(0, moment)}.V{row.uid_validity}U{row.uid}H{row.content_id.hex()[:8]}.archivmail"
