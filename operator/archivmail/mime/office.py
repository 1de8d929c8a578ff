"""Office documents (OOXML and OpenDocument: zip files of XML) -> their text. Raises anything on damage; bounded.

Written here: what there is on PyPI builds the whole document in memory, and a search wants its words only. Parts are
decompressed piece by piece and read by expat, which keeps nothing; what declares an entity is refused.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from xml.parsers import expat

MAX_UNPACKED = 64 * 1024 * 1024
"""Octets of XML of one document: a bomb stops there."""
MAX_PARTS = 500
_PIECE = 64 * 1024
_TEXT_PARTS = re.compile(
    r"word/(document|footnotes|endnotes|comments|header\d*|footer\d*)\.xml|xl/(sharedStrings|worksheets/sheet\d+)\.xml"
    r"|ppt/(slides/slide|notesSlides/notesSlide)\d+\.xml|content\.xml"
)
# Where a word ends: paragraphs, cells, line breaks, strings of a table. Runs within a paragraph are joined.
_ENDS = frozenset({"p", "h", "br", "tab", "si", "is", "c", "tr", "table-cell", "line-break", "s", "cr"})
# Cells of a spreadsheet hold numbers of shared strings, not words; `t` are inline strings.
_SHEET = re.compile(r"xl/worksheets/")


def text_of(octets: bytes, *, max_text: int) -> str:
    """At most `max_text` characters."""
    found: list[str] = []
    room = max_text
    for piece in _pieces(octets):
        found.append(piece[:room])
        room -= len(found[-1])
        if room <= 0:
            break
    return "".join(found)


def _pieces(octets: bytes) -> Iterator[str]:
    left = MAX_UNPACKED
    with zipfile.ZipFile(io.BytesIO(octets)) as document:
        names = [each for each in document.infolist()[:10_000] if _TEXT_PARTS.fullmatch(each.filename)]
        for member in names[:MAX_PARTS]:
            reader = _Reader(takes_all=not _SHEET.match(member.filename))
            with document.open(member) as part:
                while left > 0 and (xml := part.read(min(_PIECE, left))):
                    left -= len(xml)
                    reader.parser.Parse(xml, False)
                    yield reader.taken()
            yield "\n"


class _Reader:
    """Character data of one part."""

    def __init__(self, *, takes_all: bool) -> None:
        self._takes_all = takes_all
        self._is_text = takes_all
        self._found: list[str] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.EntityDeclHandler = self._refuse

    def taken(self) -> str:
        text, self._found = "".join(self._found), []
        return text

    def _start(self, name: str, _attributes: object) -> None:
        if not self._takes_all and name.endswith(" t"):
            self._is_text = True

    def _end(self, name: str) -> None:
        local = name.rpartition(" ")[2]
        if local in _ENDS:
            self._found.append("\n" if local in {"p", "h", "si", "tr"} else " ")
        if not self._takes_all and local == "t":
            self._is_text = False

    def _text(self, data: str) -> None:
        if self._is_text:
            self._found.append(data)

    def _refuse(self, *_: object) -> None:
        raise ValueError("a document of an office program declares no entities")
