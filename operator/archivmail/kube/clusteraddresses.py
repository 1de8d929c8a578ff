"""The addresses that no account may be connected to: those of the API server and of this process.

Asked of all who know: the environment, the cluster's DNS, the API server itself. What one of them does not tell,
another does; a role that may not read EndpointSlices is no fault.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

from archivmail.kube.api import ApiFault, ApiForbidden, Document
from archivmail.kube.threads import in_thread

LOOK_UP_S = 5.0
AGAIN_S = 300.0
MAX_ADDRESSES = 1000  # an arbitrary size beyond what control planes have

DISCOVERY = "/api"
ENDPOINT_SLICES = (
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3Dkubernetes"
)

_log = logging.getLogger(__name__)


class Reads(Protocol):
    """What is needed of the API server's client."""

    async def read(self, verb: str, resource: str, path: str) -> Document: ...


class ClusterAddresses:
    """Asks anew each time; but not again what the role forbids."""

    def __init__(self, client: Reads, server: str, environment: Mapping[str, str] = os.environ) -> None:
        """`server` is the URL that the client uses."""
        self._client = client
        self._server = server
        self._environment = environment
        self._forbidden: set[str] = set()
        self._known: frozenset[str] = frozenset()
        self._is_partial = False

    async def find(self) -> frozenset[str]:
        """All that are known now. Never raises, takes some seconds at most.

        While one of the sources does not answer, what was known before counts as well: an outage opens no door.
        """
        self._is_partial = False
        told = [*await self._told("get", "api", DISCOVERY)]
        told += await self._told("list", "endpointslices", ENDPOINT_SLICES)
        names = {urlsplit(self._server).hostname or "", *told[:MAX_ADDRESSES]}
        if inside := self._environment.get("KUBERNETES_SERVICE_HOST"):
            # Outside of a cluster this machine is nobody's secret, and no name server need hear of a cluster.
            names |= {inside, "kubernetes.default.svc", self._environment.get("HOSTNAME") or socket.gethostname()}
        found = await asyncio.gather(*(self._addresses(name) for name in sorted(names - {""})))
        now = frozenset[str]().union(*found)
        self._known = now | self._known if self._is_partial else now
        return self._known

    async def _told(self, verb: str, resource: str, path: str) -> list[str]:
        if resource in self._forbidden:
            return []
        try:
            document = await self._client.read(verb, resource, path)
        except ApiForbidden:
            self._forbidden.add(resource)
            return []
        except ApiFault as error:
            _log.debug("addresses of the API server were not told", extra={"resource": resource, "why": str(error)})
            self._is_partial = True
            return []
        return [*_of_discovery(document), *_of_slices(document)]

    async def _addresses(self, name: str) -> set[str]:
        """Of a host; none when it cannot be looked up in time."""
        try:
            return {str(ip_address(name))}
        except ValueError:
            pass
        try:
            looking = in_thread(
                lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM), name="api-server-look-up"
            )
            async with asyncio.timeout(LOOK_UP_S):
                return {str(each[4][0]) for each in await asyncio.shield(looking)}
        except (OSError, UnicodeError, TimeoutError):
            self._is_partial = True
            return set()


def _of_discovery(document: Mapping[str, Any]) -> Iterator[str]:
    for entry in _objects(document.get("serverAddressByClientCIDRs")):
        host = urlsplit(f"//{entry.get('serverAddress')}").hostname
        if host is not None:
            yield host


def _of_slices(document: Mapping[str, Any]) -> Iterator[str]:
    for part in _objects(document.get("items")):
        for endpoint in _objects(part.get("endpoints")):
            yield from (str(each) for each in endpoint.get("addresses") or ())


def _objects(value: object) -> Iterable[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
