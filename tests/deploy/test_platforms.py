"""The image's lock serves every platform and interpreter: a wheel for each of its packages, so nothing is compiled."""

from __future__ import annotations

import re

import pytest
from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from .chart import CHECKOUT

REQUIREMENTS = CHECKOUT / "requirements"
MANYLINUX = ["2_28", "2_17", "2014"]  # glibc of Debian 12 and of everything newer runs these
NEWER = [f"2_{minor}" for minor in range(34, 4, -1)]
Version = tuple[int, int]


def requirements() -> dict[str, tuple[str, Marker | None, set[str]]]:
    """Version, marker and hashes of each package of the image's lock."""
    text = (REQUIREMENTS / "runtime.lock").read_text().replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        told = re.match(r"([\w.-]+)==(\S+)\s*(?:;\s*(.*?))?\s+(--hash.*)$", line)
        assert told, line
        hashes = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", told[4]))
        found[canonicalize_name(told[1])] = (told[2], Marker(told[3]) if told[3] else None, hashes)
    return found


def wheels() -> list[tuple[str, str]]:
    """Hash and file name."""
    lines = (REQUIREMENTS / "wheels.txt").read_text().splitlines()
    return [(line.split("  ")[0], line.split("  ")[1]) for line in lines]


def tags(version: Version, machine: str) -> set[Tag]:
    platforms = [f"manylinux{glibc if glibc == '2014' else '_' + glibc}_{machine}" for glibc in (*NEWER, *MANYLINUX)]
    names = {f"cp{version[0]}{version[1]}"}
    return {
        *cpython_tags(version, abis=names, platforms=platforms),
        *compatible_tags(version, interpreter=f"cp{version[0]}{version[1]}", platforms=platforms),
    }


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)], ids=lambda version: f"cp{version[0]}{version[1]}")
def test_every_package_has_a_wheel(version: Version, machine: str) -> None:
    """amd64 and arm64 alike; by a hash that the lock has."""
    fitting = tags(version, machine)
    environment = {
        "python_version": f"{version[0]}.{version[1]}",
        "python_full_version": f"{version[0]}.{version[1]}.9",
        "platform_machine": machine,
        "sys_platform": "linux",
    }
    known: dict[str, set[tuple[str, str]]] = {}
    for digest, name in wheels():
        package, number, _build, supported = parse_wheel_filename(name)
        if supported & fitting:
            known.setdefault(package, set()).add((str(number), digest))
    wanting = [
        name
        for name, (number, marker, hashes) in requirements().items()
        if (marker is None or marker.evaluate(environment))
        and not any(each == number and digest in hashes for each, digest in known.get(name, ()))
    ]
    assert wanting == []


def test_list_of_wheels_belongs_to_the_lock() -> None:
    """`make lock` writes both; a wheel that the lock does not know would prove nothing."""
    locked = {digest for _, _, hashes in requirements().values() for digest in hashes}
    assert {digest for digest, _ in wheels()} <= locked


@pytest.mark.parametrize("name", ["runtime", "dev", "image", "audit", "awscli"])
def test_every_locked_package_has_hashes_and_no_address(name: str) -> None:
    """Nothing is installed that somebody could have replaced, and no lock binds to an index."""
    text = (REQUIREMENTS / f"{name}.lock").read_text()
    entries = re.split(r"(?m)^(?=\S)", text)
    assert [entry for entry in entries if entry.strip() and "--hash=sha256:" not in entry] == []
    assert "://" not in text
    assert "://" not in (REQUIREMENTS / "wheels.txt").read_text()
