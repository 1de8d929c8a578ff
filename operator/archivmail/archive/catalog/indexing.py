"""What the indexer reads from the catalog and writes to it. Knows no MIME and no pack.

A content waits while `contents.indexed` is below RULES. It is indexed once: who writes it first, in one transaction
with its text, wins; others find it taken and leave it. That makes any number of indexers harmless. On PostgreSQL each
of them takes other contents (`claimed`), so that several are faster than one; SQLite has one writer anyway.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select, text, update

from archivmail.archive.catalog import fulltext
from archivmail.archive.catalog.schema import RULES, WAITS, contents, packs, placements
from archivmail.archive.catalog.wording import IndexedText
from archivmail.model.message import ContentId

MAX_SENDER = 1000
MAX_RECIPIENTS = 4000
MAX_SUBJECT = 1000
"""Characters kept for lists; the text index takes the whole."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A content that is not indexed yet, and where its octets are."""

    content: int
    """contents.id"""
    content_id: ContentId
    size: int
    pack: str
    frame_offset: int
    frame_length: int
    received_s: int
    """Of its earliest placement; 0 where no date could be read."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """What the indexer found in a content."""

    text: IndexedText
    sent_s: int
    message_id: str
    attachments: int


def waiting(connection: Connection, *, after: int, limit: int, claimed: bool = False) -> list[Waiting]:
    """The next contents above `after` (contents.id) in the order in which they were archived, so pack by pack.

    `claimed`: nobody else gets them while the transaction lasts. For PostgreSQL only.
    """
    received = (
        select(func.min(placements.c.received_s))
        .where(placements.c.content_id == contents.c.id, placements.c.received_s > 0)
        .correlate(contents)
        .scalar_subquery()
    )
    wanted = (
        select(
            contents.c.id,
            contents.c.sha256,
            contents.c.size,
            packs.c.name,
            contents.c.frame_offset,
            contents.c.frame_length,
            func.coalesce(received, 0),
        )
        .join(packs, packs.c.id == contents.c.pack_id)
        .where(text(f"contents.{WAITS}"), contents.c.id > after)  # written out, as in the index that answers it
        .order_by(contents.c.id)
        .limit(limit)
    )
    if claimed:
        # Not FOR UPDATE: a run that places a content once more must not wait for the indexer.
        wanted = wanted.with_for_update(key_share=True, skip_locked=True, of=contents)
    return [Waiting(*row) for row in connection.execute(wanted)]


def backlog(connection: Connection) -> int:
    """Contents that a search cannot find yet."""
    waits = select(func.count()).select_from(contents).where(text(WAITS))
    return connection.execute(waits).scalar_one()


def record(connection: Connection, found: Sequence[Indexed]) -> int:
    """Write what was found of contents that still wait; the number of those. Part of the caller's transaction."""
    ids = [each.text.content for each in found]
    unclaimed = select(contents.c.id).where(contents.c.id.in_(ids), text(WAITS)).with_for_update(key_share=True)
    free = set(connection.execute(unclaimed).scalars())
    mine = [each for each in found if each.text.content in free]
    if not mine:
        return 0
    connection.execute(
        update(contents)
        .where(contents.c.id == bindparam("content"))
        .values({name: bindparam(f"new_{name}") for name in _COLUMNS}),
        [_values(each) for each in mine],
    )
    fulltext.add(connection, (each.text for each in mine))
    return len(mine)


_COLUMNS = ("indexed", "sent_s", "message_id", "sender", "recipients", "subject", "attachments")


def _values(found: Indexed) -> dict[str, object]:
    return {
        "content": found.text.content,
        "new_indexed": RULES,
        "new_sent_s": found.sent_s,
        "new_message_id": found.message_id,
        "new_sender": found.text.sender[:MAX_SENDER],
        "new_recipients": found.text.recipients[:MAX_RECIPIENTS],
        "new_subject": found.text.subject[:MAX_SUBJECT],
        "new_attachments": found.attachments,
    }
