"""Open a TCP connection within a limit of time, and give up at once when the run is told to stop."""

import errno
import os
import select
import socket
import threading
import time
from collections.abc import Callable

from archivmail.imap.faults import broken
from archivmail.imap.limits import Limits
from archivmail.model.errors import Aborted, ConnectionLost, NeedsUser

STOPPED = "the run was told to stop; what it archived is kept"
_KEEPALIVE_IDLE_S = 60
_KEEPALIVE_INTERVAL_S = 20
_KEEPALIVE_PROBES = 3
_SHORTEST_TRY_S = 2.0

Address = tuple[int, int, int, tuple[object, ...]]


def dial(
    host: str, port: int, *, limits: Limits, should_stop: Callable[[], bool], setting: str = "spec.host and spec.port"
) -> socket.socket:
    """A connected socket. Raises ConnectionLost, Aborted and, where `limits.egress` refuses all addresses, NeedsUser.

    All addresses of the host share the limit; each gets an equal part of what is left, so that a dead first one does
    not eat it all. `setting` says where a person looks for a wrong address.
    """
    deadline = time.monotonic() + limits.connect_s
    if limits.egress is not None:
        limits.egress.check_name(host, setting)
    found = _resolve(host, port, deadline, limits, should_stop, setting=setting)
    addresses = _admitted(host, found, limits, setting=setting)
    failure: OSError | None = None
    for index, address in enumerate(addresses):
        left = deadline - time.monotonic()
        if left <= 0 and failure is not None:
            break  # a name may have thousands of addresses
        share = max(left / (len(addresses) - index), min(left, _SHORTEST_TRY_S))
        try:
            return _connect(address, time.monotonic() + share, limits, should_stop)
        except OSError as error:
            failure = error
    raise ConnectionLost(_sentence(host, port, failure, setting)) from failure


def _resolve(
    host: str, port: int, deadline: float, limits: Limits, should_stop: Callable[[], bool], *, setting: str
) -> list[Address]:
    # getaddrinfo cannot be interrupted, so it waits in a thread of its own that may outlive us by some seconds.
    found: list[Address] = []
    failures: list[OSError | UnicodeError] = []

    def look_up() -> None:
        try:
            for family, kind, proto, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                found.append((family, kind, proto, address))
        except (OSError, UnicodeError) as error:
            failures.append(error)

    thread = threading.Thread(target=look_up, name="imap-name-look-up", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(limits.slice_s)
        if should_stop():
            raise Aborted(STOPPED)
        if time.monotonic() >= deadline:
            raise ConnectionLost(f"the address of {host} was not found within {limits.connect_s:g} s; check the DNS")
    if failures:
        raise ConnectionLost(f"the host name {host} cannot be resolved; check {setting} and the DNS") from failures[0]
    return found


def _admitted(host: str, found: list[Address], limits: Limits, *, setting: str) -> list[Address]:
    """Those that may be connected to. Raises NeedsUser when there were some, and none may be."""
    if limits.egress is None:
        return found
    admitted: list[Address] = []
    refusal: NeedsUser | None = None
    for address in found:
        try:
            limits.egress.check_address(host, str(address[3][0]), setting)
        except NeedsUser as error:
            refusal = error
        else:
            admitted.append(address)
    if refusal is not None and not admitted:
        raise refusal
    return admitted


def _connect(address: Address, deadline: float, limits: Limits, should_stop: Callable[[], bool]) -> socket.socket:
    family, kind, proto, where = address
    sock = socket.socket(family, kind, proto)
    try:
        sock.setblocking(False)
        code = sock.connect_ex(where)
        if code == errno.EINPROGRESS:
            _wait_until_writable(sock, deadline, limits, should_stop)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        _require_success(code)
        _watch_the_line(sock, limits)
    except BaseException:
        sock.close()
        raise
    return sock


def _require_success(code: int) -> None:
    if code:
        raise OSError(code, os.strerror(code))


def _wait_until_writable(sock: socket.socket, deadline: float, limits: Limits, should_stop: Callable[[], bool]) -> None:
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    while not poll.poll(limits.slice_s * 1000):
        if should_stop():
            raise Aborted(STOPPED)
        if time.monotonic() >= deadline:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))


def _watch_the_line(sock: socket.socket, limits: Limits) -> None:
    """Notice a peer that is gone without a word (trap 83), also while we are the one who sends."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(limits.read_s * 1000))


def _sentence(host: str, port: int, failure: OSError | None, setting: str) -> str:
    where = f"{host}:{port}"
    if failure is None:
        return f"the host name {host} has no address; check {setting} and the DNS"
    if failure.errno == errno.ECONNREFUSED:
        return f"nothing listens at {where}; check {setting}, or start the server"
    if failure.errno in {errno.ETIMEDOUT, None}:
        return f"{where} did not answer in time; check {setting} and the network"
    if failure.errno in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
        return f"there is no route to {where}; check {setting} and the network"
    return f"no connection to {where}: {broken(failure).text}"
