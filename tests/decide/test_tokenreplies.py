"""What the answers of a token endpoint mean (RFC 6749 §5.2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from archivmail.decide.tokenreplies import LONGEST_WAIT, THROTTLED_PAUSE, Answer, Reading, read

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)

CASES = [
    pytest.param(400, "invalid_grant", Answer.REFUSED, id="refresh-token-revoked"),
    pytest.param(401, "invalid_client", Answer.REFUSED, id="client-secret-wrong"),
    pytest.param(400, "unauthorized_client", Answer.REFUSED, id="client-not-allowed"),
    pytest.param(400, "interaction_required", Answer.REFUSED, id="microsoft-wants-a-sign-in"),
    pytest.param(200, "invalid_grant", Answer.REFUSED, id="error-under-200"),
    pytest.param(400, "invalid_scope", Answer.SCOPE, id="scope"),
    pytest.param(400, "unsupported_grant_type", Answer.ADDRESS, id="grant-type"),
    pytest.param(404, None, Answer.ADDRESS, id="nothing-there"),
    pytest.param(405, None, Answer.ADDRESS, id="no-post-there"),
    pytest.param(302, None, Answer.ADDRESS, id="redirect"),
    pytest.param(500, None, Answer.BUSY, id="fault"),
    pytest.param(503, "invalid_grant", Answer.BUSY, id="fault-that-blames-the-token"),
    pytest.param(400, "temporarily_unavailable", Answer.BUSY, id="passing-code"),
    pytest.param(403, "rate_limit_exceeded", Answer.BUSY, id="google-rate-limit"),
    pytest.param(400, "server_error", Answer.BUSY, id="server-error-under-400"),
    pytest.param(403, None, Answer.UNREADABLE, id="a-proxy-forbids"),
    pytest.param(401, None, Answer.UNREADABLE, id="401-without-code"),
    pytest.param(200, None, Answer.UNREADABLE, id="no-token"),
]


@pytest.mark.parametrize(("status", "error", "answer"), CASES)
def test_an_outage_never_means_that_the_token_is_refused(status: int, error: str | None, answer: Answer) -> None:
    """Only an error code of the endpoint itself blames the Secret."""
    assert read(status, error, None, NOW) == Reading(answer)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        pytest.param("120", timedelta(minutes=2), id="seconds"),
        pytest.param("0", timedelta(0), id="none"),
        pytest.param("Fri, 20 Nov 2026 10:05:00 GMT", timedelta(minutes=5), id="date"),
        pytest.param("Fri, 20 Nov 2026 09:05:00 GMT", timedelta(0), id="date-that-has-passed"),
        pytest.param("999999999999", LONGEST_WAIT, id="for-ever"),
        pytest.param("Fri, 20 Nov 2099 10:05:00 GMT", LONGEST_WAIT, id="for-decades"),
        pytest.param("soon", None, id="words"),
        pytest.param("-5", None, id="negative"),
        pytest.param("", None, id="empty"),
    ],
)
def test_retry_after_is_read_in_both_forms_and_bounded(header: str, wait: timedelta | None) -> None:
    """RFC 9110 §10.2.3."""
    assert read(503, None, header, NOW) == Reading(Answer.BUSY, wait)


def test_a_throttled_request_waits_even_without_a_hint() -> None:
    """429."""
    assert read(429, None, None, NOW) == Reading(Answer.BUSY, THROTTLED_PAUSE)
    assert read(429, None, "7", NOW) == Reading(Answer.BUSY, timedelta(seconds=7))
