"""The text that a search finds and `show` shows."""

import email
import email.policy
from email.message import EmailMessage

import pytest

from archivmail.mime.hypertext import to_text
from archivmail.mime.text import Attachment, attachments, extract, readable
from tests.corpus.realistic import messages


def mail(*parts: bytes, kind: bytes = b"mixed") -> bytes:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return (
        b"Subject: s\r\nContent-Type: multipart/" + kind + b"; boundary=b\r\n\r\npreamble\r\n" + body + b"--b--\r\nend"
    )


def part(body: bytes, *fields: bytes) -> bytes:
    return b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body


HTML = part(b"<p>page</p>", b"Content-Type: text/html")
PDF = part(
    b"JVBERi0=", b"Content-Type: application/pdf; name=a.pdf", b"Content-Transfer-Encoding: base64",
    b"Content-Disposition: attachment; filename=report.pdf",
)  # fmt: skip


@pytest.mark.parametrize(
    ("octets", "body"),
    [
        pytest.param(b"Subject: s\r\n\r\nplain text", "plain text", id="no-content-type"),
        pytest.param(b"no header at all\nbut text", "no header at all\nbut text", id="no-header"),
        pytest.param(mail(part(b"one"), part(b"two")), "one\ntwo", id="two-parts"),
        pytest.param(mail(part(b"plain"), HTML, kind=b"alternative"), "plain\npage", id="alternative"),
        pytest.param(mail(part(b"text"), PDF), "text", id="attachment-is-not-text"),
        pytest.param(mail(part(b"one")).removesuffix(b"\r\n--b--\r\nend"), "one", id="last-boundary-missing"),
        pytest.param(
            mail(part(b"Subject: inner\r\nFrom: i@j\r\n\r\nletter", b"Content-Type: message/rfc822")),
            "inner\ni@j\nletter", id="embedded-message",
        ),
        pytest.param(mail(mail(part(b"deep"))), "deep", id="same-boundary-within"),
        pytest.param(
            mail(part(b"caf\xe9", b"Content-Type: text/plain; charset=iso-8859-1")), "café", id="charset",
        ),
        pytest.param(
            mail(part(b"caf=C3=A9 a=\r\nb", b"Content-Transfer-Encoding: quoted-printable")), "café ab",
            id="quoted-printable",
        ),
        pytest.param(b"Content-Type: text/plain\r\n\r\n" + b"\0\1" * 90, "", id="binary-called-text"),
    ],
)  # fmt: skip
def test_words_of_every_text_part_are_found(octets: bytes, body: str) -> None:
    """Plain, HTML, embedded; decoded; in order."""
    lines = "\n".join(extract(octets).texts).split("\n")
    assert "\n".join(line for line in lines if line) == body


def test_boundary_that_begins_another_is_not_mistaken() -> None:
    """`b` is the boundary, `bc` a line of text."""
    assert extract(mail(part(b"one\r\n--bc\r\ntwo"))).texts == ("one\r\n--bc\r\ntwo",)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        pytest.param(b'Content-Disposition: attachment; filename="a b.pdf"', "a b.pdf", id="quoted"),
        pytest.param(b"Content-Type: application/pdf; name=a.pdf", "a.pdf", id="name-of-the-type"),
        pytest.param(b"Content-Disposition: attachment; filename*=utf-8''%E2%82%AC.pdf", "€.pdf", id="rfc-2231"),
        pytest.param(
            b"Content-Disposition: attachment; filename*0*=utf-8''%E2%82; filename*1*=%AC; filename*2=.pdf", "€.pdf",
            id="rfc-2231-in-pieces",
        ),
        pytest.param(
            b'Content-Disposition: attachment; filename="=?utf-8?Q?M=C3=A4rz?=.pdf"', "März.pdf", id="rfc-2047",
        ),
        pytest.param("Content-Disposition: attachment; filename=März.pdf".encode(), "März.pdf", id="raw-utf-8"),
        pytest.param(b'Content-Disposition: attachment; filename="../../etc/passwd"', "passwd", id="path"),
        pytest.param(b'Content-Disposition: attachment; filename="C:\\dir\\a.pdf"', "a.pdf", id="path-of-windows"),
    ],
)  # fmt: skip
def test_names_of_attachments_are_found(field: bytes, name: str) -> None:
    """However they are written, without a path."""
    found = extract(mail(part(b"text"), part(b"x", field)))
    assert found.attachment_names == (name,)
    assert found.attachment_count == 1


@pytest.mark.parametrize(
    ("octets", "count"),
    [
        pytest.param(b"\r\ntext", 0, id="plain"),
        pytest.param(mail(part(b"text"), HTML), 0, id="html"),
        pytest.param(mail(part(b"text"), PDF, PDF), 2, id="two"),
        pytest.param(mail(part(b"x", b"Content-Type: image/png", b"Content-ID: <a>")), 0, id="picture-in-the-text"),
        pytest.param(mail(part(b"x", b"Content-Type: image/png")), 1, id="picture"),
        pytest.param(
            mail(part(b"x", b"Content-Type: text/plain", b"Content-Disposition: attachment")), 1, id="text-file"
        ),
        pytest.param(mail(part(b"x", b"Content-Type: application/pgp-signature; name=s.asc")), 0, id="signature"),
        pytest.param(mail(part(b"Subject: x\r\n\r\ny", b"Content-Type: message/rfc822")), 1, id="forwarded-message"),
    ],
)
def test_attachments_are_what_a_person_calls_so(octets: bytes, count: int) -> None:
    """`has:attachment` must not match every mail with a logo."""
    assert extract(octets).attachment_count == count


def test_attachments_are_listed_with_their_decoded_size() -> None:
    """base64 is reckoned, not decoded: the size must still be exact."""
    octets = mail(
        part(b"text"), PDF, part(b"=41=\r\nB", b"Content-Type: a/b", b"Content-Transfer-Encoding: quoted-printable")
    )
    assert attachments(octets) == [Attachment("report.pdf", "application/pdf", 5), Attachment("", "a/b", 2)]


def test_show_prefers_the_plain_text() -> None:
    """The HTML is the same once more; where there is only HTML its text is shown."""
    assert readable(mail(part(b"plain"), HTML, kind=b"alternative")) == "plain"
    assert readable(mail(part(b"  "), HTML, kind=b"alternative")) == "page"
    assert readable(mail(part(b"text"), part(b"file", b"Content-Disposition: attachment"))) == "text"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        pytest.param("<p>one</p><p>two</p>", "one\ntwo", id="blocks"),
        pytest.param("o<b>n</b>e", "one", id="inline-tags-do-not-part-words"),
        pytest.param("<td>a</td><td>b</td>", "a b", id="cells"),
        pytest.param("a&nbsp;b &amp; &euro; &#8364;", "a b & € €", id="entities"),
        pytest.param("<style>x</style><script>if (a<b) y</script>z", "z", id="style-and-script"),
        pytest.param("<!-- x <p>y</p> -->z", "z", id="comment"),
        pytest.param("<HEAD><TITLE>t</TITLE></HEAD>z", "z", id="head"),
        pytest.param("1 < 2 and 3 <3", "1 < 2 and 3 <3", id="signs"),
        pytest.param("a<br", "a", id="torn-tag"),
        pytest.param("a\n  b<div\nclass='x'>c", "a b\nc", id="line-ends-are-blanks"),
    ],
)
def test_pages_become_text(page: str, text: str) -> None:
    """What a person would read."""
    assert to_text(page) == text


def test_realistic_mail_gives_what_the_standard_library_gives() -> None:
    """An independent reader agrees on subject, attachments and plain text of 150 mails."""
    for octets in messages(150, seed=7):
        other = email.message_from_bytes(octets, _class=EmailMessage, policy=email.policy.default)
        found = extract(octets)
        assert found.envelope.subject == other["subject"]
        assert list(found.attachment_names) == [each.get_filename() for each in other.iter_attachments()]
        plain = other.get_body(preferencelist=("plain",))
        assert isinstance(plain, EmailMessage)
        assert readable(octets).split() == plain.get_content().split()
