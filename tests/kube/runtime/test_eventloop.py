"""The process ends although a task does not (S3)."""

from __future__ import annotations

import asyncio

import pytest

from archivmail.kube import eventloop


def test_a_task_that_outlives_its_cancellation_holds_up_nobody() -> None:
    """S3: kopf has such tasks when it is ended in the middle of a start; `asyncio.run` would wait for ever."""
    heard = []

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                heard.append("cancelled")

    async def main() -> int:
        task = asyncio.ensure_future(stubborn())
        await asyncio.sleep(0)
        assert not task.done()
        return 7

    assert 7 == eventloop.run(main(), leftovers_s=0.05)
    assert "cancelled" in heard


def test_what_ends_when_it_is_told_is_waited_for() -> None:
    """Connections are closed, files are written."""
    done = []

    async def orderly() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            done.append("closed")

    async def main() -> None:
        main.task = asyncio.ensure_future(orderly())  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    eventloop.run(main(), leftovers_s=10)

    assert ["closed"] == done


def test_an_error_comes_through() -> None:
    """As with `asyncio.run`."""

    async def main() -> None:
        raise LookupError("no access")

    with pytest.raises(LookupError):
        eventloop.run(main())
