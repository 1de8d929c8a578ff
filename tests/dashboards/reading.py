"""The dashboards as Grafana reads them: panels, queries, variables."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "helm" / "archivmail" / "files" / "dashboards"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
_MACRO = re.compile(r"\$\{?(\w+)\}?")


@dataclass(frozen=True, slots=True)
class Query:
    """One target of a panel."""

    ref: str
    expr: str
    legend: str
    is_instant: bool

    def filled(self, values: Mapping[str, str]) -> str:
        """The expression with the values of its variables; KeyError for one that has none."""
        return _MACRO.sub(lambda found: values[found[1]], self.expr)


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel, with its place on Grafana's grid of 24 columns."""

    kind: str
    title: str
    description: str
    x: int
    y: int
    width: int
    height: int
    queries: tuple[Query, ...]
    source: dict[str, Any]

    @property
    def defaults(self) -> dict[str, Any]:
        found: dict[str, Any] = self.source.get("fieldConfig", {}).get("defaults", {})
        return found


@dataclass(frozen=True, slots=True)
class Dashboard:
    title: str
    panels: tuple[Panel, ...]
    source: dict[str, Any]

    @property
    def variables(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self.source["templating"]["list"]}


def read(name: str) -> Dashboard:
    """The dashboard in `files/dashboards/NAME.json`."""
    source = json.loads((FOLDER / f"{name}.json").read_text())
    return Dashboard(source["title"], tuple(map(_panel, source["panels"])), source)


def _panel(source: dict[str, Any]) -> Panel:
    place = source["gridPos"]
    return Panel(
        kind=source["type"],
        title=source["title"],
        description=source.get("description", ""),
        x=place["x"],
        y=place["y"],
        width=place["w"],
        height=place["h"],
        queries=tuple(map(_query, source.get("targets", ()))),
        source=source,
    )


def _query(source: dict[str, Any]) -> Query:
    return Query(source["refId"], source["expr"], source["legendFormat"], bool(source["instant"]))
