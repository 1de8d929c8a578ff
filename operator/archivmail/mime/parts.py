"""Walk the MIME tree of a message (RFC 2046): its leaves in order, none of them decoded.

Written here and not taken from a library, because the walk must stay bounded on hostile mail: nesting, parts and
boundary look-alikes are counted, nothing is copied per level.

Measured on fast-mail-parser 0.10: 200 kB of "=?" in a header take 2 to 5 s and the time grows with the square; its tree
of 16 MB within 250 levels of message/rfc822 takes 5 GB (its flat form does not look into embedded messages). On good
mail it is 4 to 6 times as fast as this, and the standard library 13 times slower.
"""

import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field

from archivmail.mime.headers import Fields, base64, parameters, split, text_of

MAX_DEPTH = 32
MAX_PARTS = 1000
MAX_BOUNDARY_LINES = 20_000
"""Lines looked at because they begin like a boundary. Arbitrary, far above any real mail."""
MAX_FILENAME = 255
"""Characters."""

# Signatures and reports travel with a mail, nobody attached them.
_MACHINERY = frozenset(
    {
        "application/pgp-signature",
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/pgp-encrypted",
        "message/delivery-status",
        "message/disposition-notification",
    }
)


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf, or an embedded message (which is followed by its own leaves)."""

    content_type: str
    charset: str
    filename: str
    disposition: str
    encoding: str
    is_embedded: bool
    """It has a Content-ID: some HTML shows it in its place."""
    fields: Fields = field(repr=False)
    buffer: bytes = field(repr=False)
    start: int
    end: int

    @property
    def is_message(self) -> bool:
        return self.content_type in {"message/rfc822", "message/global"}

    @property
    def is_attachment(self) -> bool:
        """What a person would call an attachment: no body text, no picture within the text, no signature."""
        if self.content_type in _MACHINERY or self.content_type.startswith("multipart/"):
            return False
        if self.disposition == "attachment" or self.is_message:
            return True
        if self.content_type.startswith("text/"):
            return bool(self.filename)
        return not self.is_embedded

    def embedded_fields(self) -> Fields:
        """The fields of the embedded message; none where it is encoded against RFC 2046 §5.2.1."""
        return split(self.buffer, self.start, self.end)[0]

    def octets(self, max_bytes: int) -> bytes:
        """Transfer-decoded content, at most about `max_bytes` of it."""
        if self.encoding == "base64":
            # 4 characters for 3 octets, and line ends: RFC 2045 §6.8 has 2 for each 76 characters
            return base64(self.buffer[self.start : min(self.end, self.start + max_bytes * 3 // 2)])[:max_bytes]
        if self.encoding == "quoted-printable":
            return binascii.a2b_qp(self.buffer[self.start : min(self.end, self.start + max_bytes * 3)])[:max_bytes]
        return self.buffer[self.start : min(self.end, self.start + max_bytes)]

    @property
    def size(self) -> int:
        """Octets when decoded; of base64 reckoned from its length, without decoding."""
        raw = self.end - self.start
        if self.encoding == "base64":
            count = self.buffer.count
            blank = sum(count(octet, self.start, self.end) for octet in (b"\r", b"\n", b" ", b"\t", b"="))
            return (raw - blank) * 3 // 4
        return len(self.octets(raw)) if self.encoding == "quoted-printable" else raw


@dataclass(slots=True)
class _Budget:
    parts: int = MAX_PARTS
    boundary_lines: int = MAX_BOUNDARY_LINES
    decoded: int = 0
    """Octets of embedded messages that may still be decoded (those sent as base64 against RFC 2046 §5.2.1)."""


@dataclass(frozen=True, slots=True)
class _Entity:
    """Header fields, and where the body is (RFC 2045 §2.4)."""

    fields: Fields
    buffer: bytes
    start: int
    end: int


def walk(octets: bytes) -> tuple[Fields, Iterator[Part]]:
    """The fields of the message itself, and its leaves in order."""
    message = _entity(octets, 0, len(octets))
    return message.fields, _leaves(message, 0, _Budget(decoded=len(octets)))


def _entity(buffer: bytes, start: int, end: int) -> _Entity:
    fields, body = split(buffer, start, end)
    return _Entity(fields, buffer, body, max(body, end))


def _leaves(entity: _Entity, depth: int, budget: _Budget) -> Iterator[Part]:
    fields = entity.fields
    main, options = parameters(fields["content-type"]) if "content-type" in fields else ("text/plain", {})
    boundary = options.get("boundary", "")
    if main.startswith("multipart/") and boundary and depth < MAX_DEPTH:
        for low, high in _sections(entity, boundary, budget):
            yield from _leaves(_entity(entity.buffer, low, high), depth + 1, budget)
        return
    if budget.parts <= 0:
        return
    budget.parts -= 1
    part = _leaf(entity, main, options)
    yield part
    if part.is_message and depth < MAX_DEPTH:
        yield from _leaves(_embedded(part, budget), depth + 1, budget)


def _embedded(part: Part, budget: _Budget) -> _Entity:
    if part.encoding not in {"base64", "quoted-printable"}:
        return _entity(part.buffer, part.start, part.end)
    octets = part.octets(budget.decoded)
    budget.decoded -= len(octets)
    return _entity(octets, 0, len(octets))


def _sections(entity: _Entity, boundary: str, budget: _Budget) -> Iterator[tuple[int, int]]:
    """Where the body parts between the boundary lines are (RFC 2046 §5.1.1). A missing last boundary is no matter."""
    buffer, start, end = entity.buffer, entity.start, entity.end
    line = b"\n--" + boundary.rstrip().encode("utf-8", "replace")
    open_at = -1
    at = start - 1 if buffer.startswith(line[1:], start, end) else buffer.find(line, start, end)
    while at >= 0 and budget.boundary_lines > 0 and budget.parts > 0:
        budget.boundary_lines -= 1
        after = at + len(line)
        next_line = buffer.find(b"\n", after, end)
        rest = buffer[after : min(next_line if next_line >= 0 else end, after + 80)].strip()
        if rest in {b"", b"--"}:
            if open_at >= 0:
                yield open_at, max(open_at, at - 1 if buffer[at - 1 : at] == b"\r" else at)
            open_at = next_line + 1 if rest == b"" and next_line >= 0 else -1
            if open_at < 0:
                return
            at = buffer.find(line, open_at - 1, end)
        else:  # a longer word that begins like the boundary
            at = buffer.find(line, after, end)
    if open_at >= 0:
        yield open_at, end


def _leaf(entity: _Entity, main: str, options: dict[str, str]) -> Part:
    fields = entity.fields
    disposition, more = parameters(fields["content-disposition"]) if "content-disposition" in fields else ("", {})
    name = more.get("filename") or options.get("name") or ""
    return Part(
        content_type=main if "/" in main else "text/plain",  # RFC 2045 §5.2
        charset=options.get("charset", ""),
        filename=_filename(name),
        disposition=disposition,
        encoding=fields.get("content-transfer-encoding", b"").decode("latin-1").strip().lower(),
        is_embedded="content-id" in fields,
        fields=fields,
        buffer=entity.buffer,
        start=entity.start,
        end=entity.end,
    )


def _filename(name: str) -> str:
    """The last level of the name; programs write RFC 2047 words in it though RFC 2047 §5 forbids them."""
    if "=?" in name:
        name = text_of(name.encode("utf-8", "replace"))
    return " ".join(name.replace("\\", "/").rpartition("/")[2].split())[:MAX_FILENAME]
