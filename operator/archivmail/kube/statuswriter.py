"""Write `.status`: only what differs, and only onto the object that the difference was taken from.

Merge-patch (RFC 7396) with the resourceVersion as precondition: what is no longer there is set to null, or old values
would stay. Whoever calls is the only writer of one account; the precondition catches everybody else.
"""

from collections.abc import Callable, Mapping
from typing import Any

from archivmail.kube.api import ApiConflict, ApiNotFound, ApiUnavailable, Document, KubeApi
from archivmail.model.account import AccountRef, ObjectUid
from archivmail.model.status import AccountStatus
from archivmail.model.wireform import to_wire

MAX_CONFLICTS = 5  # each one means that somebody else wrote in the same moment


class ObjectGone(Exception):
    """The object is not there any more, or another one has its name."""


class StatusWriter:
    """Stateless; one is enough for all accounts."""

    def __init__(self, api: KubeApi, may_write: Callable[[], bool] = lambda: True) -> None:
        """`may_write` turns false when somebody else may have taken the accounts over, whose results are newer."""
        self._api = api
        self._may_write = may_write

    async def write(
        self, ref: AccountRef, uid: ObjectUid, status: AccountStatus, known: Document | None = None
    ) -> Document:
        """Make `.status` of the object equal to `status`; the object as it is then.

        `known` is the object as it was last read, if it is at hand. Raises ObjectGone, ApiRefused (the API server
        finds the status invalid), ApiForbidden and ApiUnavailable (also after too many conflicts).
        """
        wanted = to_wire(status)
        document = known
        for _ in range(MAX_CONFLICTS):
            if document is None:
                document = await self._read(ref, uid)
            patch = merge_patch(document.get("status") or {}, wanted)
            if not patch:
                return document
            if not self._may_write():
                raise ApiUnavailable("the Lease of this shard is lost; whoever holds it writes the status")
            try:
                return await self._api.patch_status(ref, document["metadata"]["resourceVersion"], patch)
            except ApiNotFound as error:
                raise ObjectGone from error
            except ApiConflict:
                document = None  # read again and take the difference anew
        raise ApiUnavailable(f"the object changed {MAX_CONFLICTS} times while its status was being written")

    async def _read(self, ref: AccountRef, uid: ObjectUid) -> Document:
        document = await self._api.get_account(ref)
        if document is None or document["metadata"]["uid"] != uid:
            raise ObjectGone
        return document


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The RFC 7396 patch that turns `before` into `after`; empty when they are equal. Lists are replaced whole."""
    patch: dict[str, Any] = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            patch[key] = merge_patch(old, new)
        else:
            patch[key] = new
    return patch
