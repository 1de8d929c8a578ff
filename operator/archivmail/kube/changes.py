"""The changes of a watch, as the API server streams them: one JSON document a line. Bounded in size and in silence."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Protocol

from archivmail.kube.api import ApiUnavailable

MAX_LINE = 2 * 1024 * 1024  # octets of one change; metadata is a tenth of that at most
SILENCE_S = 150.0
"""A watch with bookmarks hears of one each minute; one that hears nothing hangs (a load balancer forgot it)."""


class Content(Protocol):
    """The body of an answer; no octets are its end."""

    async def readany(self) -> bytes: ...


async def changes(content: Content) -> AsyncIterator[dict[str, Any]]:
    """Each change but bookmarks. Ends with the watch, when it has to begin anew (most often 410), and when it hangs.

    Raises ApiUnavailable, ValueError where there is no JSON, and whatever `content` raises.
    """
    rest = b""
    while True:
        try:
            async with asyncio.timeout(SILENCE_S):
                octets = await content.readany()
        except TimeoutError:
            return
        if not octets:
            return
        *lines, rest = (rest + octets).split(b"\n")
        for line in lines:
            change: dict[str, Any] = json.loads(line)
            if change["type"] == "ERROR":
                return
            if change["type"] != "BOOKMARK":
                yield change
        if len(rest) > MAX_LINE:
            raise ApiUnavailable("the API server sent a change without end")
