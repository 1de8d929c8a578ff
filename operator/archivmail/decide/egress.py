"""To which addresses a connection may go (decision 0015). Knows addresses and names; looks none of them up.

Refused unless allowed: what only a process inside this pod, node or cloud should reach. Networks in which mail servers
live, private ones too, are nobody's secret and stay open. The rule is about the address that a socket is about to be
connected to: a name says nothing, for whoever owns it can give it another address at any time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from archivmail.model.errors import SpecInvalid

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "a cloud's metadata address",
        (
            "169.254.169.254/32",  # AWS, Azure, Google, OpenStack, DigitalOcean, Oracle
            "169.254.170.2/32",  # AWS ECS: credentials of the task
            "169.254.170.23/32",  # AWS EKS: Pod Identity
            "fd00:ec2::/32",  # the same at AWS by IPv6: ::254, ::23
            "fd20:ce::254/128",  # Google by IPv6
            "fd00:42::42/128",  # Scaleway by IPv6
            "100.100.100.200/32",  # Alibaba
            "168.63.129.16/32",  # Azure's wire server, which gives a node its certificates
            "192.0.0.192/32",  # Oracle, the old one
        ),
    ),
    ("loopback", ("127.0.0.0/8", "::1/128")),
    ("link-local", ("169.254.0.0/16", "fe80::/10")),
    ("unspecified", ("0.0.0.0/8", "::/128")),
    ("multicast", ("224.0.0.0/4", "ff00::/8")),
    ("broadcast", ("255.255.255.255/32",)),
)
_NETWORKS: Final = tuple((kind, ip_network(each)) for kind, listed in _REFUSED for each in listed)

METADATA_NAMES: Final = frozenset({
    "metadata", "metadata.google.internal", "metadata.goog", "metadata.azure.internal", "instance-data",
    "instance-data.ec2.internal", "metadata.platformequinix.com", "metadata.tencentyun.com", "metadata.oraclecloud.com",
})  # fmt: skip
API_SERVER_NAMES: Final = frozenset({"kubernetes", "kubernetes.default", "kubernetes.default.svc"})

# Forms of IPv6 that carry an address of IPv4, and by how many bits it stands left of the end.
_CARRIERS: Final = (
    (IPv6Network("::ffff:0:0/96"), 0),  # mapped, RFC 4291 §2.5.5.2
    (IPv6Network("::/96"), 0),  # compatible, RFC 4291 §2.5.5.1
    (IPv6Network("::ffff:0:0:0/96"), 0),  # translated, RFC 2765 §2.1
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64, RFC 6052 §2.1
    (IPv6Network("2002::/16"), 80),  # 6to4, RFC 3056 §2
    (IPv6Network("2001::/32"), 64),  # Teredo: the server, RFC 4380 §4
)
_TEREDO: Final = IPv6Network("2001::/32")
_SITE: Final = IPv6Network("64:ff9b:1::/48")  # NAT64 of a site, RFC 8215
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})  # RFC 5214 §6.1
_LOW32: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Allowed:
    """What whoever runs the process allows though it would be refused."""

    networks: tuple[Network, ...] = ()
    hosts: tuple[str, ...] = ()
    """In lower case; `*.example.org` is every host below example.org."""


def allowed(entries: Iterable[str]) -> Allowed:
    """Networks, addresses and host patterns, as ARCHIVMAIL_EGRESS_ALLOW lists them. Raises SpecInvalid."""
    networks: list[Network] = []
    hosts: list[str] = []
    for entry in entries:
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            if "/" in entry:
                raise SpecInvalid(
                    "ARCHIVMAIL_EGRESS_ALLOW must be networks such as 10.1.0.0/16 or hosts such as *.example.org, with"
                    " commas between them"
                ) from None
            hosts.append(_plain(entry))
    return Allowed(tuple(networks), tuple(hosts))


def refused_name(host: str, also: Allowed) -> str | None:
    """What the host is, if its very name is refused: nothing needs to be looked up then. None when it may be."""
    name = _plain(host)
    if _is_allowed_host(name, also):
        return None
    if name in METADATA_NAMES:
        return "a cloud's metadata service"
    if name in API_SERVER_NAMES or name.startswith("kubernetes.default.svc."):
        return "the cluster's API server"
    return None


def refused_address(host: str, address: str, also: Allowed, cluster: Iterable[Address] = ()) -> str | None:
    """What the address is, if a connection to it is refused; None when it may be made.

    `cluster` are the addresses of the API server and of this process. `address` is as the system gives it; one that
    cannot be read is refused.
    """
    if _is_allowed_host(_plain(host), also):
        return None
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "no address of the Internet protocol"
    if any(found in network for network in also.networks):
        return None
    own = frozenset(cluster)
    for form in _forms(found):
        kind = _kind(form, own)
        if kind is not None and not any(form in network for network in also.networks):
            return kind
    return None


def _kind(address: Address, own: frozenset[Address]) -> str | None:
    for kind, network in _NETWORKS:
        if address in network:
            return kind
    return "an address of the cluster's API server or of archivmail itself" if address in own else None


def _forms(address: Address) -> Iterator[Address]:
    """The address, and those of IPv4 that it carries: a gateway or this machine may send to one of them."""
    yield address
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    for network, shift in _CARRIERS:
        if address in network:
            yield IPv4Address((number >> shift) & _LOW32)
    if address in _TEREDO:
        yield IPv4Address((number & _LOW32) ^ _LOW32)  # the client, RFC 4380 §4
    if address in _SITE:  # its prefix has 96 bits or, with zeros at the end, 48 (RFC 6052 §2.2)
        short = ((number >> 64) & 0xFFFF) << 16 | (number >> 40) & 0xFFFF
        yield IPv4Address(number & _LOW32 or short)
    if (number >> 32) & _LOW32 in _ISATAP:
        yield IPv4Address(number & _LOW32)


def _is_allowed_host(name: str, also: Allowed) -> bool:
    return any(_is_of(name, pattern) for pattern in also.hosts)


def _is_of(name: str, pattern: str) -> bool:
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern


def _plain(host: str) -> str:
    return host.lower().removesuffix(".").strip("[]")
