"""The reader of IMAP under coverage-guided fuzzing (atheris): `python -m tests.fuzz.reader CORPUS -runs=100000`.

Whatever a server says: no exception but ours, no hang, no memory without bound, and nothing delivered under a UID that
nobody asked for. The first octet of an input chooses how the rest is cut into pieces; the rest is what the server says
of a FETCH, and then of each other command whose answers are read from plain lines.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["archivmail.imap", "archivmail.decide"]):
    from archivmail.decide.replies import read
    from archivmail.imap import replies, sanitised, tokens
    from archivmail.imap.usual import usual_status
    from tests.fuzz.session import UIDS, fetched

PIECES = ([1], [7], [64], [4096], [3, 50, 1])


def survives(octets: bytes) -> None:
    """Raises whatever a server must not be able to make us raise."""
    if not octets:
        return
    got = fetched(octets[1:], PIECES[octets[0] % len(PIECES)], has_ids=octets[0] > 0x7F)
    assert got.keys() <= set(UIDS), "a UID that nobody asked for"
    for line in octets[1:].split(b"\r\n")[:20]:
        _read_line(line)


def _read_line(line: bytes) -> None:
    sanitised.line(line)
    found = replies.untagged(line)
    if found is None:
        return
    _, word, rest = found
    with suppress(replies.BadReply, tokens.TooDeep):
        if word in replies.STATUS_WORDS:
            said = replies.status(word, rest)
            read(said.code, said.text)
    with suppress(replies.BadReply, tokens.TooDeep):
        replies.listed(rest, None)
    with suppress(replies.BadReply, tokens.TooDeep):
        replies.search(rest)
    with suppress(replies.BadReply, tokens.TooDeep):
        replies.esearch(rest, b"v1")
    with suppress(replies.BadReply, tokens.TooDeep):
        told = replies.folder_status(tokens.words(rest))
        assert usual_status(rest) in (None, told)
    with suppress(replies.BadReply, tokens.TooDeep):
        replies.namespaces(tokens.words(rest))


if __name__ == "__main__":
    atheris.Setup(sys.argv, survives)
    atheris.Fuzz()
