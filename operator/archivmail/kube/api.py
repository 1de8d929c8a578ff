"""What the operator asks of a Kubernetes API server, and how a request can fail. No client library here.

`client.py` satisfies `KubeApi` with the official client; the tests' own passes the same contract suite.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from archivmail.model.account import AccountRef

GROUP = "archivmail.io"
VERSION = "v1alpha1"
PLURAL = "imapaccounts"
KIND = "ImapAccount"

Document = Mapping[str, Any]
"""One object as JSON. Goes no further than kube/ (style §4.10)."""


class ApiFault(Exception):
    """A request failed. `code` is the HTTP status, 0 when there was no answer."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class ApiUnavailable(ApiFault):
    """No answer, or one that says to come back later (429, 5xx, and 401 while credentials are renewed)."""


class ApiNotFound(ApiFault):
    """The object, or the kind of object, is not there (404)."""


class ApiKindNotFound(ApiNotFound):
    """The answer names no object: whoever gave it does not know this kind, or nothing of Kubernetes at all."""


class ApiConflict(ApiFault):
    """The object is no longer the one that the request was made from (409)."""


class ApiForbidden(ApiFault):
    """The operator's role does not allow it (403)."""


class ApiRefused(ApiFault):
    """The request itself is wrong (400, 422 and the like); repeating it does not help."""


@dataclass(frozen=True, slots=True)
class SecretDocument:
    """A Secret with its data decoded; never shows itself."""

    resource_version: str
    data: Mapping[str, bytes] = field(repr=False)
    annotations: Mapping[str, str] = field(default_factory=dict)


class KubeApi(Protocol):
    """Every request ends within a bounded time. Each may raise ApiUnavailable and ApiForbidden."""

    async def get_account(self, ref: AccountRef) -> Document | None:
        """The object as it is now; None when it is not there.

        A 404 that names no object is ApiUnavailable: the CRD is being made, or a proxy has lost its server.
        """
        ...

    def list_accounts(self, namespace: str | None) -> AsyncIterator[Document]:
        """Every ImapAccount of the namespace (None: of all). Raises ApiNotFound while the CRD is missing."""
        ...

    async def get_secret(self, namespace: str, name: str) -> SecretDocument | None:
        """The Secret as it is now; None when it is not there."""
        ...

    async def patch_secret(
        self, namespace: str, name: str, resource_version: str, data: Mapping[str, bytes]
    ) -> SecretDocument:
        """Replace these keys and give the Secret back, if it still has that resourceVersion.

        Raises ApiNotFound, ApiConflict, ApiRefused.
        """
        ...

    async def patch_status(self, ref: AccountRef, resource_version: str, status: Document) -> Document:
        """Merge into `.status` (RFC 7396) and give the object back, if it still has that resourceVersion.

        Raises ApiNotFound, ApiConflict, ApiRefused.
        """
        ...

    async def create_event(self, namespace: str, event: Document) -> None:
        """Create a core/v1 Event. Raises ApiNotFound (the namespace is gone), ApiConflict, ApiRefused."""
        ...
