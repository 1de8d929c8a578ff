"""Kopf's own engine with handlers of a test, against the real API server: what it really does, run and not read.

In a thread with a loop of its own, so that a test can create, change and delete objects meanwhile. At the end all
timers are cancelled, because one that outlived its object (T3, T13) would hold up kopf's own end for seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import kopf

from tests.kube.runtime.operating import account

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.controlplane import ControlPlane

KIND = ("archivmail.io", "v1alpha1", "imapaccounts")
FINALIZER = "archivmail.io/kopf-contract"
GRACE_S = 20.0


class Calls:
    """What handlers did, in order; the test waits for them."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, Any]] = []
        self._changed = threading.Condition()

    def add(self, what: Any = None) -> None:
        with self._changed:
            self._seen.append((time.monotonic(), what))
            self._changed.notify_all()

    def __len__(self) -> int:
        with self._changed:
            return len(self._seen)

    @property
    def all(self) -> list[Any]:
        with self._changed:
            return [what for _, what in self._seen]

    @property
    def times(self) -> list[float]:
        with self._changed:
            return [when for when, _ in self._seen]

    def wait(self, count: int, timeout_s: float = GRACE_S) -> list[Any]:
        """As soon as there are `count` of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._seen) >= count, timeout_s), self._seen
            return [what for _, what in self._seen]

    def stay_away(self, seconds: float) -> bool:
        """No further one comes in that time."""
        with self._changed:
            before = len(self._seen)
            return not self._changed.wait_for(lambda: len(self._seen) > before, seconds)


@dataclass(frozen=True, slots=True)
class Things:
    """Objects of one namespace, as the test handles them."""

    plane: ControlPlane
    namespace: str

    def path(self, name: str) -> str:
        return f"/apis/archivmail.io/v1alpha1/namespaces/{self.namespace}/imapaccounts/{name}"

    def create(self, name: str = "a", *, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
        body = account(name, **spec)
        body["metadata"]["labels"] = labels or {}
        return self.plane.api.request("POST", self.path("").rstrip("/"), body)

    def patch(self, name: str = "a", **body: Any) -> dict[str, Any]:
        return self.plane.api.merge_patch(self.path(name), body)

    def patch_status(self, name: str = "a", **status: Any) -> None:
        self.plane.api.merge_patch(f"{self.path(name)}/status", {"status": status})

    def get(self, name: str = "a") -> dict[str, Any]:
        return self.plane.api.get(self.path(name))

    def delete(self, name: str = "a") -> None:
        self.plane.api.request("DELETE", self.path(name))

    def wait_for_finalizer(self, name: str = "a", *, present: bool = True) -> None:
        """Kopf has stored its finalizer, or has taken it off (gone counts, too)."""

        def is_reached(body: dict[str, Any]) -> bool:
            return (FINALIZER in body.get("metadata", {}).get("finalizers", [])) is present

        self.plane.api.wait_for(self.path(name), is_reached, timeout_s=GRACE_S)

    def wait_until_gone(self, name: str = "a") -> None:
        self.plane.api.wait_for(self.path(name), lambda body: not body, timeout_s=GRACE_S)


class Engine:
    """A context manager; `handlers` and `settings` are filled in before it is entered."""

    def __init__(self, plane: ControlPlane, namespace: str, *, token: str | None = None) -> None:
        self.handlers = kopf.OperatorRegistry()
        self.settings = _settings()
        self._plane, self._namespace = plane, namespace
        self._token = token or plane.token
        self._loop = asyncio.SelectorEventLoop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)
        kopf.on.login(registry=self.handlers)(self._log_in)

    def timer(self, **options: Any) -> Callable[[Any], Any]:
        return kopf.timer(*KIND, registry=self.handlers, **options)

    def on_event(self) -> Callable[[Any], Any]:
        return kopf.on.event(*KIND, registry=self.handlers)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._cancel_timers)
        self.stop()

    def stop(self) -> None:
        """As a signal does: kopf ends by its own order."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(GRACE_S)
        assert not self._thread.is_alive()

    def _log_in(self, **_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=self._plane.url, ca_data=self._plane.ca_pem.encode(), token=self._token)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        operator = self._loop.create_task(
            kopf.operator(
                registry=self.handlers,
                settings=self.settings,
                standalone=True,
                namespaces=[self._namespace],
                stop_flag=self._stop,
            )
        )
        self._loop.run_until_complete(operator)
        self._loop.run_until_complete(self._connections_closed())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _connections_closed(self) -> None:
        """Aiohttp leaves the last words of TLS to the loop."""
        end = self._loop.time() + GRACE_S
        while len(self._loop._selector.get_map()) > 1 and self._loop.time() < end:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)

    def _cancel_timers(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            if task.get_name().startswith("runner of "):
                task.cancel()


def _settings() -> kopf.OperatorSettings:
    """Kopf's defaults, but for what needs rights or time that a test has not."""
    settings = kopf.OperatorSettings()
    settings.persistence.finalizer = FINALIZER
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.queueing.idle_timeout = 0.2
    settings.queueing.exit_timeout = 0.2
    return settings
