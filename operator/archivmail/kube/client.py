"""Requests to the API server with the official client: bounded in time, counted, their failures told apart."""

import asyncio
import base64
import binascii
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from kubernetes.aio.client import ApiClient, Configuration

from archivmail import __version__
from archivmail.kube.api import (
    GROUP,
    PLURAL,
    VERSION,
    ApiConflict,
    ApiFault,
    ApiForbidden,
    ApiKindNotFound,
    ApiNotFound,
    ApiRefused,
    ApiUnavailable,
    Document,
    SecretDocument,
)
from archivmail.kube.changes import changes
from archivmail.kube.secretwatch import SecretSeen
from archivmail.model.account import AccountRef

REQUEST_TIMEOUT_S = 10.0
PAGE_SIZE = 200  # objects of a listing; with long statuses some 10 MB at once
WATCH_S = 600  # a watch is renewed after that
MAX_TEXT = 500  # characters of an answer that are quoted
MERGE_PATCH = "application/merge-patch+json"

CountRequest = Callable[[str, str, str], None]
"""Hears verb, resource and code ("error" without an answer) of each request."""


class KubeClient:
    """Satisfies KubeApi and leases.LeaseApi. To be used in one event loop and closed there."""

    def __init__(
        self, configuration: Configuration, count: CountRequest, *, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> None:
        self._client = ApiClient(configuration)
        self._client.user_agent = f"archivmail/{__version__}"
        self._count = count
        self._timeout_s = timeout_s

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def get_account(self, ref: AccountRef) -> Document | None:
        try:
            with _of_a_known_kind():
                return await self._request("get", PLURAL, "GET", _account_path(ref))
        except ApiNotFound:
            return None

    async def list_accounts(self, namespace: str | None) -> AsyncIterator[Document]:
        path = _collection_path(namespace)
        query = [("limit", str(PAGE_SIZE))]
        while True:
            page = await self._request("list", PLURAL, "GET", path, query=query)
            for item in page.get("items") or ():
                yield item
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            query = [("limit", str(PAGE_SIZE)), ("continue", token)]

    async def get_secret(self, namespace: str, name: str) -> SecretDocument | None:
        try:
            with _of_a_known_kind():
                return _secret(await self._request("get", "secrets", "GET", _secret_path(namespace, name)))
        except ApiNotFound:
            return None

    async def watch_secrets(self, namespace: str | None, label: str) -> AsyncIterator[SecretSeen]:
        """Satisfies WatchSecrets. Asks for metadata alone."""
        path = f"/api/v1/namespaces/{namespace}/secrets" if namespace else "/api/v1/secrets"
        query = [("labelSelector", label)]
        accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        listed = await self._request("list", "secrets", "GET", path, query=query, accept=accept)
        for item in listed.get("items") or ():
            yield _secret_seen(item)
        query += [("resourceVersion", str(listed["metadata"]["resourceVersion"]))]
        accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
        async for change in self._watch("secrets", path, query, accept):
            yield _secret_seen(change["object"], is_gone=change["type"] == "DELETED")

    async def patch_secret(
        self, namespace: str, name: str, resource_version: str, data: Mapping[str, bytes]
    ) -> SecretDocument:
        encoded = {key: base64.b64encode(value).decode("ascii") for key, value in data.items()}
        body = {"metadata": {"resourceVersion": resource_version}, "data": encoded}
        path = _secret_path(namespace, name)
        return _secret(await self._request("patch", "secrets", "PATCH", path, body=body, content_type=MERGE_PATCH))

    async def patch_status(self, ref: AccountRef, resource_version: str, status: Document) -> Document:
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        path = f"{_account_path(ref)}/status"
        with _of_a_known_kind():
            return await self._request("patch", f"{PLURAL}/status", "PATCH", path, body=body, content_type=MERGE_PATCH)

    async def create_event(self, namespace: str, event: Document) -> None:
        await self._request("create", "events", "POST", f"/api/v1/namespaces/{namespace}/events", body=event)

    async def read(self, verb: str, resource: str, path: str) -> Document:
        """Any other document of the API server. `verb` and `resource` are the words of RBAC."""
        return await self._request(verb, resource, "GET", path)

    async def get_lease(self, namespace: str, name: str) -> Document | None:
        try:
            return await self._request("get", "leases", "GET", f"{_leases_path(namespace)}/{name}")
        except ApiNotFound:
            return None

    async def create_lease(self, namespace: str, lease: Document) -> Document:
        return await self._request("create", "leases", "POST", _leases_path(namespace), body=lease)

    async def replace_lease(self, namespace: str, lease: Document) -> Document:
        path = f"{_leases_path(namespace)}/{lease['metadata']['name']}"
        return await self._request("update", "leases", "PUT", path, body=lease)

    async def _request(
        self,
        verb: str,
        resource: str,
        method: str,
        path: str,
        *,
        query: list[tuple[str, str]] | None = None,
        body: Document | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> dict[str, Any]:
        """One request. `verb` and `resource` are the words of RBAC."""
        headers = {"Accept": accept, "Content-Type": content_type}
        with _told(self._timeout_s):
            async with asyncio.timeout(self._timeout_s):
                response = await self._sent(verb, resource, method, path, headers=headers, query=query, body=body)
                octets: bytes = await response.read()
        return _answer(response.status, octets)

    async def _watch(
        self, resource: str, path: str, query: list[tuple[str, str]], accept: str
    ) -> AsyncIterator[dict[str, Any]]:
        """Each change, until the API server ends the watch or says nothing any more. Raises ApiFault."""
        query = [*query, ("watch", "true"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", str(WATCH_S))]
        response = None
        try:
            with _told(self._timeout_s):
                async with asyncio.timeout(self._timeout_s):
                    response = await self._sent("watch", resource, "GET", path, headers={"Accept": accept}, query=query)
                    if response.status >= HTTPStatus.BAD_REQUEST:
                        _answer(response.status, await response.read())
                async for change in changes(response.content):
                    yield change
        finally:
            if response is not None:
                response.close()

    async def _sent(
        self,
        verb: str,
        resource: str,
        method: str,
        path: str,
        *,
        headers: dict[str, str],
        query: list[tuple[str, str]] | None,
        body: Document | None = None,
    ) -> Any:
        """The response of aiohttp, nothing read of it but its head; counted here and nowhere else."""
        code = "error"
        try:
            request = await self._client.param_serialize(
                method, path, query_params=query, header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            # The time limits of whoever reads are shorter than this one.
            response = (await self._client.call_api(*request, _request_timeout=WATCH_S + 30)).response
            code = str(response.status)
            return response
        finally:
            self._count(verb, resource, code)


@contextlib.contextmanager
def _told(timeout_s: float) -> Iterator[None]:
    """What can go wrong with a connection, as ApiUnavailable."""
    try:
        yield
    except ApiFault:
        raise
    except TimeoutError as error:
        raise ApiUnavailable(f"the API server did not answer within {timeout_s:g} s") from error
    except OSError as error:  # aiohttp's connection errors are OSErrors
        raise ApiUnavailable(f"the API server cannot be reached ({type(error).__name__})") from error
    except Exception as error:
        # What is left are broken answers (aiohttp.ClientError); naming them would bind us to the client's client.
        raise ApiUnavailable(f"the request to the API server failed ({type(error).__name__})") from error


@contextlib.contextmanager
def _of_a_known_kind() -> Iterator[None]:
    """No account is taken for gone, its driver ended and its deletion noted, because somebody knows nothing of accounts
    for a while; and no Secret, a new refresh token given up.
    """
    try:
        yield
    except ApiKindNotFound as error:
        raise ApiUnavailable(str(error), error.code) from error


def _account_path(ref: AccountRef) -> str:
    return f"{_collection_path(ref.namespace)}/{ref.name}"


def _collection_path(namespace: str | None) -> str:
    where = f"namespaces/{namespace}/" if namespace else ""
    return f"/apis/{GROUP}/{VERSION}/{where}{PLURAL}"


def _secret_path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/{name}"


def _leases_path(namespace: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def _secret_seen(found: Document, *, is_gone: bool = False) -> SecretSeen:
    metadata = found["metadata"]
    return SecretSeen(metadata["namespace"], metadata["name"], "" if is_gone else str(metadata["resourceVersion"]))


def _secret(found: Document) -> SecretDocument:
    return SecretDocument(
        resource_version=str(found["metadata"]["resourceVersion"]),
        data={key: _decoded(value) for key, value in (found.get("data") or {}).items()},
        annotations=found["metadata"].get("annotations") or {},
    )


def _decoded(value: object) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except binascii.Error:
        return b""


def _answer(code: int, octets: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(octets)
    except ValueError:
        answer = None
    if code < 300 and isinstance(answer, dict):
        return answer
    status = answer if isinstance(answer, dict) else {}
    details = status.get("details")
    names_object = isinstance(details, dict) and bool(details.get("name"))
    raise _fault(code, str(status.get("message") or "no message")[:MAX_TEXT], names_object=names_object)


def _fault(code: int, message: str, *, names_object: bool) -> ApiFault:
    text = f"the API server answered {code}: {message}"
    match code:
        case 404:
            return ApiNotFound(text, code) if names_object else ApiKindNotFound(text, code)
        case 409:
            return ApiConflict(text, code)
        case 403:
            return ApiForbidden(text, code)
        case 401 | 408 | 429:
            return ApiUnavailable(text, code)
        case _ if 400 <= code < 500:
            return ApiRefused(text, code)
        case _:
            return ApiUnavailable(text, code)
