"""Which names are given and which contents written: kept on disk, for an export may have millions of them."""

import sqlite3

from archivmail.archive.export.names import distinct
from archivmail.model.message import ContentId

_TABLES = (
    "CREATE TABLE names (name TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE seen (grouping TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (grouping, content)) WITHOUT ROWID",
)


class Claims:
    """A database that SQLite keeps in a temporary file of its own and removes when it is closed."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", *_TABLES):
            self._database.execute(statement)

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
        self._database.execute("INSERT OR REPLACE INTO names VALUES (?, ?)", (whole, content_id))
        return whole, is_known

    def owner(self, name: str) -> bytes | None:
        """The content that has the name."""
        row = self._database.execute("SELECT content FROM names WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def claim(self, name: str, content_id: ContentId) -> None:
        """Note a name given without asking, by an earlier export for one."""
        self._database.execute("INSERT OR REPLACE INTO names VALUES (?, ?)", (name, content_id))

    def release(self, name: str) -> None:
        self._database.execute("DELETE FROM names WHERE name = ?", (name,))

    def is_first(self, group: str, content_id: ContentId) -> bool:
        """Whether this content was not seen before in the group; it is from now on."""
        statement = "INSERT OR IGNORE INTO seen VALUES (?, ?)"
        return self._database.execute(statement, (group, content_id)).rowcount == 1

    def close(self) -> None:
        self._database.close()
