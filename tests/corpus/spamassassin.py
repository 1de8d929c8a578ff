"""The SpamAssassin public corpus: 6,046 mails as people and spammers sent them, 2002 to 2005.

The files are as an mbox held them: LF line ends, and 5,453 of them with the mbox line `From ` before the mail. Here
they are as they went over the wire: without that line, CRLF. All else is left: 8-bit octets, lone CRs, long lines.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator

from tests.servers.binaries import MissingProgramError, cache_folder

COUNT = 6046
VERSION = "0.2.3"
_MEMBER = re.compile(r"package/data/([a-z0-9-]+)/[^/]+\.txt")
_BARE_LF = re.compile(rb"(?<!\r)\n")


def mails() -> Iterator[tuple[str, bytes]]:
    """Each with the part of the corpus it belongs to (`easy-ham-1`, `spam-2`, ...), in the order of the package."""
    path = cache_folder() / "corpus" / f"spam-assassin-{VERSION}.tgz"
    if not path.exists():
        raise MissingProgramError("the SpamAssassin corpus is missing: run `make tools` in the checkout")
    with tarfile.open(path) as package:
        for member in package:
            part = _MEMBER.fullmatch(member.name)
            stream = package.extractfile(member) if part else None
            if part and stream:
                yield part[1], as_sent(stream.read())


def as_sent(octets: bytes) -> bytes:
    """Without the mbox line, with CRLF."""
    if octets.startswith(b"From "):
        octets = octets.partition(b"\n")[2]
    return _BARE_LF.sub(b"\r\n", octets)
