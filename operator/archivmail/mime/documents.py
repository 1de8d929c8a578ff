"""Which attachments of a message are documents with text in them. Pure and bounded; reads none of them."""

from collections.abc import Iterator

from archivmail.mime.parts import walk
from archivmail.mime.text import MAX_INPUT_BYTES

MAX_DOCUMENTS = 20
"""Of one message."""
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
        yield kind, part.octets(MAX_INPUT_BYTES)
