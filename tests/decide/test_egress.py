"""Which addresses an account may be connected to: a rule over addresses in all their forms (decision 0015)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archivmail.decide.egress import Allowed, allowed, refused_address, refused_name
from archivmail.model.errors import SpecInvalid

NOTHING = Allowed()
API_SERVER = [ip_address("10.96.0.1"), ip_address("fd12::1")]
HOST = "imap.example.org"
CLUSTER = "an address of the cluster's API server or of archivmail itself"
METADATA = "a cloud's metadata address"
INNER = "169.254.169.254"


def hexed(address: str) -> str:
    """The last two groups of an IPv6 address that carries it."""
    number = int(IPv4Address(address))
    return f"{number >> 16:x}:{number & 0xFFFF:x}"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        pytest.param("127.0.0.1", "loopback", id="loopback"),
        pytest.param("127.255.255.254", "loopback", id="loopback-end"),
        pytest.param("::1", "loopback", id="loopback-6"),
        pytest.param("0.0.0.0", "unspecified", id="unspecified"),  # noqa: S104 - not bound
        pytest.param("0.1.2.3", "unspecified", id="this-network"),
        pytest.param("::", "unspecified", id="unspecified-6"),
        pytest.param("169.254.0.1", "link-local", id="link-local"),
        pytest.param("fe80::1", "link-local", id="link-local-6"),
        pytest.param("fe80::1%eth0", "link-local", id="link-local-6-with-scope"),
        pytest.param("febf::1", "link-local", id="link-local-6-end"),
        pytest.param("169.254.169.254", METADATA, id="metadata"),
        pytest.param("169.254.170.23", METADATA, id="metadata-eks"),
        pytest.param("fd00:ec2::254", METADATA, id="metadata-6"),
        pytest.param("fd20:ce::254", METADATA, id="metadata-google-6"),
        pytest.param("100.100.100.200", METADATA, id="metadata-alibaba"),
        pytest.param("168.63.129.16", METADATA, id="azure-wire-server"),
        pytest.param("224.0.0.1", "multicast", id="multicast"),
        pytest.param("ff02::1", "multicast", id="multicast-6"),
        pytest.param("255.255.255.255", "broadcast", id="broadcast"),
        pytest.param("::ffff:127.0.0.1", "loopback", id="mapped"),
        pytest.param("::127.0.0.1", "loopback", id="compatible"),
        pytest.param(f"::ffff:{INNER}", METADATA, id="mapped-metadata"),
        pytest.param(f"::ffff:0:{hexed(INNER)}", METADATA, id="translated"),
        pytest.param(f"64:ff9b::{hexed(INNER)}", METADATA, id="nat64"),
        pytest.param(f"64:ff9b:1::{hexed(INNER)}", METADATA, id="nat64-of-a-site"),
        pytest.param("64:ff9b:1:a9fe:a9:fe00::", METADATA, id="nat64-of-a-site-48-bits"),
        pytest.param(f"2002:{hexed(INNER)}::1", METADATA, id="6to4"),
        pytest.param("2001:0:a9fe:a9fe::1", METADATA, id="teredo-server"),
        pytest.param("2001:0:102:304:0:0:80ff:fffe", "loopback", id="teredo-client"),
        pytest.param("2001:db8::5efe:7f00:1", "loopback", id="isatap"),
        pytest.param("10.96.0.1", CLUSTER, id="api-server"),
        pytest.param("::ffff:10.96.0.1", CLUSTER, id="mapped-api"),
        pytest.param("fd12::1", CLUSTER, id="api-server-6"),
        pytest.param("/run/imap.sock", "no address of the Internet protocol", id="no-address"),
    ],
)
def test_is_refused(address: str, kind: str) -> None:
    """And the sentence can say what it is."""
    assert kind == refused_address(HOST, address, NOTHING, API_SERVER)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.5", "10.96.0.2", "172.16.3.4", "192.168.1.1", "100.64.0.1", "93.184.215.14", "128.0.0.1",
        "126.255.255.255", "169.253.255.255", "169.255.0.0", "223.255.255.255", "fd12::2",
        "2001:db8::1", "2606:4700::1111", "fec0::1", "64:ff9b:1:a00:0:100::",
        "::ffff:192.168.1.1", f"64:ff9b::{hexed('93.184.215.14')}", f"2002:{hexed('192.168.1.1')}::1",
    ],
)  # fmt: skip
def test_mail_servers_may_be_anywhere_else(address: str) -> None:
    """Private networks too: that is where many of them are."""
    assert refused_address(HOST, address, NOTHING, API_SERVER) is None


@pytest.mark.parametrize(
    ("entries", "host", "address", "is_allowed"),
    [
        pytest.param(["127.0.0.0/8"], HOST, "127.0.0.1", True, id="network"),
        pytest.param(["127.0.0.1"], HOST, "127.0.0.1", True, id="address"),
        pytest.param(["127.0.0.1"], HOST, "127.0.0.2", False, id="another-address"),
        pytest.param(["127.0.0.0/8"], HOST, "::1", False, id="other-family"),
        pytest.param(["127.0.0.0/8"], HOST, "::ffff:127.0.0.1", True, id="network-in-another-form"),
        pytest.param(["::/0"], HOST, "::ffff:127.0.0.1", True, id="the-form-itself"),
        pytest.param(["127.0.0.0/8"], HOST, INNER, False, id="another-kind"),
        pytest.param(["10.96.0.0/12"], HOST, "10.96.0.1", True, id="api-server"),
        pytest.param(["imap.example.org"], "IMAP.example.org.", INNER, True, id="host"),
        pytest.param(["*.Example.org"], HOST, INNER, True, id="hosts-below"),
        pytest.param(["*.example.org"], "example.org", INNER, False, id="not-above"),
        pytest.param(["*.example.org"], "evilexample.org", INNER, False, id="not-beside"),
        pytest.param(["example.org"], "example.org.evil.net", INNER, False, id="not-longer"),
    ],
)
def test_what_is_allowed_is_that_and_no_more(entries: list[str], host: str, address: str, *, is_allowed: bool) -> None:
    """ARCHIVMAIL_EGRESS_ALLOW: networks, addresses, hosts."""
    assert is_allowed is (refused_address(host, address, allowed(entries), API_SERVER) is None)


@pytest.mark.parametrize(
    "name",
    [
        "metadata.google.internal", "METADATA.google.internal.", "metadata", "instance-data.ec2.internal", "kubernetes",
        "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
        "Kubernetes.Default.SVC.some.domain.",
    ],
)  # fmt: skip
def test_some_names_are_not_even_looked_up(name: str) -> None:
    """They have one meaning everywhere."""
    assert refused_name(name, NOTHING) is not None
    assert refused_name(name, allowed([name.lower().rstrip(".")])) is None


@pytest.mark.parametrize("name", [HOST, "kubernetes.example.org", "metadata.example.org", "kubernetes-a", "10.0.0.1"])
def test_other_names_are_left_to_their_addresses(name: str) -> None:
    assert refused_name(name, NOTHING) is None


def test_a_network_that_is_none_is_refused() -> None:
    """Rather than taken for a host."""
    with pytest.raises(SpecInvalid, match="ARCHIVMAIL_EGRESS_ALLOW must be networks"):
        allowed(["10.0.0.0/99"])


@given(st.ip_addresses(v=4))
def test_no_form_of_an_address_is_a_way_around(inner: IPv4Address) -> None:
    """What is refused as IPv4 is refused in everything that carries it."""
    plain = refused_address(HOST, str(inner), NOTHING, API_SERVER)
    number = int(inner)
    forms = [
        (0xFFFF << 32) | number,
        (0x64_FF9B << 96) | number,
        (0x2002 << 112) | (number << 80),
        (0x2001 << 112) | (number << 64) | 0x1234_5678,
    ]
    for form in forms:
        found = refused_address(HOST, str(IPv6Address(form)), NOTHING, API_SERVER)
        assert plain is None or found is not None


@given(st.text(max_size=60), st.text(max_size=60))
def test_every_text_has_an_answer(host: str, address: str) -> None:
    """What the system gives is never trusted to be an address; one that cannot be read is refused."""
    refused_name(host, NOTHING)
    found = refused_address(host, address, NOTHING, API_SERVER)
    try:
        ip_address(address.partition("%")[0])
    except ValueError:
        assert found is not None
