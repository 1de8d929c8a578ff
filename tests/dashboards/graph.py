"""A panel of curves: scale, grid, lines or stacked areas, legend."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.dashboards.canvas import width_of
from tests.dashboards.units import written

if TYPE_CHECKING:
    from tests.dashboards.canvas import Canvas
    from tests.dashboards.reading import Panel
    from tests.servers.prometheus import Series

PALETTE = ("#56a64b", "#f2cc0c", "#3274d9", "#ff780a", "#e02f44", "#a352cc", "#37872d", "#fa6400", "#8ab8ff", "#7c2ea3")
GRID, FAINT = "#e4e7eb", "#6e7681"
LEFT, BOTTOM, LEGEND = 62, 18, 32
LEGEND_LINES = 2


@dataclass(frozen=True, slots=True)
class Span:
    """The time that is shown, and how far points are apart."""

    start: float
    end: float
    step: float


@dataclass(frozen=True, slots=True)
class Area:
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Curve:
    name: str
    points: dict[float, float]


def curves(legend: str, answer: list[Series]) -> list[Curve]:
    """Named by the legend's template."""
    return [
        Curve(re.sub(r"{{(\w+)}}", lambda found, each=each: each.labels.get(found[1], ""), legend), dict(each.points))
        for each in answer
    ]


def draw(canvas: Canvas, panel: Panel, area: Area, shown: list[Curve], span: Span) -> None:
    """Draw the curves into the area."""
    custom = panel.defaults["custom"]
    is_stacked = custom["stacking"]["mode"] == "normal"
    layers = _stacked(shown) if is_stacked else [({}, curve.points) for curve in shown]
    top = panel.defaults.get("max") or _nice(max((value for _, high in layers for value in high.values()), default=1))
    plot = Area(area.x + LEFT, area.y, area.width - LEFT, area.height - BOTTOM - LEGEND)
    _grid(canvas, plot, top, panel.defaults["unit"], span)

    def at(when: float, value: float) -> tuple[float, float]:
        x = plot.x + plot.width * (when - span.start) / (span.end - span.start)
        return x, plot.y + plot.height * (1 - min(value, top) / top)

    is_step = custom["lineInterpolation"] == "stepAfter"
    for number, (low, high) in enumerate(layers):
        colour = PALETTE[number % len(PALETTE)]
        for run in _runs(high, span.step):
            upper = [at(when, high[when]) for when in run]
            floor = [at(when, low.get(when, 0.0)) for when in reversed(run)]
            if is_step:
                upper, floor = _steps(upper), list(reversed(_steps(list(reversed(floor)))))
            if is_stacked:
                canvas.area([*upper, *floor], fill=colour, opacity=custom["fillOpacity"] / 100)
            canvas.line(upper if len(upper) > 1 else [upper[0], (upper[0][0] + 2, upper[0][1])], stroke=colour)
    _legend(canvas, area, shown, panel.defaults["unit"])


def _stacked(shown: list[Curve]) -> list[tuple[dict[float, float], dict[float, float]]]:
    layers, below = [], dict[float, float]()
    for curve in shown:
        high = {when: below.get(when, 0.0) + value for when, value in curve.points.items()}
        layers.append((dict(below), high))
        below |= high
    return layers


def _runs(points: dict[float, float], step: float) -> list[list[float]]:
    """Times without a gap between them: where there is no value there is no line."""
    runs: list[list[float]] = []
    for when in sorted(points):
        if not runs or when - runs[-1][-1] > 1.5 * step:
            runs.append([])
        runs[-1].append(when)
    return runs


def _steps(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    stepped = points[:1]
    for x, y in points[1:]:
        stepped += [(x, stepped[-1][1]), (x, y)]
    return stepped


def _grid(canvas: Canvas, plot: Area, top: float, unit: str, span: Span) -> None:
    for part in range(5):
        y = plot.y + plot.height * (1 - part / 4)
        canvas.line([(plot.x, y), (plot.x + plot.width, y)], stroke=GRID, width=1)
        canvas.text(plot.x - 6, y + 3, written(top * part / 4, unit), size=9, fill=FAINT, anchor="end")
    for part in range(5):
        when = span.start + (span.end - span.start) * part / 4
        x = plot.x + plot.width * part / 4
        clock = f"{datetime.fromtimestamp(when, UTC):%H:%M:%S}"
        anchor = "start" if part == 0 else "end" if part == 4 else "middle"
        canvas.text(x, plot.y + plot.height + 13, clock, size=9, fill=FAINT, anchor=anchor)


def _legend(canvas: Canvas, area: Area, shown: list[Curve], unit: str) -> None:
    """In two lines at most; then a number says how many are left."""
    left, line = area.x + 4, 0
    x, y = left, area.y + area.height - 18
    for number, curve in enumerate(shown):
        text = f"{curve.name}  {written(curve.points[max(curve.points)], unit)}"
        if x > left and x + width_of(text, 10) + 14 > area.x + area.width - 24:
            x, y, line = left, y + 14, line + 1
        if line == LEGEND_LINES:
            canvas.text(area.x + area.width, y - 14, f"+ {len(shown) - number}", size=10, fill=FAINT, anchor="end")
            return
        canvas.line([(x, y - 4), (x + 9, y - 4)], stroke=PALETTE[number % len(PALETTE)], width=3)
        x += 14 + canvas.text(x + 13, y, text, size=10) + 10


def _nice(value: float) -> float:
    """A round number that is not below the value."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= value * 0.999)
