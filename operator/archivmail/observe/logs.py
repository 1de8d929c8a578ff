"""Log lines: JSON for machines, text for people. Standard logging only.

One line for one fact, fields by `extra=` ("run ended", extra={"folder": "INBOX", "stored": 12}). Knows nothing of what
is logged but this: a value given to `conceal` never comes out, in whatever text it stands.
"""

import base64
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from typing import IO, Final, Literal

LogFormat = Literal["json", "text", "auto"]
OUR_LOGGERS: Final = ("archivmail", "kopf")
MAX_TEXT: Final = 16_384  # characters of a message or a field; an arbitrary size that a traceback fits in
MAX_CONCEALED: Final = 4096  # values; an operator of a thousand accounts has about as many
MIN_CONCEALED: Final = 4  # characters; anything shorter would blot out innocent text
CONCEALED: Final = "(concealed)"

_STANDARD_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_KOPF_FIELDS: Final = frozenset({"k8s_skip", "k8s_ref", "settings"})
_OWN_FIELDS: Final = frozenset({"time", "level", "logger", "exception"})
_concealed: dict[str, None] = {}


def configure(log_format: LogFormat = "auto", level: str = "info", *, stream: IO[str] | None = None) -> None:
    """Send our log lines and kopf's to `stream` (standard error), everybody else's from WARNING on.

    `auto`: text on a terminal, JSON elsewhere. Replaces what was configured before. Raises ValueError on a level that
    logging does not know.
    """
    out = sys.stderr if stream is None else stream
    as_text = log_format == "text" or (log_format == "auto" and out.isatty())
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"no log level is called {level!r}; use debug, info, warning or error")
    handler = logging.StreamHandler(out)
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(number)
    logging.captureWarnings(capture=True)


def conceal(*values: str) -> None:
    """Keep these values, and their base64 (as SASL sends them), out of every later line; the oldest are forgotten."""
    for value in values:
        if len(value) < MIN_CONCEALED:
            continue
        for form in (value, base64.b64encode(value.encode("utf-8", "surrogateescape")).decode("ascii")):
            _concealed.pop(form, None)
            _concealed[form] = None
    while len(_concealed) > MAX_CONCEALED:
        del _concealed[next(iter(_concealed))]


def without_secrets(text: str) -> str:
    """`text` with every concealed value replaced, and cut to a bound."""
    for value in tuple(_concealed):
        if value in text:
            text = text.replace(value, CONCEALED)
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time (RFC 3339, UTC), level, logger, message, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
            **dict(_fields(record)),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = without_secrets(self.formatException(record.exc_info))
        # A folder name may hold what UTF-8 cannot: the line is written all the same.
        text = json.dumps(line, ensure_ascii=False, default=str)
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


class TextFormatter(logging.Formatter):
    """`12:00:01 INFO archivmail.sync: run ended folder=INBOX stored=12`; a traceback follows on its own lines."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = "".join(f" {key}={_word(value)}" for key, value in _fields(record))
        message = _one_line(without_secrets(record.getMessage()))
        line = f"{clock} {record.levelname} {record.name}: {message}{fields}"
        if record.exc_info and record.exc_info[0] is not None:
            line = f"{line}\n{without_secrets(self.formatException(record.exc_info))}"
        return line.encode("utf-8", "backslashreplace").decode("utf-8")


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    reference = getattr(record, "k8s_ref", None)
    if isinstance(reference, Mapping):  # kopf's object logger says whom a line is about
        for key in ("namespace", "name"):
            if reference.get(key):
                yield key, without_secrets(str(reference[key]))
    for key, value in vars(record).items():
        if key in _STANDARD_FIELDS or key in _KOPF_FIELDS or key in _OWN_FIELDS:
            continue
        is_plain = value is None or isinstance(value, bool | int | float)
        yield key, value if is_plain else without_secrets(str(value))


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _word(value: object) -> str:
    text = _one_line(str(value))
    return json.dumps(text, ensure_ascii=False) if not text or " " in text or '"' in text else text


def _one_line(text: str) -> str:
    """Control characters escaped: one fact stays one line, and a terminal is not spoken to."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
