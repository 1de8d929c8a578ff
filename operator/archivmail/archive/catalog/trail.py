"""The audit trail: entries chained by SHA-256, so that a change made later shows (behaviour S21)."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Row, select

from archivmail.archive.catalog.dialects import insert
from archivmail.archive.catalog.schema import audit
from archivmail.archive.catalog.server import wait_for_trail
from archivmail.archive.catalog.values import clean, microseconds, moment
from archivmail.archive.rows import AuditEntry
from archivmail.model.notices import AuditEvent

FIRST = bytes(32)
"""`previous` of the first entry."""

_AT_ONCE = 500


def append(connection: Connection, event: AuditEvent, at: datetime) -> None:
    """Add an entry; until the caller's transaction ends, nobody comes between."""
    append_all(connection, [event], at)


def append_all(connection: Connection, events: Iterable[AuditEvent], at: datetime) -> None:
    """Add entries in this order, under the same condition."""
    wait_for_trail(connection)
    seq, previous = head(connection)
    rows = []
    for event in events:
        seq += 1
        fields = {
            "seq": seq,
            "at_us": microseconds(at),
            "kind": clean(event.kind),
            "namespace": clean(event.namespace),
            "account": clean(event.account),
            "facts": json.dumps(event.facts, sort_keys=True, ensure_ascii=True),
        }
        digest = _digest(previous, fields)
        rows.append({**fields, "previous": previous, "hash": digest})
        previous = digest
    if rows:
        connection.execute(audit.insert(), rows)


def head(connection: Connection) -> tuple[int, bytes]:
    """Number and hash of the newest entry; 0 and FIRST when there is none."""
    last = connection.execute(select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).first()
    return (0, FIRST) if last is None else (last.seq, bytes(last.hash))


def hash_of(connection: Connection, seq: int) -> bytes | None:
    """The hash of an entry; None when there is none of that number."""
    found = connection.execute(select(audit.c.hash).where(audit.c.seq == seq)).scalar()
    return None if found is None else bytes(found)


def entries(connection: Connection) -> Iterator[AuditEntry]:
    """Every entry, oldest first, each checked against the one before."""
    expected, seq = FIRST, 0
    while rows := connection.execute(
        select(audit).where(audit.c.seq > seq).order_by(audit.c.seq).limit(_AT_ONCE)
    ).all():
        for row in rows:
            yield _entry(row, is_next=row.seq == seq + 1 and bytes(row.previous) == expected)
            expected, seq = bytes(row.hash), row.seq


def copy(source: Connection, target: Connection) -> int:
    """Take the trail over as it is, hashes and all; give the number of entries. `target` may have the first ones."""
    count = seq = 0
    while rows := source.execute(select(audit).where(audit.c.seq > seq).order_by(audit.c.seq).limit(_AT_ONCE)).all():
        target.execute(insert(target, audit).on_conflict_do_nothing(), [dict(row._mapping) for row in rows])
        count, seq = count + len(rows), rows[-1].seq
    return count


def _entry(row: Row[*tuple[Any, ...]], *, is_next: bool) -> AuditEntry:
    fields = {name: getattr(row, name) for name in ("seq", "at_us", "kind", "namespace", "account", "facts")}
    is_unchanged = _digest(bytes(row.previous), fields) == bytes(row.hash)
    return AuditEntry(
        seq=row.seq,
        at=moment(row.at_us),
        kind=row.kind,
        namespace=row.namespace,
        account=row.account,
        facts=_facts(row.facts),
        previous=bytes(row.previous),
        hash=bytes(row.hash),
        is_intact=is_next and is_unchanged,
        is_unchanged=is_unchanged,
    )


def _facts(text: str) -> dict[str, str | int | bool]:
    try:
        facts = json.loads(text)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _digest(previous: bytes, fields: dict[str, object]) -> bytes:
    """SHA-256 over the hash before and the fields as a JSON array, which keeps their borders apart."""
    values = [fields[name] for name in ("seq", "at_us", "kind", "namespace", "account", "facts")]
    return sha256(previous + json.dumps(values, ensure_ascii=True, separators=(",", ":")).encode()).digest()
