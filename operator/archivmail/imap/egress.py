"""The rule of `decide/egress.py` for every connection of a process, with what it learns of its cluster.

For any thread. What is checked is the address that was looked up, and `dialing.py` connects to that very address: a
name that changes its mind in between changes nothing (DNS rebinding).
"""

from collections.abc import Iterable
from ipaddress import ip_address

from archivmail.decide.egress import Address, Allowed, refused_address, refused_name
from archivmail.model.errors import NeedsUser
from archivmail.model.reasons import Reason


class Egress:
    """Where the accounts of this process may connect to."""

    def __init__(self, also: Allowed) -> None:
        self._also = also
        self._cluster: frozenset[Address] = frozenset()

    def learn(self, addresses: Iterable[str]) -> None:
        """The addresses of the API server and of this process, in place of those that were known."""
        self._cluster = frozenset(ip_address(each.partition("%")[0]) for each in addresses)

    def check_name(self, host: str, setting: str) -> None:
        """Before anything is looked up. Raises NeedsUser; `setting` is where the host stands."""
        kind = refused_name(host, self._also)
        if kind is not None:
            raise _denied(host, kind, setting)

    def check_address(self, host: str, address: str, setting: str) -> None:
        """Raises NeedsUser when no connection may be made to it."""
        kind = refused_address(host, address, self._also, self._cluster)
        if kind is not None:
            raise _denied(host, kind, setting)


def _denied(host: str, kind: str, setting: str) -> NeedsUser:
    # The address is not told: whoever writes the manifest need not learn what names of the cluster lead to.
    return NeedsUser(
        f"{host} is {kind}, and archivmail does not connect there; correct {setting}, or let whoever runs archivmail"
        " allow it (ARCHIVMAIL_EGRESS_ALLOW)",
        reason=Reason.EGRESS_DENIED,
    )
