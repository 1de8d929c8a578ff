"""The probes and the metrics as a kubelet and a Prometheus ask for them."""

from __future__ import annotations

import http.client
from http import HTTPStatus

import pytest

from archivmail.kube.health import LOOP_SILENCE_S, Health, HttpServer, Reply
from archivmail.model.errors import ArchiveUnavailable, SpecInvalid


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_alive_while_the_event_loop_beats() -> None:
    """And dead when it has been silent for longer than 30 s."""
    clock = Clock()
    health = Health(lambda: None, clock)
    clock.now += LOOP_SILENCE_S
    assert HTTPStatus.OK == health.live().code
    clock.now += 1
    assert HTTPStatus.SERVICE_UNAVAILABLE == health.live().code
    health.beat()

    assert HTTPStatus.OK == health.live().code


def test_ready_says_what_is_missing() -> None:
    """First the listing, then the archive: one sentence each."""
    problems = [ArchiveUnavailable("the archive cannot be written: free some space")]

    def archive_ready() -> None:
        if problems:
            raise problems[0]

    health = Health(archive_ready)
    assert b"the operator is starting\n" == health.ready().body
    health.waiting_for = None
    assert b"the archive cannot be written: free some space\n" == health.ready().body
    assert HTTPStatus.SERVICE_UNAVAILABLE == health.ready().code
    problems.clear()

    assert HTTPStatus.OK == health.ready().code


def test_the_server_answers_exact_paths_only() -> None:
    """The query does not count; the Accept header is passed on."""
    server = HttpServer(0, {"/metrics": lambda accept: Reply(HTTPStatus.OK, accept.encode())}, host="127.0.0.1")
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        connection.request("GET", "/metrics?x=1", headers={"Accept": "text/plain"})
        answer = connection.getresponse()
        assert (200, b"text/plain") == (answer.status, answer.read())
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert 404 == answer.status
        answer.read()
        connection.close()
    finally:
        server.close()


def test_a_port_that_is_taken_is_one_sentence() -> None:
    """It says what to do."""
    server = HttpServer(0, {}, host="127.0.0.1")
    try:
        with pytest.raises(SpecInvalid, match="choose another"):
            HttpServer(server.port, {}, host="127.0.0.1")
    finally:
        server.close()
