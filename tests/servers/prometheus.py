"""Prometheus on loopback: it scrapes once a second what it is told to, and answers queries."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .binaries import find_program
from .lifetime import Lifetime
from .ports import release_port, reserve_port
from .process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

READY_S = 60.0
QUERY_TIMEOUT_S = 30.0
SCRAPE_S = 1


class QueryRefusedError(RuntimeError):
    """Prometheus does not understand a query; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer; an instant query gives one point each. What is not a number is left out."""

    labels: dict[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def last(self) -> float:
        return self.points[-1][1]


class Prometheus(Lifetime):
    """One server. A context manager."""

    def __init__(self, job: str, port: int, labels: Mapping[str, str], *, rules: Mapping[str, Any]) -> None:
        """Scrape 127.0.0.1:`port` as a PodMonitor would have it: with the pod's labels, and `honor_labels`."""
        self._program = find_program("prometheus")
        self.folder = Path(tempfile.mkdtemp(prefix="archivmail-prometheus-"))
        self.port = reserve_port()
        self._process: ServerProcess | None = None
        targets = [{"targets": [f"127.0.0.1:{port}"], "labels": dict(labels)}]
        every = f"{SCRAPE_S}s"
        config = {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "rule_files": ["rules.json"],
            "scrape_configs": [{"job_name": job, "honor_labels": True, "static_configs": targets}],
        }
        (self.folder / "rules.json").write_text(json.dumps(rules))
        (self.folder / "prometheus.json").write_text(json.dumps(config))  # JSON is YAML

    def begin(self) -> None:
        command = [
            self._program,
            f"--config.file={self.folder / 'prometheus.json'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]
        self._process = ServerProcess(command, log=self.folder / "prometheus.log", remove_if_orphaned=[self.folder])
        self._process.wait_until(self._has_scraped, deadline_s=READY_S)

    def close(self) -> None:
        """End it, and remove what it wrote."""
        if self._process is not None:
            self._process.stop(grace_s=0)  # nothing of it is kept
        shutil.rmtree(self.folder, ignore_errors=True)
        release_port(self.port)

    def instant(self, expr: str, *, at: float | None = None) -> list[Series]:
        """The value of an expression now, or at a Unix time."""
        return self._series("query", query=expr, **({} if at is None else {"time": f"{at:.3f}"}))

    def range(self, expr: str, *, start: float, end: float, step: float) -> list[Series]:
        """The values of an expression over a time."""
        return self._series("query_range", query=expr, start=f"{start:.3f}", end=f"{end:.3f}", step=f"{step:g}")

    def rules(self) -> list[dict[str, Any]]:
        """The alerting rules with their state, health and alerts."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _series(self, path: str, **parameters: str) -> list[Series]:
        found = self._get(path, **parameters)["result"]
        series = [_read(each["metric"], each.get("values") or [each["value"]]) for each in found]
        return [each for each in series if each.points]

    def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=QUERY_TIMEOUT_S) as answer:
                data: dict[str, Any] = json.load(answer)["data"]
                return data
        except urllib.error.HTTPError as error:
            raise QueryRefusedError(f"{parameters}: {error.read().decode(errors='replace')}") from error

    def _has_scraped(self) -> bool:
        """It looks for its targets only after 5 seconds; what happened before would be no increase."""
        try:
            return bool(self.instant("up == 1"))
        except (OSError, QueryRefusedError):
            return False


def _read(labels: dict[str, str], values: list[tuple[float, str]]) -> Series:
    points = tuple((float(when), float(text)) for when, text in values)
    return Series(labels, tuple((when, value) for when, value in points if math.isfinite(value)))
