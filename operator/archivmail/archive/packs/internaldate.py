"""INTERNALDATE as a number (RFC 9051 §9, date-time): `"17-Jul-1996 02:44:25 -0700"`, the day perhaps with a blank."""

import re
from datetime import date
from functools import lru_cache

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(
    r"\s*([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})\s*",
    re.ASCII,
)
_EPOCH = date(1970, 1, 1).toordinal()


@lru_cache(maxsize=4096)  # asked for the member and again for the catalog
def seconds(raw: str) -> int:
    """Seconds since 1970 in UTC; 0 when the text is empty or no date, for a server's nonsense must not stop a run."""
    match = _DATE.fullmatch(raw)
    if match is None:
        return 0
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
    try:
        days = date(int(year), _MONTHS.index(month.lower()) + 1, int(day)).toordinal() - _EPOCH
    except ValueError:
        return 0
    offset = (int(zone_hours) * 60 + int(zone_minutes)) * 60
    local = ((days * 24 + int(hour)) * 60 + int(minute)) * 60 + int(second)
    return local + offset if sign == "-" else local - offset
