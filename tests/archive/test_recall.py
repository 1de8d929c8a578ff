"""What a run asks of every folder costs no query for each, and is never out of date within the run."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import event

from tests.archive.builders import ALICE, INBOX, archive_in, begin, entry, fetched, folder, state


def test_folders_without_news_cost_no_query_each(tmp_path: Path) -> None:
    """A pass over 50 folders is five queries, and no further connection."""
    folders = [folder(b"F%d" % number) for number in range(50)]
    with archive_in(tmp_path) as archive:
        writer = archive.take(ALICE)
        for number, each in enumerate(folders):
            epoch = begin(writer, each)
            writer.store(epoch, fetched(1, b"%d" % number))
            writer.put_folder_state(each, state(epoch, archived=1))
        writer.checkpoint()
        writer.close()

        writer = archive.take(ALICE)
        statements: list[str] = []
        opened: list[object] = []

        def traced(connection: sqlite3.Connection, *_: object) -> None:
            connection.set_trace_callback(statements.append)

        event.listen(archive._database._engine, "checkout", traced)
        event.listen(archive._database._engine, "connect", lambda connection, _: opened.append(connection))
        for each in folders:
            latest = writer.latest_epoch(each.name)
            assert latest is not None
            found = writer.folder_state(each.name)
            assert found is not None
            assert found.epoch == latest
            assert writer.ledger(latest) == []
        asked = [statement for statement in statements if "SELECT" in statement]
        writer.close()

    assert len(asked) == 5
    assert not opened


def test_a_run_sees_what_it_changes_itself(tmp_path: Path) -> None:
    """Epochs at once, states and ledger before and after the checkpoint."""
    with archive_in(tmp_path) as archive:
        writer = archive.take(ALICE)
        assert writer.latest_epoch(INBOX.name) is None
        first = begin(writer)
        assert writer.latest_epoch(INBOX.name) == first
        writer.put_ledger(first, entry(2))
        writer.put_folder_state(INBOX, state(first, archived=1))
        assert (writer.ledger(first), writer.folder_state(INBOX.name)) == ([entry(2)], state(first, archived=1))
        writer.checkpoint()
        assert (writer.ledger(first), writer.folder_state(INBOX.name)) == ([entry(2)], state(first, archived=1))

        writer.store(first, fetched(2))
        assert writer.ledger(first) == []
        writer.checkpoint()
        assert writer.ledger(first) == []

        second = begin(writer, uid_validity=8)
        assert writer.latest_epoch(INBOX.name) == second
        unknown = begin(writer, uid_validity=0)
        assert writer.latest_epoch(INBOX.name) == second != unknown
        writer.close()

        again = archive.take(ALICE)
        assert again.latest_epoch(INBOX.name) == second
        again.close()


def test_what_a_failed_checkpoint_lost_is_not_recalled(tmp_path: Path) -> None:
    """Nothing of it counts."""
    with archive_in(tmp_path) as archive:
        writer = archive.take(ALICE)
        epoch = begin(writer)
        writer.put_folder_state(INBOX, state(epoch, archived=1))
        writer.put_ledger(epoch, entry(2))
        writer._drop()

        assert writer.folder_state(INBOX.name) is None
        assert writer.ledger(epoch) == []
        writer.close()
