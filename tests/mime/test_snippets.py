"""Where words stand in a text: found as the index finds them, on one line, bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.mime.snippet import snippet
from archivmail.mime.words import words


def marked(text: str, query: str, width: int = 160) -> str:
    stretches = snippet(text, frozenset(words(query)), width=width)
    return "".join(f"[{each.text}]" if each.is_match else each.text for each in stretches)


@pytest.mark.parametrize(
    ("text", "query", "expected"),
    [
        pytest.param("The quick\n brown  fox.", "BROWN fox", "The quick [brown] [fox].", id="words"),
        pytest.param("Größe, GRÖSSE", "grosse", "[Größe], [GRÖSSE]", id="folded"),
        pytest.param("明日の会議室です", "会議", "明日の[会議]室です", id="within-a-run"),
        pytest.param("nothing here", "other", "", id="none"),
        pytest.param("a foxtrot fox", "fox", "a foxtrot [fox]", id="whole-words"),
    ],
)
def test_words_are_marked(text: str, query: str, expected: str) -> None:
    """As they stand in the mail."""
    assert marked(text, query) == expected


def test_the_place_is_around_the_first_match() -> None:
    """A long text shows the match and what stands before it, from a whole word on."""
    text = "before " * 100 + "needle" + " after" * 100
    found = marked(text, "needle", width=60)
    assert "before [needle] after" in found
    assert found.startswith("before")
    assert len(found) <= 64


@given(st.text(max_size=80), st.text(max_size=20), st.integers(1, 60))
def test_any_text_gives_one_bounded_line(text: str, query: str, width: int) -> None:
    """Never fails, never two lines."""
    found = marked(text, query, width)
    assert "\n" not in found
    assert len(found) <= 3 * width + len(text)
