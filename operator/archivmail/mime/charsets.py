"""Octets and a charset label -> text. Total: every label and every octet gives some text.

Labels follow the WHATWG Encoding Standard where mail and the standard differ from the IANA names (a mail labelled
`gb2312` is GBK, `iso-8859-1` is windows-1252), because that is what the mail programs which wrote them meant.
"""

import codecs
import re
from functools import lru_cache

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,39}")

# What Python does not know by that name, or knows as a narrower set than mail programs write.
_MEANT = {
    "ascii": "",
    "us-ascii": "",
    "ansi_x3.4-1968": "",
    "unknown-8bit": "",
    "x-unknown": "",
    "default": "",
    "8bit": "",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso-8859-6-i": "iso8859-6",
    "iso-8859-6-e": "iso8859-6",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "windows-874": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "gb_2312-80": "gb18030",
    "hz-gb-2312": "hz",
    "big5": "big5hkscs",
    "x-x-big5": "big5hkscs",
    "cn-big5": "big5hkscs",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "sjis": "cp932",
    "windows-31j": "cp932",
    "iso-2022-jp": "iso2022_jp_ext",
    "x-euc-jp": "euc_jp",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "ksc5601": "cp949",
    "x-windows-949": "cp949",
    "unicode-1-1-utf-7": "utf-7",
    "utf8mb4": "utf-8",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic",
    "x-mac-ce": "mac_latin2",
}

# Text encodings of Python that are no charset of mail; punycode takes quadratic time.
_NEVER = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"})

_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(octets: bytes, label: str = "") -> str:
    """Text of these octets. An unknown or missing label means UTF-8 and, where that does not fit, windows-1252.

    The text can be stored and sent: it has neither NUL nor half a surrogate pair.
    """
    name = _codec(label) if label else ""
    if name:
        try:
            return storable(octets.decode(name, "replace"))
        except (UnicodeError, ValueError, OverflowError):
            pass  # a codec that ignores "replace"; the guess below cannot fail
    return storable(_guess(octets))


def storable(text: str) -> str:
    """Without NUL (PostgreSQL refuses it) and lone surrogates (no UTF-8 form); both become U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if text.isascii():
        return text
    try:
        text.encode()  # many times faster than a search for surrogates, which are next to never there
    except UnicodeEncodeError:
        return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    return text


def _guess(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        # A text that was cut at a bound ends in half a character; it counts as UTF-8 when it has a whole one before.
        head = octets[: error.start]
        if error.reason == "unexpected end of data" and not head.isascii():
            return head.decode("utf-8")
    if b"\x1b$" in octets:  # Japanese mail without a label
        return octets.decode("iso2022_jp_ext", "replace")
    try:
        return octets.decode("cp1252")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


@lru_cache(maxsize=512)  # labels come from strangers: bounded; a failed look-up costs imports, so failures are kept too
def _codec(label: str) -> str:
    """Name of Python's codec, "" where there is none."""
    label = label.strip("\"' \t").lower()
    if not _LABEL.fullmatch(label):
        return ""
    label = _MEANT.get(label, label)
    if not label:
        return ""
    try:
        info = codecs.lookup(label)
        "".encode(info.name)  # LookupError where the codec is not one of text
    except (LookupError, UnicodeError, ValueError):
        return ""
    return "" if info.name.replace("-", "_") in _NEVER else info.name
