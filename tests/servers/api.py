"""A few requests to the API server without a client library: quick, and independent of what the operator uses."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT_S = 30.0
RETRY_AFTER_S = 1.0
"""As the API server asks for with 429, which it says for a moment after each change of a definition."""


class ApiError(RuntimeError):
    """The API server answered with an error; `code` is the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class ApiClient:
    """Requests with one bearer token. Paths as the API has them, such as `/api/v1/namespaces`."""

    def __init__(self, port: int, ca_pem: str, token: str) -> None:
        self._port = port
        self._tls = ssl.create_default_context(cadata=ca_pem)
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def get(self, path: str) -> dict[str, Any]:
        return self.request("GET", path)

    def request(
        self, method: str, path: str, body: object = None, *, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """The decoded answer. Raises ApiError for a refusal, OSError when there is no connection."""
        octets = self.raw(method, path, body, content_type=content_type)
        answer = json.loads(octets)
        assert isinstance(answer, dict)
        return answer

    def raw(self, method: str, path: str, body: object = None, *, content_type: str = "application/json") -> bytes:
        """The answer's octets, such as those of `/readyz`. Raises as `request` does.

        What is answered with 429 was not done, and is asked again, as every client library does.
        """
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return self._once(method, path, body, content_type)
            except ApiError as error:
                if error.code != http.client.TOO_MANY_REQUESTS or time.monotonic() > deadline:
                    raise
            time.sleep(RETRY_AFTER_S)

    def _once(self, method: str, path: str, body: object, content_type: str) -> bytes:
        connection = self._connect(TIMEOUT_S)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {**self._headers, "Content-Type": content_type})
            return _checked(connection.getresponse())
        finally:
            connection.close()

    def merge_patch(self, path: str, body: object) -> dict[str, Any]:
        return self.request("PATCH", path, body, content_type="application/merge-patch+json")

    def wait_for(
        self, path: str, is_reached: Callable[[dict[str, Any]], bool], *, timeout_s: float = 60
    ) -> dict[str, Any]:
        """The object at `path` as soon as `is_reached(it)` is true; follows a watch, so nothing is polled and no
        state between is missed. The object may appear later. Raises TimeoutError with the last state seen."""
        deadline = time.monotonic() + timeout_s
        last: dict[str, Any] = {}
        for last in self.states(path, deadline=deadline):
            if is_reached(last):
                return last
        raise TimeoutError(f"{path} did not reach the state in {timeout_s:g} s; last seen: {json.dumps(last)[:4000]}")

    def states(self, path: str, *, deadline: float) -> Iterator[dict[str, Any]]:
        """Every state of the object at `path`, the present one first ({} while it does not exist), until
        `deadline` (time.monotonic)."""
        collection, _, name = path.rpartition("/")
        query = f"{collection}?fieldSelector=metadata.name%3D{name}"
        while time.monotonic() < deadline:
            listed = self.get(query)
            yield from listed["items"] or [{}]
            version = listed["metadata"]["resourceVersion"]
            yield from self._watch(f"{query}&watch=1&resourceVersion={version}", deadline)

    def _watch(self, path: str, deadline: float) -> Iterator[dict[str, Any]]:
        remaining_s = max(1, int(deadline - time.monotonic()) + 1)
        connection = self._connect(remaining_s + 5)
        try:
            connection.request("GET", f"{path}&timeoutSeconds={remaining_s}", headers=self._headers)
            response = connection.getresponse()
            if response.status == http.client.TOO_MANY_REQUESTS:
                time.sleep(RETRY_AFTER_S)
                return  # list again
            if response.status != http.client.OK:
                _checked(response)
            while line := response.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return  # the version has expired: list again
                yield {} if event["type"] == "DELETED" else event["object"]
        finally:
            connection.close()

    def _connect(self, timeout_s: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self._port, context=self._tls, timeout=timeout_s)


def _checked(response: http.client.HTTPResponse) -> bytes:
    octets = response.read()
    if response.status >= http.client.BAD_REQUEST:
        try:
            message = json.loads(octets)["message"]
        except (ValueError, KeyError, TypeError):
            message = octets.decode(errors="replace")[:500]
        raise ApiError(response.status, message)
    return octets
