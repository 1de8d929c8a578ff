"""A few shapes of SVG."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FONT = "Inter, Helvetica, Arial, sans-serif"
MONOSPACE = "Menlo, Consolas, monospace"
EM = 0.6  # width of a letter on average, in units of its height


class Canvas:
    """Draw from the top left; `svg` is the picture."""

    def __init__(self, width: float, height: float, background: str) -> None:
        self._size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
        self._parts: list[str] = []
        self.box(0, 0, width, height, fill=background)

    @property
    def svg(self) -> str:
        inner = "\n".join(self._parts)
        return f'<svg xmlns="http://www.w3.org/2000/svg" {self._size} font-family="{FONT}">\n{inner}\n</svg>\n'

    def box(self, x: float, y: float, width: float, height: float, *, fill: str, stroke: str = "none") -> None:
        place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
        self._parts.append(f'<rect {place} rx="2" fill="{fill}" stroke="{stroke}"/>')

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 11,
        fill: str = "#24292e",
        anchor: str = "start",
        bold: bool = False,
        monospace: bool = False,
        room: float | None = None,
    ) -> float:
        """Write on the baseline `y`, cut off after `room`; the width that it takes, more or less."""
        if room is not None and width_of(text, size) > room:
            text = text[: max(1, int(room / (size * EM)) - 1)] + "…"
        more = (' font-weight="600"' if bold else "") + (f' font-family="{MONOSPACE}"' if monospace else "")
        place = f'x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{fill}" text-anchor="{anchor}"'
        self._parts.append(f"<text {place}{more}>{escape(text)}</text>")
        return width_of(text, size)

    def line(self, points: Iterable[tuple[float, float]], *, stroke: str, width: float = 1.5) -> None:
        self._parts.append(
            f'<polyline points="{_joined(points)}" fill="none" stroke="{stroke}" stroke-width="{width:g}"/>'
        )

    def area(self, points: Iterable[tuple[float, float]], *, fill: str, opacity: float) -> None:
        self._parts.append(f'<polygon points="{_joined(points)}" fill="{fill}" fill-opacity="{opacity:g}"/>')


def width_of(text: str, size: float) -> float:
    return len(text) * size * EM


def _joined(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
