"""What an export has written so far, on disk: it may be millions of files, and it may be killed at any moment.

A database beside the output while the export lasts; the next call of the same export goes on from it. What it tells is
on the disk: `commit` comes after the files were flushed. It is removed when the manifest is in place.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from archivmail.archive.export.names import distinct
from archivmail.archive.rows import PlacementRow
from archivmail.model.errors import RunInProgress
from archivmail.model.message import ContentId

NAME = ".archivmail-export"
# The lock is kept until the database is closed: another export into the same output finds it taken.
_SETTINGS = ("PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = TRUNCATE", "PRAGMA synchronous = NORMAL")
_TABLES = """
CREATE TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (grouping TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (grouping, content))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS done (key BLOB PRIMARY KEY, name TEXT NOT NULL, content BLOB NOT NULL,
    size INTEGER NOT NULL, start INTEGER NOT NULL, length INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS request (document TEXT NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Written:
    """A message of the export: the name of its file, and where in the file it stands (0, 0: it is the file)."""

    name: str
    content_id: ContentId
    size: int
    start: int = 0
    length: int = 0


class Journal:
    """One export. Not thread-safe. Methods raise OSError."""

    def __init__(self, path: Path | None, request: dict[str, object]) -> None:
        """`request` is what tells one export from another; that of another one is begun anew. No path: for a pipe.

        Raises RunInProgress when another process exports there.
        """
        self._path = path
        document = json.dumps(request, sort_keys=True)
        self._database = self._open(path)
        if self._request() not in {None, document}:
            self.discard()
            self._database = self._open(path)
        if self._request() is None:
            self._database.execute("INSERT INTO request VALUES (?)", (document,))
            self.commit({})

    def _open(self, path: Path | None) -> sqlite3.Connection:
        if path is None:
            return _prepared("")
        try:
            return _prepared(str(path))
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise RunInProgress("Another export writes there; wait for it or choose another --output.") from error
            raise OSError(None, "its journal cannot be opened") from error
        except sqlite3.DatabaseError:
            path.unlink()  # torn: nothing is known, as if it had never been
            return _prepared(str(path))

    def _request(self) -> str | None:
        row = self._database.execute("SELECT document FROM request").fetchone()
        return None if row is None else str(row[0])

    # --- what is done ------------------------------------------------------------------------------------------------

    def is_done(self, row: PlacementRow) -> bool:
        """Whether an earlier call of this export wrote it."""
        return self._database.execute("SELECT 1 FROM done WHERE key = ?", (_key(row),)).fetchone() is not None

    def note(self, row: PlacementRow, written: Written) -> None:
        values = (_key(row), written.name, written.content_id, written.size, written.start, written.length)
        self._database.execute("INSERT OR REPLACE INTO done VALUES (?, ?, ?, ?, ?, ?)", values)

    def done(self) -> Iterator[Written]:
        """By name, and in the order in which they stand in a file."""
        wanted = "SELECT name, content, size, start, length FROM done ORDER BY name, start"
        for name, content, size, start, length in self._database.execute(wanted):
            yield Written(name, ContentId(content), size, start, length)

    def totals(self) -> tuple[int, int]:
        """Messages and their octets."""
        # The same file may stand for several places: a UIDVALIDITY that came back.
        wanted = "SELECT count(*), coalesce(sum(size), 0) FROM (SELECT DISTINCT name, start, size FROM done)"
        messages, octets = self._database.execute(wanted).fetchone()
        return messages, octets

    def files(self) -> dict[str, int]:
        """Files that are not finished, with what of them counts."""
        return dict(self._database.execute("SELECT name, size FROM files"))

    def commit(self, files: dict[str, int]) -> None:
        """Everything noted is on the disk; `files` as above."""
        try:
            self._database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?)", files.items())
            self._database.execute("COMMIT")
            self._database.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise OSError(None, "its journal cannot be written; is the disk full?") from error

    # --- names -------------------------------------------------------------------------------------------------------

    def name_for(self, name: str, content_id: ContentId) -> tuple[str, bool]:
        """The name for this content, and whether it had it before. Another content's name is never given again."""
        for candidate in (name, distinct(name, content_id)):
            owner = self.owner(candidate)
            if owner is None:
                self._database.execute("INSERT INTO names VALUES (?, ?)", (candidate, content_id))
                return candidate, False
            if owner == content_id:
                return candidate, True
        # Two contents of one UID that agree in 32 bits: take the whole hash.
        whole = distinct(name, content_id).replace(f"~{content_id.hex()[:8]}.", f"~{content_id.hex()}.")
        is_known = self.owner(whole) is not None
        self.claim(whole, content_id)
        return whole, is_known

    def owner(self, name: str) -> bytes | None:
        """What was claimed for the name."""
        row = self._database.execute("SELECT content FROM names WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def claim(self, name: str, content: bytes) -> None:
        """Note a name given without asking, by an earlier export for one."""
        self._database.execute("INSERT OR REPLACE INTO names VALUES (?, ?)", (name, content))

    def release(self, name: str) -> None:
        self._database.execute("DELETE FROM names WHERE name = ?", (name,))

    def is_first(self, group: str, content_id: ContentId) -> bool:
        """Whether this content was not seen before in the group; it is from now on."""
        statement = "INSERT OR IGNORE INTO seen VALUES (?, ?)"
        return self._database.execute(statement, (group, content_id)).rowcount == 1

    # --- the end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """What was not committed is forgotten. Never raises."""
        with suppress(sqlite3.Error):
            self._database.close()

    def discard(self) -> None:
        """The export is whole, or will be begun anew."""
        self.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path.with_name(f"{self._path.name}-journal").unlink(missing_ok=True)  # SQLite's own


def _prepared(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        for statement in (*_SETTINGS, "BEGIN EXCLUSIVE", *_TABLES.split(";")):
            database.execute(statement)
        database.execute("COMMIT")
        database.execute("BEGIN IMMEDIATE")
    except BaseException:
        database.close()
        raise
    return database


def _key(row: PlacementRow) -> bytes:
    place = f"{row.account} {row.folder!r} {row.uid_validity} {row.epoch} {row.uid} {row.content_id.hex()}"
    return sha256(place.encode()).digest()[:16]
