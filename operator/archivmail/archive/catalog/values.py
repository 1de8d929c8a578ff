"""How values stand in columns: times as integers, texts without what a database refuses."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime | None) -> int:
    """For columns that end in `_us`; 0 for none."""
    return 0 if moment is None else (moment - _EPOCH) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """Inverse of `microseconds` for a moment that must be there."""
    return _EPOCH + microseconds * _MICROSECOND


def moment_or_none(microseconds: int) -> datetime | None:
    return moment(microseconds) if microseconds else None


def second(seconds: int) -> datetime | None:
    """For columns that end in `_s`. None for 0 and for what no calendar has."""
    try:
        return _EPOCH + timedelta(seconds=seconds) if seconds else None
    except OverflowError:
        return None


def clean(text: str) -> str:
    """A server's text as a column takes it: what is no Unicode and NUL become the replacement character."""
    if text.isascii() and "\0" not in text:
        return text
    octets = text.encode("utf-8", "surrogateescape" if _is_escaped(text) else "replace")
    return octets.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _is_escaped(text: str) -> bool:
    return not any("\ud800" <= char <= "\udc7f" or "\udd00" <= char <= "\udfff" for char in text)
