"""A catalog with messages in it, without packs: octets come from memory."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from sqlalchemy import URL, Connection, Table, insert, select

from archivmail.archive.catalog import fulltext
from archivmail.archive.catalog.database import Database, ensure_revision
from archivmail.archive.catalog.dialects import file_of
from archivmail.archive.catalog.indexing import Waiting
from archivmail.archive.catalog.querytext import Term, parse
from archivmail.archive.catalog.schema import accounts, contents, epochs, folders, packs, placements
from archivmail.archive.catalog.search import Hit, search
from archivmail.archive.catalog.wording import phrase_of
from archivmail.archive.index import drain
from archivmail.model.errors import ArchiveDamaged


@dataclass
class Catalog:
    """`octets` is what the packs would hold, by SHA-256; `damaged` are contents whose octets cannot be read."""

    database: Database
    octets: dict[bytes, bytes] = field(default_factory=dict)
    damaged: set[bytes] = field(default_factory=set)
    reads: list[Waiting] = field(default_factory=list)

    def add(
        self, octets: bytes, *, folder: str = "INBOX", account: str = "team/alice", received: datetime | None = None,
        uid: int | None = None,
    ) -> bytes:  # fmt: skip
        """One message at one place; the id of its content."""
        with self.database.writing() as connection:
            return self._add(connection, octets, folder, account, received, uid)

    def add_all(self, octets: Iterable[bytes]) -> None:
        """Many, at one place, in one transaction."""
        with self.database.writing() as connection:
            for each in octets:
                self._add(connection, each, "INBOX", "team/alice", None, None)

    def _add(
        self, connection: Connection, octets: bytes, folder: str, account: str, received: datetime | None,
        uid: int | None,
    ) -> bytes:  # fmt: skip
        def row(table: Table, **values: object) -> int:
            same = [table.c[name] == value for name, value in values.items()]
            found = connection.execute(select(table.c.id).where(*same)).scalar()
            made = insert(table).values(values).returning(table.c.id)
            return int(found if found is not None else connection.execute(made).scalar_one())

        digest = sha256(octets).digest()
        self.octets[digest] = octets
        namespace, _, name = account.partition("/")
        of_account = {"account_id": row(accounts, namespace=namespace, name=name)}
        folder_id = row(folders, **of_account, name=folder.encode(), delimiter=b"/", display=folder)
        epoch_id = row(epochs, folder_id=folder_id, origin="imap://a@h:993", uid_validity=7, number=1)
        pack_id = row(packs, **of_account, name=f"packs/{account}/1.tar.zst")
        content_id = row(contents, **of_account, sha256=digest, size=len(octets), pack_id=pack_id)
        row(
            placements, **of_account, folder_id=folder_id, epoch_id=epoch_id, uid=uid or len(self.octets),
            content_id=content_id, pack_id=pack_id, received_s=int(received.timestamp()) if received else 0,
        )  # fmt: skip
        return digest

    def read(self, waiting: Waiting, limit: int) -> bytes:
        self.reads.append(waiting)
        if waiting.content_id in self.damaged:
            raise ArchiveDamaged("The octets of a message are not those that were archived.")
        return self.octets[waiting.content_id][:limit]

    def texts_with(self, word: str) -> int:
        """Rows of the text index that have the word."""
        with self.database.reading() as connection:
            return fulltext.of(connection).count(connection, [phrase_of(Term(word))], up_to=10_000)

    def drain(self, max_messages: int = 10_000) -> int:
        return drain(self.database, self.read, max_messages=max_messages)

    def analyse(self) -> None:
        """Let the database count how often each word is there, which it does by itself now and then."""
        with self.database.writing() as connection:
            connection.exec_driver_sql("ANALYZE")

    def find(self, query: str, **more: object) -> list[Hit]:
        with self.database.reading() as connection:
            return search(connection, parse(query), **more)  # type: ignore[arg-type]

    def subjects(self, query: str, **more: object) -> list[str]:
        return [hit.subject for hit in self.find(query, **more)]


def make_empty(url: URL) -> URL:
    """A catalog with its tables and nothing else."""
    if path := file_of(url):
        path.touch()
    database = Database(url)
    ensure_revision(database)
    database.close()
    return url


@contextmanager
def opened(url: URL) -> Iterator[Catalog]:
    database = Database(url)
    try:
        yield Catalog(database)
    finally:
        database.close()


def mail(subject: str = "s", body: str = "text", *, sender: str = "a@b", to: str = "c@d", date: str = "") -> bytes:
    head = [f"From: {sender}", f"To: {to}", f"Subject: {subject}", "Content-Type: text/plain; charset=utf-8"]
    if date:
        head.append(f"Date: {date}")
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()
