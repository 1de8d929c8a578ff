"""Names of packs: `packs/NAMESPACE/ACCOUNT/ID.tar.zst` with ids that sort by time (design §5)."""

import re
import secrets
from collections.abc import Callable

from archivmail.archive.packs.paths import file_level
from archivmail.model.account import AccountRef

ROOT = "packs/"
SUFFIX = ".tar.zst"
_ID = re.compile(r"([0-9a-f]{12})-[0-9a-f]{12}")


class PackNames:
    """Gives the names of one account's packs, each greater than the one before even when the clock steps back.

    An id is the time in milliseconds and 48 random bits, so that two processes never choose the same.
    """

    def __init__(self, account: AccountRef, *, milliseconds: Callable[[], int], after: str = "") -> None:
        """`after`: the newest name of this account so far."""
        self._prefix = account_prefix(account)
        self._milliseconds = milliseconds
        self._last = time_of(after)

    def next(self) -> str:
        self._last = max(self._milliseconds(), self._last + 1)
        return f"{self._prefix}{self._last:012x}-{secrets.token_hex(6)}{SUFFIX}"


def name_after(pack: str) -> str:
    """Another name that sorts as this pack's does among all others of its account: for what takes its place."""
    return f"{pack.rpartition('/')[0]}/{time_of(pack):012x}-{secrets.token_hex(6)}{SUFFIX}"


def account_prefix(account: AccountRef) -> str:
    """What the names of all packs of the account begin with."""
    return f"{ROOT}{file_level(account.namespace)}/{file_level(account.name)}/"


def is_pack_name(name: str) -> bool:
    """Whether a file or object below the root is a pack; others (temporary files, foreign ones) are left alone."""
    parts = name.split("/")
    return len(parts) == 4 and name.startswith(ROOT) and _id_of(name) is not None


def time_of(name: str) -> int:
    """Milliseconds since 1970 when the pack was begun; 0 when the name is none of ours."""
    match = _id_of(name)
    return int(match[1], 16) if match else 0


def _id_of(name: str) -> re.Match[str] | None:
    stem = name.rpartition("/")[2].removesuffix(SUFFIX)
    return _ID.fullmatch(stem) if name.endswith(SUFFIX) else None
