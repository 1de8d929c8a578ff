"""What commands print: JSON lines, tables and sentences. Knows widths and terminals, and nothing of mail.

Results go to standard output, everything said about them to standard error. Colour and boxes only on a terminal, and
not even there when NO_COLOR is set.
"""

import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import click

from archivmail.mime.terminal import line

UNKNOWN: Final = "-"
GAP: Final = "  "
MAX_CELL: Final = 200  # characters; one subject of a megabyte must not pad every row to a megabyte
LEAST_WIDTH: Final = 8  # columns; what is narrower tells nothing
_ACTING: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


@dataclass(frozen=True, slots=True)
class Column:
    """`is_number` columns stand to the right; a column that `may_shrink` gives way on a narrow terminal."""

    title: str
    is_number: bool = False
    may_shrink: bool = False


def on_terminal() -> bool:
    """Whether standard output is read by a person."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def emit_json(document: object) -> None:
    """One object on one line, in UTF-8 whatever the locale says."""
    text = json.dumps(document, ensure_ascii=False, separators=(", ", ": "))
    # What acts on a terminal or ends a line for some readers is written as \uXXXX: the same JSON, and harmless.
    text = _ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    # A lone surrogate cannot be written as UTF-8; as \\udcXX it is still JSON.
    click.echo(text.encode("utf-8", "backslashreplace"))


def emit(text: str = "") -> None:
    """A line of the result, its indentation kept. What strangers wrote in it cannot act on the terminal."""
    click.echo(_harmless(text))


def note(text: str) -> None:
    """A sentence about the result, on standard error."""
    click.echo(_harmless(text), err=True)


def _harmless(text: str) -> str:
    return " " * (len(text) - len(text.lstrip(" "))) + line(text)


def emit_table(
    columns: Sequence[Column], rows: Iterable[Sequence[str]], *, below: Callable[[int], str | None] | None = None
) -> None:
    """A table; cells are lines. On a terminal it is as narrow as the terminal and its titles are bold.

    `below` gives a harmless line to stand under a row, by the row's number.
    """
    cells = [[line(cell, MAX_CELL) for cell in row] for row in rows]
    titles = [column.title for column in columns]
    widths = [max(width_of(row[at]) for row in (titles, *cells)) for at in range(len(columns))]
    if on_terminal():
        widths = _fitted(columns, widths, shutil.get_terminal_size().columns)
    heading = _row(columns, titles, widths)
    is_bold = on_terminal() and not os.environ.get("NO_COLOR")
    click.echo(click.style(heading, bold=True) if is_bold else heading, color=is_bold)
    for at, row in enumerate(cells):
        click.echo(_row(columns, row, widths))
        if below is not None and (under := below(at)) is not None:
            click.echo(under, color=is_bold)


def _fitted(columns: Sequence[Column], widths: list[int], room: int) -> list[int]:
    """Take from the widest of the columns that may shrink until the table fits, or cannot."""
    fitted = widths[:]
    excess = sum(widths) + len(GAP) * (len(widths) - 1) - room
    while excess > 0:
        at = max((at for at, column in enumerate(columns) if column.may_shrink), key=fitted.__getitem__, default=None)
        if at is None or fitted[at] <= LEAST_WIDTH:
            break
        fitted[at] -= 1
        excess -= 1
    return fitted


def _row(columns: Sequence[Column], cells: Sequence[str], widths: list[int]) -> str:
    parts = []
    for column, cell, width in zip(columns, cells, widths, strict=True):
        shown = _cut(cell, width)
        padding = " " * (width - width_of(shown))
        parts.append(padding + shown if column.is_number else shown + padding)
    return GAP.join(parts).rstrip()


def _cut(text: str, width: int) -> str:
    if width_of(text) <= width:
        return text
    kept = text[: width - 1]  # of a line of a megabyte
    while width_of(kept) > width - 1:
        kept = kept[:-1]
    return kept + "…"


def width_of(text: str) -> int:
    """Columns that a text takes: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def count(number: int) -> str:
    """`184223` as `184,223`."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """`1 message`, `2 messages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size(octets: float) -> str:
    """Octets in units of a thousand, as disks and networks are measured."""
    value, units = float(octets), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "B" or value >= 100 else f"{value:.1f} {units[0]}"


def moment(when: datetime | None) -> str:
    """A time for people: local, to the minute, with its offset left to --json."""
    if when is None:
        return UNKNOWN
    with suppress(OverflowError, ValueError):  # in the year 1 or 9999 there may be no local time: shown in UTC then
        when = when.astimezone()
    return when.strftime("%Y-%m-%d %H:%M")
