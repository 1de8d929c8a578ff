"""Tables and numbers as people read them."""

import json
import time
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


def test_a_table_on_a_terminal_fits_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The widest columns that may shrink give way; ids and numbers stay whole, wide characters are not cut in two."""
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    columns = [Column("ID"), Column("FROM", may_shrink=True), Column("SUBJECT", may_shrink=True), Column("SIZE", True)]
    output.emit_table(columns, [("b97cf4e5f97a", "Ines", "夜行列車の予約確認と京都の宿", "1.6 kB")])

    assert capsys.readouterr().out.splitlines() == [
        "ID            FROM  SUBJECT         SIZE",
        "b97cf4e5f97a  Ines  夜行列車の…   1.6 kB",
    ]


def test_a_table_that_cannot_fit_is_shown_all_the_same(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal of ten columns wraps; nothing is lost."""
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "10")
    output.emit_table([Column("ID"), Column("FOLDER", may_shrink=True)], [("b97cf4e5f97a", "Lists/Tomatoes")])

    assert capsys.readouterr().out.splitlines()[1] == "b97cf4e5f97a  Lists/T…"


def test_one_long_cell_does_not_blow_up_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """A subject of a megabyte is cut; the other rows stay small."""
    output.emit_table([Column("SUBJECT"), Column("SIZE", is_number=True)], [("x" * 1_000_000, "1 MB"), ("y", "1 B")])

    assert len(capsys.readouterr().out) < 1000


def test_titles_are_bold_on_a_terminal_unless_colour_is_unwanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """https://no-color.org."""
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    output.emit_table([Column("ID")], [])
    monkeypatch.setenv("NO_COLOR", "1")
    output.emit_table([Column("ID")], [])

    assert capsys.readouterr().out == "\x1b[1mID\x1b[0m\nID\n"


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


def test_json_cannot_act_on_a_terminal_nor_end_a_line(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """C1 controls, bidirectional overrides and Unicode's line ends are escaped; the value is the same."""
    text = "a\x1b[31m\x9b31m\x7f\u202egpj\u2028\u0085b\u2066ä"
    output.emit_json({"subject": text})

    out = capsysbinary.readouterr().out.decode()
    assert len(out.splitlines()) == 1
    assert json.loads(out) == {"subject": text}
    assert out.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    ("zone", "when"), [("Asia/Tokyo", "9999-12-31 23:59"), ("America/New_York", "0001-01-01 00:00")]
)
def test_the_ends_of_the_calendar_are_shown(monkeypatch: pytest.MonkeyPatch, zone: str, when: str) -> None:
    """A date that a sender or a server made up; there may be no local time of it."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        shown = output.moment(datetime.fromisoformat(f"{when}:00+00:00"))
        assert shown.lstrip("0") == when.lstrip("0")
    finally:
        monkeypatch.undo()
        time.tzset()
