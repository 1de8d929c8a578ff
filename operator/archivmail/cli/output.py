"""What commands print: JSON lines, tables and sentences. Knows widths and terminals, and nothing of mail.

Results go to standard output, everything said about them to standard error. Colour and boxes only on a terminal, and
not even there when NO_COLOR is set.
"""

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import click

from archivmail.mime.terminal import line

UNKNOWN: Final = "-"


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


def emit_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """A table; cells are lines."""
    cells = [[line(cell) for cell in row] for row in rows]
    if on_terminal():
        _emit_rich(columns, cells)
    else:
        _emit_plain(columns, cells)


def _emit_plain(columns: Sequence[Column], rows: list[list[str]]) -> None:
    table = [[column.title for column in columns], *rows]
    widths = [max(width_of(row[at]) for row in table) for at in range(len(columns))]
    for row in table:
        cells = []
        for at, cell in enumerate(row):
            padding = " " * (widths[at] - width_of(cell))
            cells.append(padding + cell if columns[at].is_number else cell + padding)
        click.echo("  ".join(cells).rstrip())


def _emit_rich(columns: Sequence[Column], rows: list[list[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - a tenth of a second that pipes need not pay
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(
            column.title,
            justify="right" if column.is_number else "left",
            no_wrap=True,
            overflow="ellipsis" if column.may_shrink else "fold",
        )
    for row in rows:
        # Text, not str: a subject like "[red]" is no markup.
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(table)


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
    return UNKNOWN if when is None else when.astimezone().strftime("%Y-%m-%d %H:%M")
