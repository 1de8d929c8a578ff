"""Text of strangers -> text that a terminal shows and nothing more.

A mail may carry escape sequences that set titles, answer back or hide lines (ECMA-48 §5.4), and bidirectional
overrides that let a name read otherwise than it is written (Unicode TR9 §2). They go; letters of all scripts stay.
"""

import re

# CSI, then OSC/DCS/SOS/PM/APC with their text, then any two-character escape. None reaches over the
# beginning of another and all are bounded, so torn ones take linear time.
_ESCAPE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]{0,64}[ -/]{0,16}[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]{0,4096}(?:\x07|\x1b\\\\|\x9c)"
    "|\x1b[ -/]{0,4}[0-~]"
)
_BREAK = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_TAG_CHARACTERS = re.compile("[\U000e0000-\U000e007f]")  # invisible ASCII


def clean(text: str) -> str:
    """The text without anything that acts on a terminal; line ends become LF, tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    text = _BREAK.sub("\n", _ESCAPE.sub("", text))
    return _TAG_CHARACTERS.sub("", _CONTROL.sub("", text))


def line(text: str, max_length: int | None = None) -> str:
    """The same on one line, white space in single blanks; a longer one ends in "…"."""
    flat = " ".join(clean(text).split())
    if max_length is not None and len(flat) > max_length:
        return flat[: max(0, max_length - 1)] + "…"
    return flat
