"""Does the server show only a part of its folders (trap 31)? Knows counts, hosts and capabilities; knows no connection.

A limited view looks like any other: the counts are simply too small. What gives it away is a largest folder of exactly
the size at which a provider is known to stop.
"""

from collections.abc import Iterable

# What Gmail's setting "Limit IMAP folders" takes, by the reference of its API: ImapSettings.maxFolderSize.
GMAIL_LIMITS = frozenset({1000, 2000, 5000, 10000})
# Yahoo's default mode; rustmailer/bichon#144 and #271, djc/imap-proto#198. It does not announce it everywhere.
YAHOO_LIMIT = 10000
_YAHOO_HOSTS = ("mail.yahoo.com", "mail.yahoo.co.jp")
_ANNOUNCED = "MESSAGELIMIT="  # RFC 9738


def announced_limit(capabilities: Iterable[str]) -> int | None:
    """How many messages one command may be about, where the server says so."""
    told = (each.removeprefix(_ANNOUNCED) for each in capabilities if each.startswith(_ANNOUNCED))
    numbers = [int(text) for text in told if text.isascii() and text.isdigit() and len(text) < 10]
    return min((number for number in numbers if number), default=None)


def view_limits(host: str, capabilities: frozenset[str]) -> frozenset[int]:
    """The sizes at which this server may stop showing messages; none for a server that is not known to stop."""
    name = host.lower().rstrip(".")
    found = set(GMAIL_LIMITS) if "X-GM-EXT-1" in capabilities else set()
    if any(name == each or name.endswith(f".{each}") for each in _YAHOO_HOSTS):
        found.add(YAHOO_LIMIT)
    announced = announced_limit(capabilities)
    return frozenset(found | ({announced} if announced else set()))


def limit_in_force(limits: frozenset[int], folder_sizes: Iterable[int]) -> int | None:
    """The size that folders of this account do not exceed, if it is one of `limits`.

    A limit holds for every folder, so one that shows more proves that there is none at that size.
    """
    largest = max(folder_sizes, default=0)
    return largest if largest in limits else None
