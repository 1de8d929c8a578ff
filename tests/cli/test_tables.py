"""Tables and numbers as people read them."""

import json
from datetime import UTC, datetime

import pytest

from archivmail.cli import output
from archivmail.cli.output import Column


def test_columns_stand_straight_whatever_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    """East Asian characters take two columns; numbers stand to the right; no line ends in blanks."""
    columns = [Column("FOLDER"), Column("ARCHIVED", is_number=True), Column("LAST")]
    output.emit_table(columns, [("INBOX", "1,200", "now"), ("旅行", "7", "-")])

    assert capsys.readouterr().out.splitlines() == [
        "FOLDER  ARCHIVED  LAST",
        "INBOX      1,200  now",
        "旅行           7  -",
    ]


def test_a_table_on_a_terminal_takes_no_markup_from_mail(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A subject in square brackets is text, not a colour."""
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    output.emit_table([Column("SUBJECT", may_shrink=True)], [("[red]sale[/red]",)])

    assert "[red]sale[/red]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_940, "99.9 kB"),
        (123_456, "123 kB"),
        (5_560_000_000, "5.6 GB"),
        (4 * 10**15, "4000 TB"),
    ],
)
def test_sizes_are_short(octets: int, text: str) -> None:
    """Three digits or so, units of a thousand."""
    assert output.size(octets) == text


def test_json_is_one_line_of_utf8(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """Line feeds are escaped, scripts are not, and what UTF-8 cannot say is still JSON."""
    output.emit_json({"subject": "宿\n\udcff"})

    line = capsysbinary.readouterr().out
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert "宿".encode() in line
    assert json.loads(line) == {"subject": "宿\n\udcff"}


def test_times_for_people_say_when_there_was_none() -> None:
    """A dash, not "None"."""
    assert output.moment(None) == "-"
    assert output.moment(datetime(2026, 11, 20, 10, 0, tzinfo=UTC)).startswith("2026-11-2")


@pytest.mark.parametrize(("number", "text"), [(1, "1 message"), (0, "0 messages"), (1200, "1,200 messages")])
def test_counted_things_have_their_plural(number: int, text: str) -> None:
    """One message, two messages."""
    assert output.counted(number, "message") == text
