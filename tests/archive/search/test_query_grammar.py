"""What a person may type, and what is said when it cannot be understood."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.archive.catalog.querytext import MAX_QUERY_LENGTH, MAX_TERMS, Field, Query, Term, parse
from archivmail.model.errors import SpecInvalid

DAY = date(2026, 1, 31)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        pytest.param("", Query(), id="nothing-finds-all"),
        pytest.param("  \t ", Query(), id="blanks"),
        pytest.param("one two", Query((Term("one"), Term("two"))), id="words"),
        pytest.param('"annual report" x', Query((Term("annual report"), Term("x"))), id="phrase"),
        pytest.param('a"b c"d', Query((Term("a"), Term("b c"), Term("d"))), id="phrase-without-blanks"),
        pytest.param("from:bob", Query((Term("bob", Field.SENDER),)), id="from"),
        pytest.param("FROM:bob To:x", Query((Term("bob", Field.SENDER), Term("x", Field.RECIPIENTS))), id="case"),
        pytest.param('subject:"a b"', Query((Term("a b", Field.SUBJECT),)), id="phrase-in-a-field"),
        pytest.param("from:bob@example.org", Query((Term("bob@example.org", Field.SENDER),)), id="address"),
        pytest.param("folder:INBOX", Query(folders=("INBOX",)), id="folder"),
        pytest.param('folder:"Sent Items" folder:a*', Query(folders=("Sent Items", "a*")), id="folders"),
        pytest.param("after:2026-01-31", Query(after=DAY), id="after"),
        pytest.param("before:2026-01-31", Query(before=DAY), id="before"),
        pytest.param("after:2026-01-31 after:2025-01-01", Query(after=DAY), id="later-after-holds"),
        pytest.param("before:2026-01-31 before:2027-01-01", Query(before=DAY), id="earlier-before-holds"),
        pytest.param("has:attachment", Query(has_attachment=True), id="attachment"),
        pytest.param("Re: https://x.org/a:b", Query((Term("Re:"), Term("https://x.org/a:b"))), id="unknown-names"),
        pytest.param("a & b", Query((Term("a"), Term("b"))), id="sign-alone-is-left-out"),
        pytest.param("AND OR NOT NEAR(a)", Query(tuple(map(Term, ("AND", "OR", "NOT", "NEAR(a)")))), id="no-operators"),
        pytest.param("会議", Query((Term("会議"),)), id="japanese"),
        pytest.param("a\udcffb\0c", Query((Term("a?b"), Term("c"))), id="octets-of-a-command-line"),
    ],
)
def test_queries_are_understood(text: str, query: Query) -> None:
    """The grammar of querytext.py."""
    assert parse(text) == query


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("before:yesterday", "before:yesterday is no date; write before:2026-01-31", id="no-date"),
        pytest.param("after:2026-02-30", "after:2026-02-30 is no date", id="no-such-day"),
        pytest.param("after:20260131", "write after:2026-01-31", id="other-form-of-date"),
        pytest.param("has:pictures", "write has:attachment", id="has-something-else"),
        pytest.param("from: bob", "from: is followed by nothing; write from:bob", id="blank-after-the-colon"),
        pytest.param('subject:""', "subject: is followed by nothing", id="empty-phrase"),
        pytest.param('a "b c', 'A " is not closed', id="open-phrase"),
        pytest.param("& --", "no letter and no digit", id="no-letters"),
        pytest.param("from:---", "no letter and no digit", id="no-letters-in-a-field"),
        pytest.param("x" * (MAX_QUERY_LENGTH + 1), "longer than", id="too-long"),
        pytest.param("x " * (MAX_TERMS + 1), "more than 64 terms", id="too-many-terms"),
    ],
)
def test_a_wrong_query_is_answered_with_the_right_form(text: str, says: str) -> None:
    """One sentence that shows what to write."""
    with pytest.raises(SpecInvalid) as caught:
        parse(text)
    assert says in caught.value.text
    assert caught.value.text.endswith(".")


@given(st.text(max_size=80))
def test_any_text_is_a_query_or_refused(text: str) -> None:
    """No text makes the parser fail otherwise."""
    try:
        query = parse(text)
    except SpecInvalid:
        return
    for term in query.terms:
        assert '"' not in term.words
        term.words.encode()
