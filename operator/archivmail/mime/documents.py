"""Which attachments of a message are documents with text in them. Pure and bounded; reads none of them."""

from collections.abc import Iterator

from archivmail.mime.parts import walk
from archivmail.mime.text import MAX_INPUT_BYTES

MAX_DOCUMENTS = 20
"""Of one message."""
_PDF_HEADER_WITHIN = 1024
"""Octets; PDF readers allow that much before it."""
_KINDS = {
    "pdf": ("application/pdf",),
    "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",),
    "pptx": ("application/vnd.openxmlformats-officedocument.presentationml.presentation",),
    "odt": ("application/vnd.oasis.opendocument.text",),
    "ods": ("application/vnd.oasis.opendocument.spreadsheet",),
    "odp": ("application/vnd.oasis.opendocument.presentation",),
}
_BY_TYPE = {name: kind for kind, names in _KINDS.items() for name in names}


def documents(octets: bytes) -> Iterator[tuple[str, bytes]]:
    """Kind and octets of each, in order."""
    _, parts = walk(octets[:MAX_INPUT_BYTES])
    left = MAX_DOCUMENTS
    for part in parts:
        # By the name first: many programs send everything as application/octet-stream.
        ending = part.filename.lower().rpartition(".")[2]
        kind = ending if ending in _KINDS else _BY_TYPE.get(part.content_type, "")
        if not kind or left <= 0:
            continue
        left -= 1
        document = part.octets(MAX_INPUT_BYTES)
        if _begins_as(kind, document):
            yield kind, document


def _begins_as(kind: str, document: bytes) -> bool:
    """Worth a look? Readers search what is no document of its kind for traces of one, and that takes longest."""
    if kind == "pdf":
        return b"%PDF-" in document[:_PDF_HEADER_WITHIN]
    return document.startswith(b"PK")  # the others are ZIP archives
