"""The indexer: everything once, nothing in its way, any number of them."""

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection

from archivmail.archive import index
from archivmail.archive.catalog import fulltext
from archivmail.archive.catalog.indexing import MAX_SUBJECT, Waiting, backlog, record, waiting
from archivmail.archive.index import drain, look_into
from archivmail.mime.text import MAX_INPUT_BYTES
from archivmail.model.errors import ArchiveUnavailable
from tests.archive.search.catalogs import Catalog, mail
from tests.corpus.realistic import messages


def left(catalog: Catalog) -> int:
    with catalog.database.reading() as connection:
        return backlog(connection)


def test_everything_is_indexed_once(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches follow each other until nothing waits; then there is nothing to do."""
    monkeypatch.setattr(index, "BATCH_MESSAGES", 20)
    catalog.add_all(mail(f"word n{number}") for number in range(45))
    assert catalog.drain() == 45
    assert (left(catalog), catalog.drain()) == (0, 0)
    assert catalog.texts_with("word") == 45
    assert len(catalog.reads) == 45


def test_no_more_is_done_than_asked_for(catalog: Catalog) -> None:
    """A search drains a little before it looks; the rest is the backlog it tells of."""
    catalog.add_all(mail(f"n{number}") for number in range(7))
    assert catalog.drain(3) == 3
    assert left(catalog) == 4


def test_octets_are_read_in_the_order_of_the_packs(catalog: Catalog) -> None:
    """One pack after the other, front to end."""
    catalog.add_all(messages(20, seed=5, small=True))
    catalog.drain()
    assert [each.content for each in catalog.reads] == sorted(each.content for each in catalog.reads)


def test_it_stops_at_the_next_message_and_keeps_what_it_did(catalog: Catalog) -> None:
    """Shutdown takes one message, not the backlog."""
    catalog.add_all(mail(f"n{number}") for number in range(9))
    done = drain(catalog.database, catalog.read, should_stop=lambda: len(catalog.reads) >= 4)
    assert done == 4
    assert left(catalog) == 5


def test_a_damaged_message_does_not_come_again(catalog: Catalog) -> None:
    """It is marked, empty; `verify` names it; the others are found."""
    poison = catalog.add(mail("lost"))
    catalog.damaged.add(poison)
    catalog.add(mail("good"))
    assert catalog.drain() == 2
    assert left(catalog) == 0
    assert catalog.subjects("good") == ["good"]


def test_a_message_the_reader_fails_on_is_indexed_by_its_header(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of ours in reading one mail must not keep all others from being found."""

    def fails(octets: bytes) -> None:
        raise RuntimeError

    monkeypatch.setattr(index, "extract", fails)
    catalog.add(mail("header words", "body"))
    assert catalog.drain() == 1
    assert catalog.subjects("header") == ["header words"]
    assert catalog.subjects("body") == []


def test_an_archive_that_cannot_be_read_now_leaves_the_backlog(catalog: Catalog) -> None:
    """Unlike damage this passes: nothing is marked."""
    catalog.add(mail("later"))

    def unavailable(_waiting: Waiting, _limit: int) -> bytes:
        raise ArchiveUnavailable("The archive cannot be reached; try again later.")

    with pytest.raises(ArchiveUnavailable):
        drain(catalog.database, unavailable)
    assert left(catalog) == 1
    assert catalog.drain() == 1


def test_indexers_at_the_same_time_do_no_harm(catalog: Catalog) -> None:
    """Each content is written by one of them; the others find it taken."""
    catalog.add_all(mail(f"word n{number}") for number in range(60))
    together = threading.Barrier(3)
    done: list[int] = []

    def run() -> None:
        together.wait(timeout=10)
        done.append(drain(catalog.database, catalog.read, max_messages=60))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sum(done) == 60
    assert catalog.texts_with("word") == 60


def test_what_another_indexer_wrote_is_left_alone(catalog: Catalog) -> None:
    """The claim is made in the transaction that writes."""
    catalog.add(mail("word"))
    with catalog.database.reading() as connection:
        batch = waiting(connection, after=0, limit=5)
    found = [look_into(each, catalog.read) for each in batch]
    for expected in (1, 0):
        with catalog.database.writing() as connection:
            assert record(connection, found) == expected
    assert catalog.texts_with("word") == 1


def test_the_whole_is_searched_and_a_part_is_listed(catalog: Catalog) -> None:
    """A list shows the beginning of a long subject; its last word is found all the same."""
    catalog.add(mail("x" * 20 + " y" * MAX_SUBJECT + " lastword"))
    catalog.drain()
    (hit,) = catalog.find("subject:lastword")
    assert len(hit.subject) == MAX_SUBJECT


def test_no_more_of_a_message_is_read_than_is_looked_at(catalog: Catalog) -> None:
    """Memory does not grow with the message."""
    asked: list[int] = []

    def read(_waiting: Waiting, limit: int) -> bytes:
        asked.append(limit)
        return b"Subject: large\r\n\r\n"

    catalog.add(mail("large"), received=datetime(2024, 1, 1, tzinfo=UTC))
    drain(catalog.database, read)
    assert asked == [MAX_INPUT_BYTES]


def test_a_catalog_of_older_rules_is_indexed_anew(catalog: Catalog) -> None:
    """Its lists stay right meanwhile; a text that the index holds already is not written twice."""
    catalog.add(mail("listed", "words"))
    catalog.drain()
    with catalog.database.writing() as connection:
        fulltext.remove(connection, [look_into(waiting_again(connection), catalog.read).text])
    assert left(catalog) == 1
    assert catalog.subjects("") == ["listed"]
    assert catalog.subjects("words") == []
    assert catalog.drain() == 1
    assert catalog.subjects("words") == ["listed"]


def waiting_again(connection: Connection) -> Waiting:
    connection.exec_driver_sql("UPDATE contents SET indexed = 1")
    [only] = waiting(connection, after=0, limit=2)
    return only


def test_a_content_that_is_taken_out_is_found_no_more(catalog: Catalog) -> None:
    """Erasure: not even its words are left."""
    catalog.add_all([mail("keep", "shared"), mail("erase", "shared secret")])
    catalog.drain()
    with catalog.database.writing() as connection:
        connection.exec_driver_sql("UPDATE contents SET indexed = 1")
        texts = [look_into(each, catalog.read).text for each in waiting(connection, after=0, limit=9)]
        fulltext.remove(connection, [each for each in texts if each.subject == "erase"])
    assert (catalog.texts_with("secret"), catalog.texts_with("shared")) == (0, 1)


@pytest.mark.parametrize("catalog", [pytest.param("postgresql", marks=pytest.mark.servers)], indirect=True)
def test_indexers_of_a_shared_catalog_take_different_messages(catalog: Catalog) -> None:
    """SKIP LOCKED: one does not wait for another, and a run that places a message once more waits for none."""
    taken = mail("taken")
    catalog.add_all([taken, mail("free 1"), mail("free 2")])
    with catalog.database.writing() as connection:
        [claimed] = waiting(connection, after=0, limit=1, claimed=True)
        assert catalog.drain() == 2
        with catalog.database.writing() as writer:
            writer.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
            catalog._add(writer, taken, "Elsewhere", "team/alice", None, 99)
        assert record(connection, [look_into(claimed, catalog.read)]) == 1
    assert (left(catalog), len(catalog.reads)) == (0, 3)
