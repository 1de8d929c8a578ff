"""Text of attached documents: found where the extra is installed, and a hostile one costs only itself."""

import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from email.message import EmailMessage

import pytest

from archivmail.archive.documents import Documents
from archivmail.archive.index import drain
from tests.archive.search.catalogs import Catalog

WORD = '<w:document xmlns:w="urn:w"><w:body>%s</w:body></w:document>'
PARAGRAPH = "<w:p><w:r><w:t>%s</w:t></w:r></w:p>"


def packed(**members: bytes | str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "/").replace("_xml", ".xml"), content)
    return out.getvalue()


def pdf(text: str, *, stream: bytes | None = None) -> bytes:
    """One page in one font."""
    drawn = zlib.compress(f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET".encode()) if stream is None else stream
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(drawn), drawn),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, each in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(out)
    return bytes(out) + b"xref\n0 6\n0000000000 65535 f \n" + table + end


DOCX = packed(word__document_xml=WORD % (PARAGRAPH % "annual</w:t></w:r><w:r><w:t>ly renewed" + PARAGRAPH % "clause"))
XLSX = packed(
    xl__sharedStrings_xml='<sst xmlns="urn:s"><si><t>turnover</t></si><si><t>Größe</t></si></sst>',
    xl__worksheets__sheet1_xml='<x xmlns="urn:s"><c t="s"><v>4711</v></c><c><is><t>inline</t></is></c></x>',
)
ODT = packed(content_xml='<d xmlns:text="urn:t"><text:h>Bericht</text:h><text:p>über den Tunnel</text:p></d>')


@pytest.fixture
def reader() -> Iterator[Documents]:
    made = Documents()
    assert made.is_available
    yield made
    made.close()


@pytest.mark.parametrize(
    ("kind", "octets", "expected"),
    [
        pytest.param("docx", DOCX, "annually renewed clause", id="docx"),
        pytest.param("xlsx", XLSX, "turnover Größe inline", id="xlsx"),
        pytest.param("odt", ODT, "Bericht über den Tunnel", id="odt"),
        pytest.param("pdf", pdf("penalty clause"), "penalty clause", id="pdf"),
    ],
)
def test_words_of_documents_are_read(reader: Documents, kind: str, octets: bytes, expected: str) -> None:
    """Runs of one paragraph are joined, paragraphs and cells are parted."""
    assert " ".join(reader.text_of(kind, octets).split()) == expected


def bomb() -> bytes:
    return packed(word__document_xml=WORD % (PARAGRAPH % ("x" * 100_000_000)))


def entities() -> bytes:
    return packed(word__document_xml='<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + WORD % "&b;")


def deep() -> bytes:
    return packed(word__document_xml="<a>" * 2_000_000)


def pdf_bomb() -> bytes:
    return pdf("", stream=zlib.compress(b"(" * 300_000_000, 1))


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        pytest.param("docx", bomb, id="zip-bomb"),
        pytest.param("docx", entities, id="entities"),
        pytest.param("docx", deep, id="deep-nesting"),
        pytest.param("docx", lambda: b"PK\x03\x04 torn", id="torn-zip"),
        pytest.param("pdf", lambda: b"%PDF-1.4 torn", id="torn-pdf"),
        pytest.param("pdf", pdf_bomb, id="pdf-bomb"),
        pytest.param("pdf", lambda: b"", id="empty"),
    ],
)
def test_a_hostile_document_costs_only_itself(reader: Documents, kind: str, made: Callable[[], bytes]) -> None:
    """Bounded text, and the next one is read. Made here and not at the top: that would cost every worker seconds."""
    assert len(reader.text_of(kind, made())) <= 1024 * 1024
    assert reader.text_of("odt", ODT)


def test_a_document_that_takes_too_long_is_left(reader: Documents) -> None:
    """Its process is ended; the next document gets another."""
    assert reader.text_of("docx", DOCX, timeout_s=0) == ""
    assert reader.text_of("odt", ODT)


def test_what_an_attachment_says_is_found(catalog: Catalog, reader: Documents) -> None:
    """By a word of the document, and without the reader by its name alone."""
    message = EmailMessage()
    message["Subject"] = "see attached"
    message.set_content("text")
    message.add_attachment(DOCX, maintype="application", subtype="octet-stream", filename="contract.DOCX")
    catalog.add(message.as_bytes())
    assert drain(catalog.database, catalog.read, text_of=reader.text_of) == 1
    assert catalog.subjects('"annually renewed"') == ["see attached"]
    assert catalog.subjects("contract") == ["see attached"]
