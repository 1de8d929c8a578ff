"""Numbers as Grafana writes them, for the units that the dashboards use."""

from __future__ import annotations

_SPANS = ((86400 * 7, "weeks"), (86400, "days"), (3600, "hours"), (60, "mins"), (1, "s"))
_SUFFIXES = {"opm": " ops/m", "mps": " msg/s", "reqps": " req/s", "Bps": "B/s", "bytes": "B"}


def written(value: float, unit: str) -> str:
    """Such as `1.25 mins`, `3.2 KiB`, `12`."""
    match unit:
        case "s":
            return _span(value)
        case "bytes":
            return _scaled(value, 1024, (" ", " Ki", " Mi", " Gi")) + "B"
        case "Bps":
            return _scaled(value, 1000, (" ", " k", " M", " G")) + "B/s"
        case _:
            return _scaled(value, 1000, ("", " K", " Mil", " Bil")) + _SUFFIXES.get(unit, "")


def _span(seconds: float) -> str:
    for size, name in _SPANS:
        if abs(seconds) >= size:
            return f"{_short(seconds / size)} {name}"
    return f"{_short(seconds * 1000)} ms" if seconds else "0 s"


def _scaled(value: float, base: int, names: tuple[str, ...]) -> str:
    step = 0
    while abs(value) >= base and step < len(names) - 1:
        value, step = value / base, step + 1
    return _short(value) + names[step]


def _short(value: float) -> str:
    """Three figures at most, without zeros at the end."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
