"""Responses of a server as values (RFC 9051 §7), read tolerantly. Pure: octets in, values out.

Only what an archive needs is read; ENVELOPE and BODYSTRUCTURE are never asked for (trap 69).
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from archivmail.imap.parts import part
from archivmail.imap.tokens import String, number, pairs, unescaped, upper, words
from archivmail.model.folder import Folder, FolderName
from archivmail.model.foldernames import display
from archivmail.model.message import Sighting
from archivmail.model.uidset import MAX_UID, Uid

STATUS_WORDS = frozenset({b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH"})
BODY = b"BODY[]"
BODY_NAMES = frozenset({BODY, b"BODY.PEEK[]"})  # the second is an echo of the command, seen from careless servers
_KNOWN_ITEMS = BODY_NAMES | {
    b"UID", b"FLAGS", b"INTERNALDATE", b"EMAILID", b"X-GM-MSGID", b"X-GM-LABELS", b"MODSEQ", b"RFC822.SIZE",
    b"THREADID"}  # fmt: skip
_ITEM_NAME = re.compile(rb"[A-Z][A-Z0-9.-]*(?:\[[^\]]*\](?:<\d+>)?)?")
_CODE = re.compile(rb"\[([A-Za-z0-9.-]+)(?: ([^\]]*))?\]? *")
_UNTAGGED = re.compile(rb"\*[ \t]+(?:(\d{1,20})[ \t]+)?([A-Za-z][A-Za-z0-9.-]*)[ \t]*")
_ATTRIBUTE_LIST = re.compile(rb"\(([^)]*)\)[ \t]*")
_DELIMITER = re.compile(rb'(?:NIL|"(\\?[^"]|\\)"|"")[ \t]*', re.IGNORECASE)
_QUOTED = re.compile(rb'"((?:[^"\\]++|\\.)*+)"(?=$|[ \t]+\()', re.DOTALL)
_EXTENDED = re.compile(rb'(?<![ \t])[ \t]++\("?(?:CHILDINFO|OLDNAME)"? .*\)$', re.IGNORECASE)
_INBOX = b"INBOX"
_MAX_TEXT = 2000
_MAX_LABELS, _MAX_LABEL = 1000, 500  # Gmail lets a label have 225 characters


class BadReply(ValueError):
    """A response that cannot be read; the text completes "the server …"."""


@dataclass(frozen=True, slots=True)
class Status:
    """A status response, tagged or not. `code` is upper-case; `argument` follows it within the brackets."""

    word: str
    code: str | None = None
    argument: bytes = b""
    text: str = ""

    @property
    def is_ok(self) -> bool:
        return self.word == "OK"

    @property
    def number(self) -> int | None:
        """The code's argument as a number."""
        return number(self.argument.strip())


@dataclass(frozen=True, slots=True)
class Data:
    """Any other untagged response: `* 23 EXISTS` is number 23, word b"EXISTS"."""

    word: bytes
    number: int | None
    values: list[object]
    text: bytes = b""
    """The line after the word, when it has no literal: LIST and SEARCH are read from it."""


def untagged(line: bytes) -> tuple[int | None, bytes, bytes] | None:
    """Number, word in capitals and rest of a line that starts with `*`; None when it has another form (trap 28)."""
    found = _UNTAGGED.match(line)
    if not found:
        return None
    return (int(found[1]) if found[1] else None, found[2].upper(), line[found.end() :])


def status(word: bytes, rest: bytes) -> Status:
    """The part after OK, NO, BAD, BYE or PREAUTH, which may be empty (traps 71, 72)."""
    code, argument = None, b""
    found = _CODE.match(rest)
    if found:
        code, argument = found[1].decode("ascii").upper(), found[2] or b""
        rest = rest[found.end() :]
    if len(rest) > _MAX_TEXT:
        rest = rest[: _MAX_TEXT // 2] + b" ... " + rest[-_MAX_TEXT // 2 :]  # Gmail puts [THROTTLED] at the end
    return Status(word.decode("ascii"), code, argument, rest.decode("utf-8", "replace").strip())


# --- LIST ------------------------------------------------------------------------------------------------------------


def listed(rest: bytes, literal: bytes | None) -> Folder | None:
    """One folder of LIST; `rest` follows the word, `literal` is the name when it came as one. None for no name.

    Read from the raw octets: names are not always valid, balanced, quoted or alone (traps 50 to 55). Raises BadReply.
    """
    attributes = _ATTRIBUTE_LIST.match(rest)
    delimiter = _DELIMITER.match(rest, attributes.end()) if attributes else None
    if attributes is None or delimiter is None:
        raise BadReply("sent a folder list that cannot be read")
    name = literal if literal is not None else _name(rest[delimiter.end() :])
    if not name:
        return None
    if name.upper() == _INBOX:
        name = _INBOX  # RFC 9051 §5.1: one folder however it is written; Yahoo 2024 writes Inbox
    return Folder(FolderName(bytes(name)), _unescaped_delimiter(delimiter[1]), _attributes(attributes[1]))


@lru_cache(maxsize=64)  # most folders of a server have the same few
def _attributes(text: bytes) -> frozenset[str]:
    return frozenset(flag.decode("ascii", "backslashreplace").lower() for flag in text.split())


def _unescaped_delimiter(raw: bytes | None) -> bytes | None:
    return raw[-1:] if raw else None


def _name(rest: bytes) -> bytes:
    """The name at the end of a line: quoted, or simply the rest, whatever it holds."""
    quoted = _QUOTED.match(rest)
    if quoted:
        return unescaped(quoted[1])
    # Only where it can match: the search would be quadratic in a hostile line otherwise.
    plain = (_EXTENDED.sub(b"", rest) if rest.endswith(b")") else rest).rstrip(b" \t")
    if len(plain) > 1 and plain.startswith(b'"') and plain.endswith(b'"'):
        return unescaped(plain[1:-1])  # quotes inside that nobody escaped
    return plain


# --- STATUS, SEARCH, NAMESPACE ---------------------------------------------------------------------------------------


def folder_status(values: list[object]) -> tuple[bytes, dict[bytes, int]] | None:
    """Name and numbers of a STATUS response; None when it names nothing."""
    if len(values) < 2 or not isinstance(values[-1], list):
        return None
    name = b" ".join(bytes(word) for word in values[:-1] if isinstance(word, bytes))
    items = values[-1]
    numbers = {
        upper(key): count
        for key, value in zip(items[::2], items[1::2], strict=False)
        if (count := number(value)) is not None
    }
    return name, numbers


def search(text: bytes) -> list[int]:
    """UIDs of one SEARCH line; UID 0 is left out (trap 16). Raises BadReply."""
    plain = text.partition(b"(")[0]  # RFC 7162 §3.1.5 puts (MODSEQ n) at the end
    try:
        uids = [int(word) for word in plain.split()]
    except ValueError:
        raise BadReply("sent a search result that is no list of numbers") from None
    if uids and (max(uids) > MAX_UID or min(uids) < 0):
        raise BadReply("sent a UID beyond 32 bits")
    return [uid for uid in uids if uid] if 0 in uids else uids


def esearch(text: bytes, tag: bytes) -> list[tuple[int, int]] | None:
    """Ranges of UIDs of one ESEARCH line (RFC 4731 §3); None when it answers something else. Raises BadReply."""
    values = words(text)
    if values and isinstance(values[0], list):
        correlator = values.pop(0)
        if isinstance(correlator, list) and correlator[-1:] not in ([], [tag]):
            return None
    if not values or upper(values[0]) != b"UID":
        return None  # sequence numbers, which mean nothing to us
    sets = [values[at + 1] for at, word in enumerate(values[:-1]) if upper(word) == b"ALL"]
    return sequence_set(bytes(sets[0])) if sets and isinstance(sets[0], bytes) else []


def sequence_set(text: bytes) -> list[tuple[int, int]]:
    """`1:3,7` as ranges. Raises BadReply for anything that is no set of UIDs."""
    ranges = []
    try:
        for part in text.split(b","):
            low, _, high = part.partition(b":")
            first, last = int(low), int(high or low)
            ranges.append((min(first, last), max(first, last)))
    except ValueError:
        raise BadReply("sent a set of UIDs that cannot be read") from None
    if any(low < 1 or high > MAX_UID for low, high in ranges):
        raise BadReply("sent a UID that is 0 or beyond 32 bits")
    return ranges


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Prefixes of RFC 2342: one's own folders, and those of others or shared by all."""

    own: tuple[bytes, ...] = ()
    foreign: tuple[bytes, ...] = ()


def namespaces(values: list[object]) -> Namespaces:
    """What NAMESPACE says; whatever cannot be read is left out."""
    kinds = [[_prefix(each) for each in kind] if isinstance(kind, list) else [] for kind in values]
    own = [prefix for prefix in (kinds[0] if kinds else []) if prefix is not None]
    foreign = [prefix for kind in kinds[1:3] for prefix in kind if prefix]
    return Namespaces(tuple(dict.fromkeys(own)), tuple(dict.fromkeys(foreign)))


def _prefix(namespace: object) -> bytes | None:
    if isinstance(namespace, list) and namespace and isinstance(namespace[0], String):
        return bytes(namespace[0])
    return None


# --- FETCH -----------------------------------------------------------------------------------------------------------


def items(values: list[object]) -> dict[bytes, object]:
    """The items of a FETCH response by name, in any order, odd ones passed over (traps 39, 74).

    Not after octets: what follows them tells whether they ended where they should. Raises BadReply.
    """
    inner = values[0] if values and isinstance(values[0], list) else values
    found = pairs(inner, _KNOWN_ITEMS.__contains__)
    if b"BODY.PEEK[]" in found:
        found.setdefault(BODY, found[b"BODY.PEEK[]"])
    if not _ends_well(inner):
        raise BadReply("sent octets of another length than announced")
    return found


def _ends_well(inner: list[object]) -> bool:
    """After octets of a message stand names with values, none of them twice (trap 77).

    A literal that was announced too long ends amid a later response, a quoted string that holds a quote ends too early.
    """
    at = next((index for index, word in enumerate(inner) if part(upper(word)) is not None), None)
    if at is None:
        return True
    names = [upper(word) for word in inner[at::2]]
    once = [name for name in names if name == b"UID" or part(name) is not None]
    return (
        len(inner) % 2 == at % 2
        and all(map(_ITEM_NAME.fullmatch, names))
        and len(once) == len(set(once))
        and not (b"UID" in once and b"UID" in map(upper, inner[:at]))
    )


def uid_so_far(values: list[object]) -> Uid | None:
    """The UID of a FETCH response that is still being read."""
    inner = values[0] if values and isinstance(values[0], list) else values
    for at, word in enumerate(inner[:-1]):
        if type(word) is bytes and word.upper() == b"UID":
            return uid_of({b"UID": inner[at + 1]})
    return None


def uid_of(found: dict[bytes, object]) -> Uid | None:
    """The UID among the items of a FETCH response, if it is one."""
    uid = number(found.get(b"UID"))
    return Uid(uid) if uid is not None and 0 < uid <= MAX_UID else None


def sighting(uid: Uid, found: dict[bytes, object]) -> Sighting:
    """What the items say of the message; what they do not say is empty."""
    date = found.get(b"INTERNALDATE")
    flags = found.get(b"FLAGS")
    return Sighting(
        uid=uid,
        internal_date=_printable(date) if isinstance(date, String) else "",
        flags=tuple(_flags(flags)) if isinstance(flags, list) else (),
        email_id=_email_id(found),
        labels=_labels(found.get(b"X-GM-LABELS")),
        declared_size=number(found.get(b"RFC822.SIZE")),
    )


def _flags(words_: list[object]) -> list[str]:
    shown = [_printable(word) for word in words_ if isinstance(word, bytes)]
    # \Recent belongs to a session and not to the message (RFC 9051 removed it).
    return [flag for flag in shown if flag and flag.lower() != "\\recent"]


def _labels(value: object) -> tuple[str, ...]:
    """Labels in whatever form they come: atoms, also with brackets, quoted, literals; in modified UTF-7."""
    words_ = value if isinstance(value, list) else [value]
    shown = [_printable_text(display(bytes(word)))[:_MAX_LABEL] for word in words_ if isinstance(word, bytes)]
    return tuple(dict.fromkeys(filter(None, shown[:_MAX_LABELS])))


def _email_id(found: dict[bytes, object]) -> str | None:
    value = found.get(b"EMAILID", found.get(b"X-GM-MSGID"))
    if isinstance(value, list):  # RFC 8474 §4.1: in parentheses
        value = value[0] if value else None
    if not isinstance(value, bytes) or upper(value) == b"NIL":
        return None
    return _printable(value) or None


def _printable(word: bytes) -> str:
    return _printable_text(word.decode("utf-8", "backslashreplace"))


def _printable_text(text: str) -> str:
    return text if text.isprintable() else "".join(char for char in text if char.isprintable())
