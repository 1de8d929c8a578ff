"""Requests to the API server with the official client: bounded in time, counted, their failures told apart."""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator, Callable, Mapping
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
    ApiNotFound,
    ApiRefused,
    ApiUnavailable,
    Document,
    SecretDocument,
)
from archivmail.kube.secretwatch import SecretSeen
from archivmail.model.account import AccountRef

REQUEST_TIMEOUT_S = 10.0
PAGE_SIZE = 200  # objects of a listing; with long statuses some 10 MB at once
WATCH_S = 600  # a watch is renewed after that
MAX_LINE = 2 * 1024 * 1024  # octets of one change; metadata is a tenth of that at most
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
        query += [
            ("watch", "true"),
            ("timeoutSeconds", str(WATCH_S)),
            ("resourceVersion", str(listed["metadata"]["resourceVersion"])),
        ]
        accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
        request = await self._client.param_serialize(
            "GET", path, query_params=query, header_params={"Accept": accept}, auth_settings=["BearerToken"]
        )
        try:
            response = (await self._client.call_api(*request, _request_timeout=WATCH_S + 30)).response
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise _fault(response.status, "secrets cannot be watched")
            rest = b""
            async for octets in response.content.iter_any():
                *lines, rest = (rest + octets).split(b"\n")
                for line in lines:
                    change = json.loads(line)
                    if change["type"] == "ERROR":  # most often 410: begin again with a listing
                        return
                    is_gone = change["type"] == "DELETED"
                    yield _secret_seen(change["object"], is_gone=is_gone)
                if len(rest) > MAX_LINE:
                    raise ApiUnavailable("the API server sent a change without end")
        except TimeoutError:
            return  # a watch that hung
        except OSError as error:
            raise ApiUnavailable(f"the API server cannot be reached ({type(error).__name__})") from error

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
        code = "error"
        try:
            async with asyncio.timeout(self._timeout_s):
                request = await self._client.param_serialize(
                    method,
                    path,
                    query_params=query,
                    header_params={"Accept": accept, "Content-Type": content_type},
                    body=body,
                    auth_settings=["BearerToken"],
                )
                response = await self._client.call_api(*request, _request_timeout=self._timeout_s)
                octets: bytes = await response.read()  # type: ignore[no-untyped-call]
            code = str(response.status)
        except TimeoutError as error:
            raise ApiUnavailable(f"the API server did not answer within {self._timeout_s:g} s") from error
        except OSError as error:  # aiohttp's connection errors are OSErrors
            raise ApiUnavailable(f"the API server cannot be reached ({type(error).__name__})") from error
        except Exception as error:
            # What is left are broken answers (aiohttp.ClientError); naming them would bind us to the client's client.
            raise ApiUnavailable(f"the request to the API server failed ({type(error).__name__})") from error
        finally:
            self._count(verb, resource, code)
        return _answer(response.status, octets)


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
    message = answer.get("message") if isinstance(answer, dict) else None
    raise _fault(code, str(message or "no message")[:MAX_TEXT])


def _fault(code: int, message: str) -> ApiFault:
    text = f"the API server answered {code}: {message}"
    match code:
        case 404:
            return ApiNotFound(text, code)
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
