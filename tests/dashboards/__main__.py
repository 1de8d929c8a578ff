"""Draw the pictures of the guide anew: `python -m tests.dashboards FOLDER MINUTES` (make dashboard-pictures).

A fleet on real parts lives for some minutes, mail comes in, things go wrong; then the dashboards are drawn from what
Prometheus has scraped meanwhile.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.dashboards.fleet import HEALTHY, Fleet
from tests.dashboards.picture import View, picture
from tests.dashboards.reading import NAMES, read
from tests.servers.controlplane import ControlPlane

PAUSE_S = 7.0
SLOTS = 2


def main(folder: Path, minutes: float) -> None:
    """Live for so long, then draw every dashboard into the folder."""
    with (
        tempfile.TemporaryDirectory(prefix="archivmail-pictures-") as scratch,
        ControlPlane() as plane,
        Fleet(plane, Path(scratch), slots=SLOTS, prefix="team") as fleet,
    ):
        start = time.time()
        fleet.begin(mails=60)
        _live(fleet, start + 60 * minutes)
        values = {"__rate_interval": "30s", "job": ".+", "instance": ".+", "namespace": ".+", "name": "alice"}
        view = View(fleet.prometheus, values, start, time.time())
        for name in NAMES:
            shown = {"datasource": "Prometheus"}
            shown |= {"namespace": fleet.namespace, "name": "alice"} if name == "account" else {}
            drawn = picture(read(name), view, shown)
            if drawn.without_data:
                raise SystemExit(f"{name}: no data in {', '.join(drawn.without_data)}; let the fleet live longer")
            (folder / f"{name}.svg").write_text(drawn.svg)


def _live(fleet: Fleet, until: float) -> None:
    """Mail comes in all the time; then a server numbers anew, a store fails, and a pack is damaged."""
    began, turn = time.time(), 0
    events = [(0.3, fleet.renumber), (0.5, fleet.fail_to_write), (0.7, fleet.damage)]
    while time.time() < until:
        if events and time.time() >= began + events[0][0] * (until - began):
            events.pop(0)[1]()
        fleet.receive(HEALTHY[turn % len(HEALTHY)], seed=1000 + turn, mails=2 + turn % 9)
        turn += 1
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
