"""What a search finds, in which order, and where it says the message is."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from archivmail.archive.catalog import fts5, tsvector
from archivmail.archive.catalog import search as search_module
from archivmail.archive.catalog.querytext import Query, parse
from archivmail.archive.catalog.reading import all_placements
from archivmail.archive.catalog.search import Cursor, search
from tests.archive.search.catalogs import Catalog, mail

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        pytest.param("invoice", True, id="word-of-the-subject"),
        pytest.param("INVOICE", True, id="case"),
        pytest.param("invoi", False, id="part-of-a-word"),
        pytest.param("grosse GRÖSSE", True, id="sharp-s-is-ss"),
        pytest.param("größe", True, id="umlaut"),
        pytest.param("grobe", False, id="other-word"),
        pytest.param("große", True, id="without-the-accent"),
        pytest.param("gro\u0308ße", True, id="decomposed-umlaut"),
        pytest.param("groeße", False, id="oe-is-no-umlaut"),
        pytest.param("größe missing", False, id="all-words-must-be-there"),
        pytest.param('"quick brown"', True, id="phrase"),
        pytest.param('"brown quick"', False, id="phrase-in-other-order"),
        pytest.param("brown quick", True, id="words-in-other-order"),
        pytest.param("from:bob", True, id="sender"),
        pytest.param("from:bob@example.org", True, id="address-of-sender"),
        pytest.param("from:alice", False, id="recipient-is-not-sender"),
        pytest.param("to:alice", True, id="recipient"),
        pytest.param("subject:invoice", True, id="subject"),
        pytest.param("subject:quick", False, id="text-is-not-subject"),
        pytest.param("会議", True, id="japanese-word"),
        pytest.param("議", True, id="one-character"),
        pytest.param("議会", False, id="characters-in-other-order"),
        pytest.param('"会議の資料"', True, id="longer-run"),
        pytest.param("ｶﾀｶﾅ", True, id="half-width-finds-full-width"),
        pytest.param("회의", True, id="korean-word-before-a-particle"),
        pytest.param("ทดสอบ", True, id="thai-within-a-run"),
        pytest.param("привет", True, id="cyrillic"),
        pytest.param("ref-0042", True, id="punctuation-makes-a-phrase"),
        pytest.param("0042", True, id="number"),
        pytest.param("after:2024-05-01", True, id="after-is-inclusive"),
        pytest.param("after:2024-05-02", False, id="after"),
        pytest.param("before:2024-05-02", True, id="before"),
        pytest.param("before:2024-05-01", False, id="before-is-exclusive"),
        pytest.param("has:attachment", False, id="no-attachment"),
        pytest.param("folder:INBOX", True, id="folder"),
        pytest.param("folder:inbox invoice", True, id="folder-in-other-case"),
        pytest.param("folder:INB", False, id="part-of-a-folder-name"),
        pytest.param("folder:IN*", True, id="folder-pattern"),
        pytest.param("folder:*" + "*" * 40 + "y", False, id="many-asterisks"),
        pytest.param("folder:Sent", False, id="other-folder"),
        pytest.param("NOT invoice", False, id="no-operator"),
        pytest.param("body : invoice", False, id="column-names-are-words"),
    ],
)
def test_a_message_is_found_by_what_it_says(catalog: Catalog, query: str, is_found: bool) -> None:
    """One message, every kind of term."""
    body = "The quick brown fox. Größe ref-0042 会議の資料を送ります カタカナ 회의를 ภาษาทดสอบไทย Привет"
    octets = mail("Invoice", body, sender="Bob <bob@example.org>", to="Alice <alice@example.org>")
    catalog.add(octets, received=NOON)
    catalog.drain()
    assert bool(catalog.find(query)) is is_found


def test_attachments_are_found_by_name_and_by_being_there(catalog: Catalog) -> None:
    """Names are words like others."""
    catalog.add(
        b"Subject: with\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n"
        b'Content-Disposition: attachment; filename="annual report.pdf"\r\n\r\ny\r\n--b--'
    )
    catalog.add(mail("without", "report"))
    catalog.drain()
    assert catalog.subjects("has:attachment") == ["with"]
    assert catalog.subjects('"annual report"') == ["with"]


def test_hits_come_newest_first_by_their_own_date(catalog: Catalog) -> None:
    """A mailbox that was moved has one INTERNALDATE for all: the Date header tells more."""
    for day in (3, 1, 2):
        catalog.add(mail(f"day {day}", date=f"{day} May 2024 10:00:00 +0000"), received=NOON + timedelta(days=9))
    catalog.drain()
    assert catalog.subjects("") == ["day 3", "day 2", "day 1"]
    assert catalog.subjects("day before:2024-05-03") == ["day 2", "day 1"]


@pytest.mark.parametrize(
    ("date", "received", "shown"),
    [
        pytest.param("1 May 2024 10:00:00 +0000", NOON, NOON - timedelta(hours=2), id="header"),
        pytest.param("", NOON, NOON, id="no-header"),
        pytest.param("nonsense", NOON, NOON, id="header-that-is-no-date"),
        pytest.param("3 May 2024 11:00:00 +0000", NOON, NOON + timedelta(hours=47), id="two-days-ahead"),
        pytest.param("3 May 2024 13:00:00 +0000", NOON, NOON, id="more-than-two-days-ahead"),
        pytest.param("1 May 2034 12:00:00 +0000", None, NOON.replace(year=2034), id="nothing-to-compare-with"),
        pytest.param("", None, None, id="no-date-at-all"),
    ],
)
def test_date_is_of_the_message_unless_it_is_impossible(
    catalog: Catalog, date: str, received: datetime | None, shown: datetime | None
) -> None:
    """Spam dated 2034 must not stand on top for ten years."""
    catalog.add(mail(date=date), received=received)
    catalog.drain()
    assert catalog.find("")[0].date == shown


def test_one_hit_per_message_and_account_at_its_newest_placement(catalog: Catalog) -> None:
    """The same octets in three folders are one message; in another account they are another."""
    octets = mail("same")
    for hours, folder in enumerate(("Old", "Newest", "Between")):
        catalog.add(octets, folder=folder, received=NOON + timedelta(hours=(0, 2, 1)[hours]), uid=40 + hours)
    catalog.add(octets, folder="INBOX", account="team/bob")
    catalog.drain()
    hits = catalog.find("same")
    assert sorted((hit.account, hit.folder, hit.uid, hit.uid_validity) for hit in hits) == [
        ("alice", "Newest", 41, 7),
        ("bob", "INBOX", hits[0].uid if hits[0].account == "bob" else hits[1].uid, 7),
    ]
    assert {hit.id for hit in hits} == {hits[0].id}


def test_folder_matches_any_placement_and_is_the_one_shown(catalog: Catalog) -> None:
    """A message is found by an older place too, and shown there."""
    octets = mail("same")
    catalog.add(octets, folder="Projects/A", received=NOON)
    catalog.add(octets, folder="Trash", received=NOON + timedelta(hours=1))
    catalog.drain()
    assert [hit.folder for hit in catalog.find("same")] == ["Trash"]
    assert [hit.folder for hit in catalog.find("folder:projects/*")] == ["Projects/A"]
    assert [hit.folder for hit in catalog.find("folder:Projects/A folder:Trash")] == ["Trash"]
    assert catalog.find("folder:Projects/A folder:Sent") == []


def test_export_of_a_query_takes_the_placements_in_its_folders(catalog: Catalog) -> None:
    """Placements are chosen by the same words; with `folder:` only those that lie there."""
    octets = mail("same")
    catalog.add(octets, folder="Projects/A")
    catalog.add(octets, folder="Trash")
    catalog.add(mail("other"), folder="Trash")
    catalog.add(octets, folder="Trash", account="team/bob")
    catalog.drain()

    def places(query: str, account: str | None = None) -> list[str]:
        with catalog.database.reading() as connection:
            rows = all_placements(connection, namespace=None, account=account, query=parse(query))
            return [f"{row.account.name} {row.display}" for row in rows]

    assert places("same") == ["alice Projects/A", "alice Trash", "bob Trash"]
    assert places("same folder:trash", "alice") == ["alice Trash"]
    assert places("folder:Trash folder:Projects/*") == ["alice Projects/A", "alice Trash"]
    assert len(places("")) == 4


def test_namespace_and_account_narrow_the_search(catalog: Catalog) -> None:
    """Both, either or none."""
    for number, account in enumerate(("a/x", "a/y", "b/x")):
        catalog.add(mail(f"{account} {number}"), account=account)
    catalog.drain()
    assert catalog.subjects("", namespace="a") == ["a/y 1", "a/x 0"]
    assert catalog.subjects("", account="x") == ["b/x 2", "a/x 0"]
    assert catalog.subjects("", namespace="a", account="x") == ["a/x 0"]
    assert catalog.subjects("", namespace="c") == []


@pytest.mark.parametrize("query", ["", "word"])
def test_pages_give_every_hit_once_while_mail_arrives(catalog: Catalog, query: str) -> None:
    """Many messages of one second, and newer ones coming in between two pages."""
    for number in range(25):
        catalog.add(mail(f"word {number:02}"), received=NOON + timedelta(seconds=number // 10))
    catalog.drain()
    seen: list[str] = []
    before: Cursor | None = None
    for arrival in count(100):
        page = catalog.find(query, limit=4, before=before)
        if not page:
            break
        seen += [hit.subject for hit in page]
        before = page[-1].cursor
        catalog.add(mail(f"word {arrival}"), received=NOON + timedelta(days=1))
        catalog.drain()
    assert seen == [f"word {number:02}" for number in reversed(range(25))]


def test_messages_that_wait_are_not_found_but_listed_last(catalog: Catalog) -> None:
    """Without the indexer a content has neither words nor date; a query without words still shows that it is there."""
    catalog.add(mail("indexed"), received=NOON)
    catalog.drain()
    catalog.add(mail("waiting"), received=NOON + timedelta(days=1))
    assert catalog.subjects("waiting") == []
    assert catalog.subjects("") == ["indexed", ""]
    assert catalog.subjects("before:2030-01-01") == ["indexed"]


def test_more_folders_than_a_statement_takes_parameters(catalog: Catalog) -> None:
    """SQLite takes 32,766 parameters; accounts times folders may be more."""
    with catalog.database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO accounts (id, namespace, name) VALUES (1000, 'n', 'a')")
        octets = "CAST(i AS BLOB)" if connection.dialect.name == "sqlite" else "convert_to(CAST(i AS text), 'UTF8')"
        connection.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 33000) "
            "INSERT INTO folders (account_id, name, delimiter, display) "
            f"SELECT 1000, {octets}, {octets}, 'Box ' || CAST(i AS text) FROM n"
        )
    catalog.add(mail("found"), folder="Box")
    catalog.drain()
    assert catalog.subjects("folder:Box*") == ["found"]


def test_an_empty_query_over_an_empty_catalog_finds_nothing(catalog: Catalog) -> None:
    """The first thing a newcomer types."""
    with catalog.database.reading() as connection:
        assert search(connection, Query()) == []


def test_common_and_rare_words_give_the_same_order_and_pages(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many matches are looked for from the newest message on, few are sorted: nobody can tell which."""
    for number in range(60):
        words = "common" + " seldom" * (number % 20 == 0) + " old" * (number < 3)
        catalog.add(mail(f"n{number:02}", words), received=NOON + timedelta(hours=number), folder=f"F{number % 2}")
    catalog.drain()
    catalog.analyse()
    queries = ("common", "seldom", "old", "common old", "folder:F1 common", '"common seldom"', "folder:F1", "from:a@b")

    def all_pages(query: str) -> list[str]:
        seen: list[str] = []
        before: Cursor | None = None
        while page := catalog.find(query, limit=7, before=before):
            seen += [hit.subject for hit in page]
            before = page[-1].cursor
        return seen

    sorted_ = [all_pages(query) for query in queries]
    for index in (fts5.INDEX, tsvector.INDEX):
        monkeypatch.setattr(index, "few", 2)
    monkeypatch.setattr(search_module, "_WINDOWS", (5, 9))
    assert [all_pages(query) for query in queries] == sorted_
    assert [len(each) for each in sorted_] == [60, 3, 3, 3, 30, 3, 30, 60]
