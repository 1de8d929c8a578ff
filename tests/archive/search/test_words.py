"""How text becomes words: the same for what is archived and for what is asked."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.archive.catalog.querytext import Field, Term
from archivmail.archive.catalog.wording import BREAK, MAX_VOCABULARY, IndexedText, line_of, phrase_of
from archivmail.mime.words import MAX_WORD, words


def line(*texts: str, subject: str = "", sender: str = "", attachments: tuple[str, ...] = ()) -> str:
    return line_of(IndexedText(1, subject, sender, "", attachments, texts))


def is_found(query: str, text: str) -> bool:
    """By the definition: the words stand one after the other in the line."""
    phrase = phrase_of(Term(query))
    return f" {' '.join(phrase.words)}{'' if phrase.is_open else ' '}" in f" {line(text)} "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("The QUICK, brown-fox_2!", "the quick brown fox 2", id="ascii"),
        pytest.param("Größe GRÖSSE Straße", "grosse grosse strasse", id="case-and-accents"),
        pytest.param("e\u0301te\u0301 été", "ete ete", id="composed-or-not"),
        pytest.param("\uff21\uff22\uff23 ﬁne ① ½", "abc fine 1 1 2", id="compatibility-forms"),
        pytest.param("İstanbul", "istanbul", id="dotted-i"),
        pytest.param("会議室 の", "会議 議室 室 の", id="pairs"),
        pytest.param("2024年度ABC", "2024 年度 度 abc", id="scripts-that-meet"),
        pytest.param("がぎ ｶﾞ", "がぎ ぎ ガ", id="kana-marks-stay"),
        pytest.param("회의를", "회의 의를 를", id="hangul"),
        pytest.param("हिन्दी भाषा", "हिन्दी भाषा", id="indic-words-are-whole"),
        pytest.param("שָׁלוֹם مُحَمَّد", "שלום محمد", id="vowel-points"),
        pytest.param("Ёлка елка", "елка елка", id="cyrillic"),
        pytest.param("x" * 100, "x" * MAX_WORD, id="long-word"),
        pytest.param("🎉 … — ''", "", id="signs"),
        pytest.param("a·b", "a b", id="the-break-is-no-word"),
    ],
)
def test_text_becomes_words(text: str, expected: str) -> None:
    """Folded, parted, in order."""
    assert " ".join(words(text)) == expected


@given(st.text(max_size=60))
def test_words_of_words_are_the_same(text: str) -> None:
    """Folding is done when it is done once; a word has no blank, no mark of ours, nothing that a database parts."""
    found = words(text)
    for word in found:
        assert words(word)[0] == word
        assert len(word) <= MAX_WORD
        assert BREAK not in word
        assert all(
            character.isascii() is False or character in "0123456789abcdefghijklmnopqrstuvwxyz" for character in word
        )


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_what_stands_in_a_text_between_blanks_is_found(before: str, wanted: str, after: str) -> None:
    """Whatever is pasted from a mail into a query."""
    if words(wanted):
        assert is_found(wanted, f"{before} {wanted} {after}")


@given(st.text(alphabet="会議室の資料を送るアイウ가나다ทดส", min_size=1, max_size=12), st.data())
def test_any_run_of_characters_is_found_in_scripts_without_spaces(text: str, data: st.DataObject) -> None:
    """From one character on, wherever it stands."""
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    piece = text[start:end]
    if unicodedata.category(piece[0])[0] == "L":
        assert is_found(piece, text)


def test_a_phrase_does_not_reach_from_one_field_into_another() -> None:
    """Subject, sender, names of attachments and parts end where they end."""
    found = line("first part", "second part", subject="annual report", sender="Bob", attachments=("x.pdf", "y.pdf"))
    for phrase in ("report bob", "bob x", "pdf y", "pdf first", "part second"):
        assert f" {phrase} " not in f" {found} "
    assert f" {BREAK} second" in found


def test_fields_have_words_of_their_own() -> None:
    """`from:bob` does not find a Bob of the text."""
    found = line("bob", sender="Alice <alice@example.org>").split()
    assert phrase_of(Term("alice@example.org", Field.SENDER)).words == ("·falice", "·fexample", "·forg")
    assert "·falice" in found
    assert "·fbob" not in found


def test_a_page_that_repeats_the_text_is_written_once() -> None:
    """multipart/alternative: what only the page says is found too."""
    plain = "Dear Bob,\nthe meeting moves\nto Tuesday.\nYours, Alice"
    page = "Dear Bob,\nthe meeting moves to Tuesday.\nUnsubscribe here\nYours, Alice"
    assert line(plain, page) == f"{line(plain)} {BREAK} unsubscribe here"


def test_the_vocabulary_of_a_message_is_bounded() -> None:
    """A mail of a million different words is found by the first of them; PostgreSQL takes no more."""
    text = " ".join(f"w{number:07}" for number in range(100_000))
    found = line(text).split()
    assert found[:2] == ["w0000000", "w0000001"]
    assert MAX_VOCABULARY - 16 < sum(map(len, set(found))) <= MAX_VOCABULARY
