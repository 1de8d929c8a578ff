"""The pictures of the guide are drawn from the dashboards themselves and from what Prometheus answers."""

from __future__ import annotations

import re
from html import unescape

import pytest

from tests.dashboards.fleet import ACCOUNTS, Fleet
from tests.dashboards.picture import View, picture
from tests.dashboards.reading import NAMES, ROOT, read
from tests.dashboards.units import written

DRAWN = ROOT / "docs" / "pictures"
LARGEST_BYTES = 300_000


def written_in(svg: str) -> set[str]:
    """Every text of a picture."""
    return {unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)}


@pytest.mark.servers
@pytest.mark.parametrize("name", NAMES)
def test_every_panel_is_drawn_with_data(name: str, fleet: Fleet, seen_at: float) -> None:
    """From the same fleet of which every query is asked; the picture holds each title, and the names of accounts."""
    values = {"__rate_interval": "15s", "job": ".+", "instance": ".+", "namespace": ".+", "name": "alice"}
    view = View(fleet.prometheus, values, seen_at - 60, seen_at)

    drawn = picture(read(name), view, {"namespace": fleet.namespace, "name": "alice"})

    assert [] == drawn.without_data
    texts = written_in(drawn.svg)
    assert {panel.title for panel in read(name).panels if panel.kind != "row"} <= texts
    assert {"alice"} <= texts if name == "account" else set(ACCOUNTS) <= texts


@pytest.mark.parametrize("name", NAMES)
def test_guide_shows_the_dashboard_as_it_is(name: str) -> None:
    """Not larger than a reader likes, and not older than the dashboard: `make dashboard-pictures` draws them anew."""
    text = (DRAWN / f"{name}.svg").read_text()
    texts = written_in(text)

    assert len(text.encode()) <= LARGEST_BYTES
    assert set() == {panel.title for panel in read(name).panels if panel.kind != "row"} - texts
    assert "No data" not in texts
    assert f"(pictures/{name}.svg)" in (ROOT / "docs" / "observability.md").read_text()
    assert not re.search(r"/(?:root|work|tmp)\b", text)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "s", "0 s"),
        (0.25, "s", "250 ms"),
        (75, "s", "1.25 mins"),
        (7200, "s", "2 hours"),
        (0, "bytes", "0 B"),
        (3277, "bytes", "3.2 KiB"),
        (1500, "Bps", "1.5 kB/s"),
        (12345, "short", "12.3 K"),
        (100, "short", "100"),
        (0.5, "reqps", "0.5 req/s"),
    ],
)
def test_numbers_are_written_as_grafana_writes_them(value: float, unit: str, text: str) -> None:
    """In the units that the dashboards use."""
    assert written(value, unit) == text
