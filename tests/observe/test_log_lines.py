"""Log lines: JSON for machines, text for people, secrets for nobody."""

import base64
import io
import json
import logging
from collections.abc import Iterator

import pytest

from archivmail.observe import logs

PASSWORD = "correct horse battery staple"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Where JSON lines go; logging is as before afterwards."""
    root, names = logging.getLogger(), ("", *logs.OUR_LOGGERS)
    before = root.handlers[:], [logging.getLogger(name).level for name in names]
    stream = io.StringIO()
    logs.configure("json", "info", stream=stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers[:] = before[0]
    for name, level in zip(names, before[1], strict=True):
        logging.getLogger(name).setLevel(level)


def test_a_json_line_has_its_facts_as_fields(lines: io.StringIO) -> None:
    """Time, level, logger, message, then what the caller gave."""
    logging.getLogger("archivmail.sync").info("run ended", extra={"folder": "旅行", "stored": 12})

    line = json.loads(lines.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "archivmail.sync",
        "message": "run ended",
        "folder": "旅行",
        "stored": 12,
    }


def test_a_line_of_kopf_says_whom_it_is_about(lines: io.StringIO) -> None:
    """kopf's object logger carries a reference; its settings do not belong in a log."""
    reference = {"kind": "ImapAccount", "namespace": "team-a", "name": "alice", "uid": "u"}
    extra = {"k8s_ref": reference, "k8s_skip": False, "settings": object()}
    logging.getLogger("kopf.reactor").info("timer ended", extra=extra)

    line = json.loads(lines.getvalue())
    assert (line["namespace"], line["name"]) == ("team-a", "alice")
    assert "settings" not in line


def test_others_are_heard_from_warnings_on(lines: io.StringIO) -> None:
    """A library's chatter is not ours."""
    logging.getLogger("urllib3").info("connection made")
    logging.getLogger("urllib3").warning("connection lost")

    assert json.loads(lines.getvalue())["message"] == "connection lost"


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_concealed_value_never_comes_out(lines: io.StringIO, log_format: logs.LogFormat) -> None:
    """Not in the message, not in a field, not in a traceback, not as SASL sends it."""
    logs.configure(log_format, "debug", stream=lines)
    logs.conceal(PASSWORD)
    encoded = base64.b64encode(PASSWORD.encode()).decode()
    logger = logging.getLogger("archivmail")
    logger.info("login with %s", PASSWORD, extra={"sasl": encoded})
    try:
        int(PASSWORD)
    except ValueError:
        logger.exception("failed")

    assert PASSWORD not in lines.getvalue()
    assert encoded not in lines.getvalue()
    assert lines.getvalue().count(logs.CONCEALED) == 3


def test_short_values_are_not_concealed(lines: io.StringIO) -> None:
    """A password of one letter would blot out the log, and be guessed from the gaps."""
    logs.conceal("e", "")
    logging.getLogger("archivmail").info("every letter")

    assert json.loads(lines.getvalue())["message"] == "every letter"


def test_concealed_values_are_bounded(lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens rotate for years: the oldest are forgotten."""
    monkeypatch.setattr(logs, "_concealed", {})
    monkeypatch.setattr(logs, "MAX_CONCEALED", 10)
    for number in range(100):
        logs.conceal(f"token-{number}")

    assert len(logs._concealed) == 10
    assert logs.without_secrets("token-99") == logs.CONCEALED


def test_a_text_line_stays_one_line(lines: io.StringIO) -> None:
    """A server's answer cannot forge a second line or speak to the terminal."""
    logs.configure("text", "info", stream=lines)
    logging.getLogger("archivmail").info("server said %s", "bye\n12:00 ERROR forged\x1b[2J", extra={"folder": "a b"})

    assert lines.getvalue().count("\n") == 1
    assert "\x1b" not in lines.getvalue()
    assert lines.getvalue().endswith('folder="a b"\n')


@pytest.mark.parametrize(("stream", "is_json"), [(io.StringIO(), True), (Terminal(), False)], ids=["file", "terminal"])
def test_auto_is_text_on_a_terminal_and_json_elsewhere(lines: io.StringIO, stream: io.StringIO, is_json: bool) -> None:
    """Design §3.4, ARCHIVMAIL_LOG_FORMAT."""
    logs.configure("auto", "info", stream=stream)
    logging.getLogger("archivmail").info("started")

    assert stream.getvalue().startswith("{") is is_json


def test_what_utf8_cannot_say_is_logged_all_the_same(lines: io.StringIO) -> None:
    """Folder names are octets; a lone surrogate must not cost the line."""
    logging.getLogger("archivmail").info("folder listed", extra={"folder": "a\udcff"})

    assert json.loads(lines.getvalue())["folder"] == "a\udcff"


def test_a_level_that_logging_does_not_know_is_refused(lines: io.StringIO) -> None:
    """The sentence names those that it knows."""
    with pytest.raises(ValueError, match="debug, info, warning or error"):
        logs.configure("json", "loud", stream=lines)
