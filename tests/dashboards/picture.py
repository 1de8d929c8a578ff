"""Draw a dashboard as Grafana lays it out, from its own JSON and the answers of a Prometheus.

No mock-up: every value is what the panel's query gives. Grafana's own theme and menus are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.dashboards.canvas import Canvas
from tests.dashboards.graph import FAINT, GRID, Area, Span, curves, draw
from tests.dashboards.units import written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.dashboards.reading import Dashboard, Panel
    from tests.servers.prometheus import Prometheus, Series

COLUMN, ROW, GAP, HEAD = 51, 30, 6, 56
POINTS = 150
COLOURS = {"green": "#37872d", "red": "#c4162a", "yellow": "#c98c04", "blue": "#1f60c4"}
INK = "#24292e"
Answers = dict[str, list["Series"]]


@dataclass(frozen=True, slots=True)
class View:
    """Whose answers, with which values of the variables, over which time."""

    prometheus: Prometheus
    values: Mapping[str, str]
    start: float
    end: float

    @property
    def span(self) -> Span:
        return Span(self.start, self.end, max(1.0, (self.end - self.start) / POINTS))

    def ask(self, panel: Panel) -> Answers:
        """What the queries of a panel give."""
        found = {}
        for query in panel.queries:
            expr, span = query.filled(self.values), self.span
            if query.is_instant:
                found[query.ref] = self.prometheus.instant(expr, at=self.end)
            else:
                found[query.ref] = self.prometheus.range(expr, start=span.start, end=span.end, step=span.step)
        return found


@dataclass(slots=True)
class Picture:
    svg: str
    without_data: list[str] = field(default_factory=list)
    """Titles of panels that show nothing."""


def picture(dashboard: Dashboard, view: View, shown: Mapping[str, str]) -> Picture:
    """The whole dashboard; `shown` are the values of its variables as its head names them."""
    height = max(panel.y + panel.height for panel in dashboard.panels) * ROW
    canvas = Canvas(24 * COLUMN + 2 * GAP, height + HEAD + GAP, "#f4f5f5")
    _head(canvas, dashboard, view, shown)
    drawn = Picture("")
    for panel in dashboard.panels:
        area = Area(
            GAP + panel.x * COLUMN + GAP / 2,
            HEAD + panel.y * ROW,
            panel.width * COLUMN - GAP,
            panel.height * ROW - GAP,
        )
        if not _panel(canvas, panel, area, view, shown):
            drawn.without_data.append(panel.title)
    drawn.svg = canvas.svg
    return drawn


def _head(canvas: Canvas, dashboard: Dashboard, view: View, shown: Mapping[str, str]) -> None:
    canvas.text(2 * GAP, 22, dashboard.title, size=16, bold=True)
    first, last = (datetime.fromtimestamp(when, UTC) for when in (view.start, view.end))
    canvas.text(24 * COLUMN, 22, f"{first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S} UTC", size=11, fill=FAINT, anchor="end")
    x = 2.0 * GAP
    for name, variable in dashboard.variables.items():
        x += canvas.text(x, 44, variable["label"], size=11, fill=FAINT) + 6
        x += canvas.text(x, 44, shown.get(name, "All"), size=11, bold=True) + 18


def _panel(canvas: Canvas, panel: Panel, area: Area, view: View, shown: Mapping[str, str]) -> bool:
    """Draw one; whether there was data, or is none to expect."""
    if panel.kind == "row":
        canvas.text(area.x + 4, area.y + 17, f"⌄ {panel.title}", size=13, bold=True)
        return True
    canvas.box(area.x, area.y, area.width, area.height, fill="#ffffff", stroke=GRID)
    canvas.text(area.x + 8, area.y + 18, panel.title, size=12, bold=True, room=area.width - 12)
    inner = Area(area.x + 8, area.y + 30, area.width - 16, area.height - 34)
    if panel.kind == "text":
        _text(canvas, panel, inner, shown)
        return True
    answers = view.ask(panel)
    if not any(answers.values()):
        text = panel.defaults.get("noValue", "No data")
        canvas.text(area.x + area.width / 2, area.y + area.height / 2 + 8, text, size=13, fill=FAINT, anchor="middle")
        return False
    match panel.kind:
        case "stat":
            _stat(canvas, panel, inner, next(iter(answers.values()))[0].last)
        case "table":
            _table(canvas, panel, inner, answers)
        case _:
            lines = [curve for query in panel.queries for curve in curves(query.legend, answers[query.ref])]
            draw(canvas, panel, inner, lines, view.span)
    return True


def _stat(canvas: Canvas, panel: Panel, area: Area, value: float) -> None:
    text, colour = _mapped(panel.defaults.get("mappings", ()), value) or (None, None)
    if colour is None:
        steps = panel.defaults["thresholds"]["steps"]
        colour = next(each["color"] for each in reversed(steps) if each["value"] is None or value >= each["value"])
    shown = text or written(value, panel.defaults["unit"])
    size = min(34.0, area.width / (max(4, len(shown)) * 0.6))
    x, y = area.x + area.width / 2, area.y + area.height / 2 + 10
    canvas.text(x, y, shown, size=size, fill=COLOURS[colour], anchor="middle", bold=True)


def _mapped(mappings: Any, value: float) -> tuple[str, str] | None:
    for mapping in mappings:
        found = mapping["options"].get(f"{value:g}")
        if found:
            return found["text"], found["color"]
    return None


def _table(canvas: Canvas, panel: Panel, area: Area, answers: Answers) -> None:
    """Rows are joined by namespace and name, columns named and sorted as the panel's transformations say."""
    steps = {each["id"]: each["options"] for each in panel.source["transformations"]}
    names = steps["organize"]["renameByName"]
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for ref, found in answers.items():
        for each in found:
            rows.setdefault((each.labels["namespace"], each.labels["name"]), {})[names[f"Value #{ref}"]] = each.last
    (order,) = steps["sortBy"]["sort"]
    ordered = sorted(rows.items(), key=lambda row: row[1][order["field"]], reverse=order["desc"])
    columns = ["Namespace", "Name", *names.values()]
    width = area.width / len(columns)
    for number, name in enumerate(columns):
        canvas.text(area.x + number * width, area.y + 12, name, size=11, fill="#1f60c4", bold=True)
    for line, ((namespace, name), values) in enumerate(ordered[: int((area.height - 18) / 22)]):
        y = area.y + 34 + line * 22
        canvas.line([(area.x, y - 15), (area.x + area.width, y - 15)], stroke=GRID, width=1)
        for number, text in enumerate((namespace, name)):
            canvas.text(area.x + number * width, y, text, size=11, room=width - 6)
        for number, column in enumerate(names.values(), start=2):
            text, colour = _cell(panel, column, values.get(column))
            canvas.text(area.x + number * width, y, text, size=11, fill=colour)


def _cell(panel: Panel, column: str, value: float | None) -> tuple[str, str]:
    if value is None:
        return panel.defaults.get("noValue", ""), FAINT
    overrides = panel.source["fieldConfig"]["overrides"]
    found = {
        each["id"]: each["value"]
        for override in overrides
        if override["matcher"]["options"] == column
        for each in override["properties"]
    }
    mapped = _mapped(found.get("mappings", ()), value)
    if mapped is not None:
        return mapped[0], COLOURS[mapped[1]]
    return written(value, found.get("unit", panel.defaults["unit"])), INK


def _text(canvas: Canvas, panel: Panel, area: Area, shown: Mapping[str, str]) -> None:
    is_code, y = False, area.y + 10
    for line in panel.source["options"]["content"].splitlines():
        if line.startswith("```"):
            is_code = not is_code
            continue
        for name, value in shown.items():
            line = line.replace(f"${name}", value)  # noqa: PLW2901 - the same line, filled in
        canvas.text(area.x + (8 if is_code else 0), y, line, size=11, monospace=is_code, room=area.width * 1.1)
        y += 15 if line else 6
