"""Drain the backlog of the text index: read messages that were archived, note what a search needs.

Runs beside archiving and never in its way: what it cannot read or understand is archived all the same. A message that
is damaged, or that the MIME reader fails on, is noted with what its header gives, so that it does not come again.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from sqlalchemy import Connection

from archivmail.archive.catalog.indexing import Indexed, Waiting, record, waiting
from archivmail.archive.catalog.wording import IndexedText
from archivmail.mime.documents import documents
from archivmail.mime.envelope import Envelope, envelope
from archivmail.mime.text import MAX_INPUT_BYTES, Extract, extract
from archivmail.model.errors import ArchiveDamaged

BATCH_MESSAGES = 500
"""Messages of one transaction: its fsync costs little on so many, and a writer waits for them well under a second."""
BATCH_TEXT = 8 * 1024 * 1024
"""Characters after which a transaction is closed early; bounds the memory."""
DOCUMENTS_S = 30.0
"""After so many seconds no further document of a message is begun."""
BATCH_S = 20.0
"""Seconds likewise: a server that hears nothing for minutes ends the transaction, and all would be done again."""

FUTURE = timedelta(days=2)
"""A Date header may be that far ahead of the server's clock (time zones, wrong clocks); beyond, the server's holds."""

Read = Callable[[Waiting, int], bytes]
"""The first octets of a content, at most about so many. Raises ArchiveDamaged, ArchiveUnavailable."""


TextOf = Callable[[str, bytes], str]
"""Text of a document, by its kind; "" where there is none. Never raises."""


class Catalog(Protocol):
    """What draining needs of catalog.database.Database."""

    @property
    def dialect(self) -> str: ...

    def reading(self) -> AbstractContextManager[Connection]: ...

    def writing(self) -> AbstractContextManager[Connection]: ...


def drain(
    catalog: Catalog,
    read: Read,
    *,
    max_messages: int = 500,
    should_stop: Callable[[], bool] = lambda: False,
    text_of: TextOf | None = None,
) -> int:
    """Index up to `max_messages` of those that wait; the number done by this call, 0 when nothing waits.

    `text_of` reads attached documents. Raises ArchiveUnavailable; what was committed before stays. Stops at the next
    message when `should_stop`.
    """
    look = partial(look_into, read=read, text_of=text_of)
    step = _claim_and_write if catalog.dialect == "postgresql" else _look_and_write
    done, after = 0, 0
    while done < max_messages and not should_stop():
        limit = min(BATCH_MESSAGES, max_messages - done)
        written, after, is_end = step(catalog, look, after=after, limit=limit, should_stop=should_stop)
        done += written
        if is_end:
            break
    return done


Look = Callable[[Waiting], Indexed]

_Step = tuple[int, int, bool]
"""How many were written, the last one looked at, and whether nothing is left to do."""


def _look_and_write(catalog: Catalog, look: Look, *, after: int, limit: int, should_stop: Callable[[], bool]) -> _Step:
    """For SQLite: no transaction is open while messages are read, for another writer would wait for it."""
    with catalog.reading() as connection:
        batch = waiting(connection, after=after, limit=limit)
    found = _look_into(batch, look, should_stop)
    if not found:
        return 0, after, True
    with catalog.writing() as connection:
        return record(connection, found), found[-1].text.content, False


def _claim_and_write(catalog: Catalog, look: Look, *, after: int, limit: int, should_stop: Callable[[], bool]) -> _Step:
    """For PostgreSQL: the batch is locked until it is written, and others skip it. A run waits for none of this."""
    with catalog.writing() as connection:
        batch = waiting(connection, after=after, limit=limit, claimed=True)
        found = _look_into(batch, look, should_stop)
        if not found:
            return 0, after, True
        return record(connection, found), found[-1].text.content, False


def _look_into(batch: Sequence[Waiting], look: Look, should_stop: Callable[[], bool]) -> list[Indexed]:
    found: list[Indexed] = []
    size = 0
    end = time.monotonic() + BATCH_S
    for each in batch:
        if should_stop() or size > BATCH_TEXT or (found and time.monotonic() > end):
            break
        found.append(look(each))
        size += sum(map(len, found[-1].text.texts))
    return found


def look_into(content: Waiting, read: Read, text_of: TextOf | None = None) -> Indexed:
    """What the index keeps of one content. Raises ArchiveUnavailable."""
    try:
        octets = read(content, MAX_INPUT_BYTES)
    except ArchiveDamaged:
        octets = b""  # `verify` names it; here it must not come up for ever
    seen = _extract(octets)
    texts = seen.texts
    if text_of is not None and seen.attachment_count:
        texts += tuple(filter(None, _texts_of(octets, text_of)))
    head = seen.envelope
    return Indexed(
        text=IndexedText(
            content=content.content,
            subject=head.subject,
            sender=head.sender,
            recipients=head.recipients,
            attachments=seen.attachment_names,
            texts=texts,
        ),
        sent_s=_sent_s(head.date, content.received_s),
        message_id=head.message_id,
        attachments=seen.attachment_count,
    )


def _texts_of(octets: bytes, text_of: TextOf) -> Iterator[str]:
    end = time.monotonic() + DOCUMENTS_S
    for kind, document in documents(octets):
        if time.monotonic() > end:
            return
        yield text_of(kind, document)


def _extract(octets: bytes) -> Extract:
    try:
        return extract(octets)
    except Exception:  # noqa: BLE001 - an error of ours on one mail must not keep all others from being found
        return Extract(_headers_only(octets))


def _headers_only(octets: bytes) -> Envelope:
    try:
        return envelope(octets)
    except Exception:  # noqa: BLE001 - likewise
        return Envelope()


def _sent_s(sent: datetime | None, received_s: int) -> int:
    """The date of a message in seconds: its own, or that of the server where its own is missing or impossible."""
    if sent is None:
        return received_s
    sent_s = int(sent.timestamp())
    return received_s if received_s and sent_s > received_s + FUTURE.total_seconds() else sent_s
