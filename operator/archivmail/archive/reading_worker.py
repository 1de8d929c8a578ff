"""The process that reads attached documents: `python -m archivmail.archive.reading_worker`.

Documents come from strangers and their readers are large: what one of them does to this process costs the indexer no
more than one restart. Standard input brings `KIND LENGTH` and LF, then the octets; standard output gives the length of
the text in UTF-8 and LF, then the text. The limits are this process's own and hold before the first document is read.
"""

import io
import logging
import resource
import sys
from typing import BinaryIO

from archivmail.mime import office

MAX_TEXT = 1024 * 1024
"""Characters taken of one document."""
MAX_PAGES = 300
MEMORY = 640 * 1024 * 1024
"""Octets of address space, of which Python and the reader take some 100 MB."""
CPU_S = 120
"""Of all documents of one process; the indexer starts another."""


def main() -> None:
    for limit, value in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, CPU_S), (resource.RLIMIT_FSIZE, 0)):
        resource.setrlimit(limit, (value, value))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable()  # the reader tells of every flaw
    source, out = sys.stdin.buffer, sys.stdout.buffer
    while line := source.readline(100):
        kind, _, length = line.decode("ascii").strip().partition(" ")
        _answer(out, _text(kind, source.read(int(length))))


def _answer(out: BinaryIO, text: str) -> None:
    octets = text[:MAX_TEXT].encode("utf-8", "replace")
    out.write(b"%d\n" % len(octets))
    out.write(octets)
    out.flush()


def _text(kind: str, octets: bytes) -> str:
    try:
        return _pdf(octets) if kind == "pdf" else office.text_of(octets, max_text=MAX_TEXT)
    except MemoryError:
        raise  # what is left of the process is not to be trusted
    except Exception:  # noqa: BLE001 - readers raise anything on damaged documents, which are archived all the same
        return ""


def _pdf(octets: bytes) -> str:
    from pypdf import PdfReader  # noqa: PLC0415 - an extra, loaded within the limits

    found: list[str] = []
    room = MAX_TEXT
    for number, page in enumerate(PdfReader(io.BytesIO(octets)).pages):
        if number >= MAX_PAGES or room <= 0:
            break
        found.append(page.extract_text())
        room -= len(found[-1])
    return "\n".join(found)


if __name__ == "__main__":
    main()
